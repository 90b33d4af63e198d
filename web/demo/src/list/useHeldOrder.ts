import type { DocumentInfo } from "@realtime-server/client";
import { useState } from "react";

/** A document as the list shows it. */
export interface ShownDocument {
  readonly document: DocumentInfo;
  /** Whether it left the list while the order was held: it keeps its place, so that nothing moves under the pointer. */
  readonly isGone: boolean;
}

/**
 * The documents in their order, or while `isHeld` in the order that they had at its beginning: then changed documents stay where
 * they are, documents that left the list keep their place, and new ones are added at the end.
 */
export function useHeldOrder(documents: readonly DocumentInfo[], isHeld: boolean): readonly ShownDocument[] {
  const [held, setHeld] = useState<readonly DocumentInfo[]>();
  if (!isHeld) {
    if (held !== undefined) setHeld(undefined);
    return documents.map((document) => ({ document, isGone: false }));
  }
  const now = new Map(documents.map((document) => [document.document_id, document]));
  const known = new Set(held?.map(({ document_id }) => document_id));
  const added = documents.filter(({ document_id }) => !known.has(document_id));
  const order = held ? [...held, ...added] : documents;
  if (held === undefined || added.length > 0) setHeld(order);
  return order.map((document) => ({
    document: now.get(document.document_id) ?? document,
    isGone: !now.has(document.document_id),
  }));
}
