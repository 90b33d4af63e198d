import type { DocumentState } from "@realtime-server/client";
import { reasonOf } from "../status/reason";

/** What keeps a document from being shown at all. */
export type Obstacle =
  | { readonly kind: "not started" }
  | { readonly kind: "forbidden" }
  | { readonly kind: "offline" }
  | { readonly kind: "failed"; readonly reason: string };

/** What one may do with the text just now. */
export type Access = "opening" | "view" | "edit" | Obstacle;

/** What one may do with a document, as far as that is known. */
export function accessOf(document: DocumentState, isAway: boolean): Access {
  const { permission, readOnly, ended, status, error } = document;
  if (permission !== undefined || ended) {
    // Who lost the right to open it keeps the copy, and writes into it no more.
    const isLost = status === "disconnected" && error !== undefined;
    return readOnly || ended || isLost ? "view" : "edit";
  }
  if (isAway) return { kind: "offline" };
  if (!error) return "opening";
  if (error.code === "not_found") return { kind: "not started" };
  if (error.code === "forbidden") return { kind: "forbidden" };
  return { kind: "failed", reason: reasonOf(error) };
}
