import type { DocumentProvider, DocumentState } from "@realtime-server/client";
import { useEffect, useSyncExternalStore } from "react";

/** The documents with edits that are not saved yet, also those whose view was left meanwhile. */
const unsaved = new Set<DocumentProvider>();
const listeners = new Set<() => void>();

/** Warns the user when the page is closed while edits of this document are not saved yet. */
export function useUnsavedWarning(provider: DocumentProvider | undefined): void {
  useEffect(() => {
    if (!provider) return;
    const check = ({ saved, ended, readOnly }: DocumentState) => note(provider, !saved && !ended && !readOnly);
    // The listener is not removed with the view: the provider saves in the background, and removes its listeners when destroyed.
    provider.on("change", check);
    check(provider.state);
  }, [provider]);
}

/** The number of documents with edits that are not saved yet. */
export function useUnsavedDocuments(): number {
  return useSyncExternalStore(subscribe, () => unsaved.size);
}

/** Forgets the documents of the previous identity. Their edits are in the browser's copies. */
export function forgetUnsaved(): void {
  for (const provider of unsaved) note(provider, false);
}

function note(provider: DocumentProvider, isUnsaved: boolean): void {
  if (unsaved.has(provider) === isUnsaved) return;
  if (isUnsaved) unsaved.add(provider);
  else unsaved.delete(provider);
  // The listener exists only while it is needed: only pages without it can be in the browser's back/forward cache.
  if (unsaved.size > 0) addEventListener("beforeunload", warn);
  else removeEventListener("beforeunload", warn);
  for (const listener of listeners) listener();
}

function warn(event: BeforeUnloadEvent): void {
  event.preventDefault();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
