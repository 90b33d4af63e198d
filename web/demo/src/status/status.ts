import type { ConnectionState, DocumentState, RealtimeError } from "@realtime-server/client";
import { reasonOf } from "./reason";

/** How much it matters: nothing to do, wait, be aware, do something. */
export type Tone = "calm" | "busy" | "warning" | "problem";

/** How things are, in words. */
export interface Status {
  readonly tone: Tone;
  /** A few words, always visible. */
  readonly label: string;
  /** The whole sentence, where a few words are not enough: shown across the page. */
  readonly sentence?: string;
  /** What can be done at once. */
  readonly action?: "Try now" | "Try again";
}

/** How the connection is. `isAway` is true from a failure until the server is back: trying again is still being away. */
function connectionStatus({ status, error }: ConnectionState, isAway: boolean): Status {
  if (status === "connected") return { tone: "calm", label: "Connected" };
  if (status === "disconnected" && error) {
    const sentence = `Not connected: ${reasonOf(error)}`;
    return { tone: "problem", label: "Not connected", sentence, action: "Try again" };
  }
  if (!isAway) return { tone: "busy", label: "Connecting…" };
  const why = error && error.code !== "disconnected" && error.code !== "timeout" ? ` (${reasonOf(error)})` : "";
  return {
    tone: "warning",
    label: "Offline",
    sentence: `Offline: there is no connection to the server${why}.`,
    action: "Try now",
  };
}

/** How the list is; documents that were left may still have edits on their way. */
export function listStatus(connection: ConnectionState, isAway: boolean, unsavedDocuments: number): Status {
  const status = connectionStatus(connection, isAway);
  if (unsavedDocuments === 0) return status;
  const label =
    unsavedDocuments === 1 ? "a document is not saved yet" : `${unsavedDocuments} documents are not saved yet`;
  return { ...status, tone: status.tone === "calm" ? "busy" : status.tone, label: `${status.label}, ${label}` };
}

/** How an open document is, and whether what was written here is safe. */
export function documentStatus(connection: ConnectionState, isAway: boolean, document: DocumentState): Status {
  if (document.ended) return endedStatus(document.ended);
  const status = wholeStatus(connection, isAway, document);
  return document.storage === "damaged" ? damagedStatus(status) : status;
}

/** How a document is that the server could read. */
function wholeStatus(connection: ConnectionState, isAway: boolean, document: DocumentState): Status {
  if (connection.status !== "connected") return withoutConnection(connectionStatus(connection, isAway), document);
  if (document.status !== "connected") return notJoined(document);
  if (!document.synced && document.error) return outOfStep(document, document.error);
  if (document.readOnly) return readOnlyStatus(document);
  if (document.storage === "unavailable") return withoutStorage(document);
  if (!document.saved) return savingStatus(document);
  return document.synced ? { tone: "calm", label: "Saved" } : { tone: "busy", label: "Opening…" };
}

/** An empty or shortened text must not look as if all were well. */
function damagedStatus(status: Status): Status {
  const sentence =
    "Parts of this document could not be read from the database. What you see is the rest; the operator has been told.";
  return { ...status, tone: "problem", sentence: status.sentence ? `${sentence} ${status.sentence}` : sentence };
}

function endedStatus(ended: "deleted" | "replaced"): Status {
  const label = ended === "deleted" ? "This document was deleted" : "This document was replaced";
  return { tone: "problem", label };
}

function withoutConnection(status: Status, document: DocumentState): Status {
  const label = document.saved ? status.label : `${status.label}, ${unsavedText(document.unsaved)}`;
  if (status.tone !== "warning") return { ...status, label };
  const sentence =
    document.permission === undefined || document.readOnly
      ? "Offline: new changes show up when the connection is back."
      : "Offline: your changes are kept here and sent when the connection is back.";
  return { ...status, label, sentence };
}

function notJoined({ status, error, saved, unsaved, permission }: DocumentState): Status {
  const kept = saved ? "" : `, ${unsavedText(unsaved)}`;
  if (!error) return { tone: "busy", label: `Opening…${kept}` };
  if (error.code === "not_found") return { tone: "busy", label: "Not started yet" };
  const label = `${error.code === "forbidden" ? "No access" : "Cannot be opened"}${kept}`;
  const tone = status === "connecting" ? "warning" : "problem";
  // Where there is no copy to show, the page itself says it.
  if (permission === undefined) return { tone, label };
  return { tone, label, sentence: `This document cannot be opened: ${reasonOf(error)}` };
}

function outOfStep({ saved, unsaved }: DocumentState, error: RealtimeError): Status {
  const label = saved ? "Out of step" : `Out of step, ${unsavedText(unsaved)}`;
  const sentence = `This page cannot follow the document just now: ${reasonOf(error)} It is being tried again.`;
  return { tone: "problem", label, sentence };
}

function readOnlyStatus({ saved, unsaved }: DocumentState): Status {
  if (saved) return { tone: "calm", label: "View only" };
  const sentence = "Changes here cannot be saved: you may only view this document. They are kept in this browser.";
  return { tone: "problem", label: `View only, ${unsavedText(unsaved)}`, sentence };
}

function withoutStorage({ saved, unsaved }: DocumentState): Status {
  const label = saved ? "Saving is interrupted" : sentenceCase(unsavedText(unsaved));
  const sentence = "The server cannot reach its database: others see your changes, but they are not saved yet.";
  return { tone: "warning", label, sentence };
}

function savingStatus({ synced, error, unsaved }: DocumentState): Status {
  if (error && !error.retryable) {
    const sentence = `Changes here cannot be saved: ${reasonOf(error)}`;
    return { tone: "problem", label: sentenceCase(unsavedText(unsaved)), sentence };
  }
  if (error || !synced) return { tone: "busy", label: `Saving… ${unsavedText(unsaved)}` };
  return { tone: "busy", label: "Saving…" };
}

function unsavedText(count: number): string {
  return count === 1 ? "1 change not saved yet" : `${count} changes not saved yet`;
}

function sentenceCase(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
