import type { ConnectionState } from "../connection.js";
import type { RealtimeError } from "../error.js";
import type { DocumentState } from "../state.js";
import { reasonOf } from "./reason.js";

/** How important a status is. `calm`: nothing to do; `busy`: wait; `warning`: be aware of it; `problem`: do something. */
export type Tone = "calm" | "busy" | "warning" | "problem";

/** The status of the connection or of a document, in words. */
export interface Status {
  readonly tone: Tone;
  /** A few words, which are always visible. */
  readonly label: string;
  /** A whole sentence, if a few words are not enough. It is shown across the page. */
  readonly sentence?: string;
  /** What the user can do at once: `client.connect()` in both cases. */
  readonly action?: "Try now" | "Try again";
}

const SLOW = "Taking longer than usual";

/**
 * The status of the connection.
 *
 * @param isAway Whether there was a failure and the server is not back yet, which is so during new attempts, too: see `useAway`.
 */
export function connectionStatus({ status, error, slow }: ConnectionState, isAway: boolean): Status {
  if (status === "connected") {
    if (!slow) return { tone: "calm", label: "Connected" };
    return { tone: "warning", label: SLOW, sentence: "The server is taking longer than usual to answer." };
  }
  if (status === "disconnected" && error) {
    const sentence = `Not connected: ${reasonOf(error)}`;
    return { tone: "problem", label: "Not connected", sentence, action: "Try again" };
  }
  if (error?.code === "too_many_connections") {
    const label = "Too many windows open";
    return { tone: "warning", label, sentence: `Not connected: ${reasonOf(error)}`, action: "Try now" };
  }
  if (isAway) {
    const why = error && error.code !== "disconnected" && error.code !== "timeout" ? `: ${reasonOf(error)}` : ".";
    const sentence = `Offline: there is no connection to the server${why}`;
    return { tone: "warning", label: "Offline", sentence, action: "Try now" };
  }
  if (!slow) return { tone: "busy", label: "Connecting…" };
  return { tone: "warning", label: SLOW, sentence: "Connecting to the server is taking longer than usual." };
}

/**
 * The status of an open document, and whether the edits made here are saved.
 *
 * @param isAway As for `connectionStatus`.
 */
export function documentStatus(connection: ConnectionState, isAway: boolean, document: DocumentState): Status {
  if (document.ended) return endedStatus(document.ended);
  const status = wholeStatus(connection, isAway, document);
  return document.storage === "damaged" ? damagedStatus(status) : status;
}

/** The status of a document that the server could read completely. */
function wholeStatus(connection: ConnectionState, isAway: boolean, document: DocumentState): Status {
  if (connection.status !== "connected") return withoutConnection(connection, isAway, document);
  const status = connectedStatus(document);
  // A slow answer matters only to those who wait for it.
  return connection.slow && status.tone === "busy" ? slowStatus(document) : status;
}

function connectedStatus(document: DocumentState): Status {
  if (document.status !== "connected") return notJoined(document);
  if (!document.synced && document.error) return outOfStep(document, document.error);
  if (document.readOnly) return readOnlyStatus(document);
  if (document.storage === "unavailable") return withoutStorage(document);
  if (!document.saved) return savingStatus(document);
  return document.synced ? { tone: "calm", label: "Saved" } : { tone: "busy", label: "Opening…" };
}

/** Adds that parts of the document are missing: an empty or incomplete text must not look like the complete document. */
function damagedStatus(status: Status): Status {
  const sentence =
    "Parts of this document could not be read from the database. What you see is the rest; the operator has been told.";
  return { ...status, tone: "problem", sentence: status.sentence ? `${sentence} ${status.sentence}` : sentence };
}

function endedStatus(ended: "deleted" | "replaced"): Status {
  const label = ended === "deleted" ? "This document was deleted" : "This document was replaced";
  return { tone: "problem", label };
}

function withoutConnection(connection: ConnectionState, isAway: boolean, document: DocumentState): Status {
  const status = connectionStatus(connection, isAway);
  const { sentence } = status;
  const label = document.saved ? status.label : `${status.label}, ${unsavedText(document.unsaved)}`;
  if (sentence === undefined || status.tone !== "warning") return { ...status, label };
  const isReader = document.permission === undefined || document.readOnly;
  if (status.label !== "Offline") {
    return { ...status, label, sentence: isReader ? sentence : `${sentence} Your changes are kept here until then.` };
  }
  const meanwhile = isReader
    ? "Offline: new changes show up when the connection is back."
    : "Offline: your changes are kept here and sent when the connection is back.";
  return { ...status, label, sentence: meanwhile };
}

function slowStatus({ saved, unsaved, permission }: DocumentState): Status {
  const label = saved ? SLOW : `${SLOW}, ${unsavedText(unsaved)}`;
  const sentence =
    permission === undefined
      ? "Opening this document is taking longer than usual. It shows up as soon as the server answers."
      : "The server is taking longer than usual to answer. Your changes are kept here, and are sent when it does.";
  return { tone: "warning", label, sentence };
}

function notJoined({ status, error, saved, unsaved, permission }: DocumentState): Status {
  const kept = saved ? "" : `, ${unsavedText(unsaved)}`;
  if (!error) return { tone: "busy", label: `Opening…${kept}` };
  if (error.code === "not_found") return { tone: "calm", label: "Not started yet" };
  const label = `${error.code === "forbidden" ? "No access" : "Cannot be opened"}${kept}`;
  const tone = status === "connecting" ? "warning" : "problem";
  // Without content to show, the page shows the reason instead of the text.
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
