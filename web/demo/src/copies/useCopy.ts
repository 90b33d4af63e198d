import type { DocumentProvider, DocumentState } from "@realtime-server/client";
import { useEffect, useState } from "react";
import { copyOf, type CopyState } from "./DocumentCopy";

/**
 * The state of the copy of an open document; undefined if it is not open. It notes in the copy when everything was sent, and the
 * document's title.
 */
export function useCopy(provider: DocumentProvider | undefined): CopyState | undefined {
  const [state, setState] = useState<CopyState>();
  useEffect(() => {
    if (!provider) return;
    let copy = copyOf(provider.doc);
    const read = () => setState(copy?.state);
    let unsubscribe = copy?.subscribe(read);
    // The copy is opened by the provider, and opened again when the content was written again.
    const check = ({ saved, synced, document }: DocumentState) => {
      const now = copyOf(provider.doc);
      if (now !== copy) {
        unsubscribe?.();
        copy = now;
        unsubscribe = copy?.subscribe(read);
        read();
      }
      if (document) copy?.noteTitle(document.title);
      if (saved && synced) copy?.sent();
    };
    provider.on("change", check);
    check(provider.state);
    read();
    return () => {
      unsubscribe?.();
    };
  }, [provider]);
  return state;
}
