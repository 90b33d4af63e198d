import { RealtimeError } from "@realtime-server/client";
import { useConnection } from "@realtime-server/client/react";
import { useCallback, useEffect, useState } from "react";
import { Documents, type DocumentInfo } from "../list/documents";
import { useDocumentEvents } from "../list/useDocumentEvents";
import type { Identity } from "../session/identity";

/** What the server says about the document of a link. */
export type Asked =
  /** It has not answered yet. */
  | { readonly kind: "asking" }
  /** It is there. `info` is undefined where the server cannot be asked: then a copy in this browser may be there. */
  | { readonly kind: "found"; readonly info: DocumentInfo | undefined }
  | { readonly kind: "deleted"; readonly info: DocumentInfo }
  | { readonly kind: "not begun" }
  | { readonly kind: "no access" };

/** What was asked about a document, and how to ask again or to put in a newer answer. */
export interface UsedInfo {
  readonly asked: Asked;
  /** Puts in what a request has answered. */
  readonly apply: (info: DocumentInfo) => void;
}

/** How long an answer may take before the document is opened without it, in case there is a copy in this browser. */
const PATIENCE_MS = 4_000;

/** Asks the server about a document, and follows its title and its deletion. It asks again after each reconnect. */
export function useDocumentInfo(room: string, identity: Identity): UsedInfo {
  const [asked, setAsked] = useState<Asked>({ kind: "asking" });
  const [attempt, setAttempt] = useState(0);
  const isConnected = useConnection().status === "connected";
  const apply = useCallback((info: DocumentInfo) => {
    setAsked({ kind: info.deleted_at === undefined ? "found" : "deleted", info });
  }, []);
  useEffect(() => {
    const asking = new AbortController();
    // Whoever is without the server keeps what is shown, and sees the copy of this browser at first.
    const goOn = () => setAsked((before) => (before.kind === "asking" ? { kind: "found", info: undefined } : before));
    const timer = setTimeout(goOn, PATIENCE_MS);
    new Documents(identity)
      .get(room, asking.signal)
      .then((info) => {
        if (!asking.signal.aborted) apply(info);
      })
      .catch((error: unknown) => {
        if (asking.signal.aborted) return;
        const code = error instanceof RealtimeError ? error.code : "internal";
        if (code === "not_found") setAsked({ kind: "not begun" });
        else if (code === "forbidden") setAsked({ kind: "no access" });
        // The reason for all other errors is that of the connection, which the page shows.
        else goOn();
      })
      .finally(() => clearTimeout(timer));
    return () => {
      clearTimeout(timer);
      asking.abort();
    };
  }, [room, identity, apply, attempt, isConnected]);
  useDocumentEvents((event, document) => {
    if (document.room !== room) return;
    const known = asked.kind === "found" || asked.kind === "deleted" ? asked.info : undefined;
    if (known?.document_id === document.document_id && event !== "document_created") {
      apply({ ...document, permission: known.permission });
    } else {
      setAttempt(attempt + 1);
    }
  });
  return { asked, apply };
}
