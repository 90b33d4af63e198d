import { useRealtime } from "@realtime-server/client/react";
import { useEffect, useRef } from "react";
import { isMetadata, type DocumentMetadata } from "./documents";

/** What happened to a document of the team: it exists (again), its title or its content was changed, or it is in the trash. */
export type DocumentEvent = "document_created" | "document_changed" | "document_deleted";

const EVENTS: readonly DocumentEvent[] = ["document_created", "document_changed", "document_deleted"];

/** Calls `listener` with what happens to the documents of the team that this user may view. */
export function useDocumentEvents(listener: (event: DocumentEvent, document: DocumentMetadata) => void): void {
  const { socket } = useRealtime();
  const latest = useRef(listener);
  useEffect(() => {
    latest.current = listener;
  });
  useEffect(() => {
    const ends = EVENTS.map((event) => {
      const heard = (payload: unknown) => {
        const document = typeof payload === "object" && payload !== null && "document" in payload && payload.document;
        if (isMetadata(document)) latest.current(event, document);
      };
      socket.on(event, heard);
      return () => socket.off(event, heard);
    });
    return () => {
      for (const end of ends) end();
    };
  }, [socket]);
}
