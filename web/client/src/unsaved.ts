import type { DocumentState } from "./state.js";

/** The documents in this page with edits that would be lost if it was closed now. */
const unsaved = new Set<object>();

/** Notes the state of a document, or that it is closed: while one has unsaved edits, the browser asks before it closes the page. */
export function preventUnsavedChanges(document: object, state: DocumentState | undefined): void {
  if (typeof addEventListener === "undefined") return;
  if (state && !state.saved && !state.ended && !state.readOnly) unsaved.add(document);
  else unsaved.delete(document);
  // The listener exists only while it is needed: a page with it is not kept in the browser's back/forward cache.
  if (unsaved.size > 0) addEventListener("beforeunload", ask);
  else removeEventListener("beforeunload", ask);
}

function ask(event: BeforeUnloadEvent): void {
  event.preventDefault();
}
