import { RealtimeError, type DocumentInfo, type DocumentMetadata } from "@realtime-server/client";
import { useConnection, useRealtime } from "@realtime-server/client/react";
import { useCallback, useEffect, useState } from "react";
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

/** What was asked about a document, and how to put in a newer answer. */
export interface UsedInfo {
  readonly asked: Asked;
  readonly apply: (info: DocumentInfo) => void;
}

/** How long an answer may take before the document is opened without it, in case there is a copy in this browser. */
const PATIENCE_MS = 4_000;

/** Asks the server about a document, and follows its title and its deletion. It asks again after each reconnect. */
export function useDocumentInfo(room: string, identity: Identity): UsedInfo {
  const client = useRealtime();
  const [asked, setAsked] = useState<Asked>({ kind: "asking" });
  const [attempt, setAttempt] = useState(0);
  const isConnected = useConnection().status === "connected";
  const apply = useCallback((info: DocumentInfo) => setAsked(answerOf(info)), []);
  useEffect(() => {
    const asking = new AbortController();
    const { signal } = asking;
    // Whoever is without the server keeps what is shown, and sees the copy of this browser at first.
    const goOn = () => setAsked((before) => (before.kind === "asking" ? { kind: "found", info: undefined } : before));
    const timer = setTimeout(goOn, PATIENCE_MS);
    client.documents
      .get(room, { signal })
      .then((info) => {
        if (!signal.aborted) apply(info);
      })
      .catch((error: unknown) => {
        if (signal.aborted) return;
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
    // A change of the identity may be one of the rights.
  }, [client, room, identity, apply, attempt, isConnected]);
  useEffect(() => {
    const changed = ({ document }: { document: DocumentMetadata }) => {
      if (document.room !== room) return;
      setAsked((before) => {
        const known = before.kind === "found" || before.kind === "deleted" ? before.info : undefined;
        const isKnown = known?.document_id === document.document_id;
        return isKnown ? answerOf({ ...document, permission: known.permission }) : before;
      });
    };
    const appeared = ({ document }: { document: DocumentMetadata }) => {
      if (document.room === room) setAttempt((before) => before + 1);
    };
    const ends = [
      client.subscribe("document_changed", changed),
      client.subscribe("document_deleted", changed),
      client.subscribe("document_created", appeared),
    ];
    return () => {
      for (const end of ends) end();
    };
  }, [client, room]);
  return { asked, apply };
}

function answerOf(info: DocumentInfo): Asked {
  return { kind: info.deleted_at === undefined ? "found" : "deleted", info };
}
