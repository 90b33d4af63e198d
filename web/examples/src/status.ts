import type { ConnectionState, DocumentState } from "@realtime-server/client";

/** Whether the user may write. False until that is known. */
export function mayWrite({ permission, readOnly, ended }: DocumentState): boolean {
  return permission !== undefined && !readOnly && !ended;
}

/** The status of an open document, in words. */
export function statusText(connection: ConnectionState, document: DocumentState): string {
  const { error } = document;
  if (document.ended) return "This document was deleted. What you see is only in this window.";
  if (connection.status === "disconnected") return `Not connected: ${connection.error?.message ?? "signed out"}`;
  if (connection.status === "connecting" && connection.error)
    return document.saved ? "Offline" : "Offline. Your changes are kept here and sent later.";
  if (error?.code === "not_found") return "Nobody has begun this document yet";
  if (document.status === "disconnected") return `Cannot be opened: ${error?.message ?? "closed"}`;
  if (!document.synced) return error ? `Out of step with the server: ${error.message}` : "Opening…";
  if (document.storage === "damaged") return "Parts of this document could not be read. The operator has been told.";
  if (document.readOnly) return document.saved ? "View only" : "View only. Your changes here reach nobody.";
  if (document.storage === "unavailable") return "Others see your changes, but they cannot be saved just now";
  if (!document.saved && error && !error.retryable) return `Cannot be saved: ${error.message}`;
  return document.saved ? "Saved" : "Saving…";
}
