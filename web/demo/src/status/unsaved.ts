import type { DocumentProvider, DocumentState } from "@realtime-server/client";
import { useEffect, useSyncExternalStore } from "react";

/** Documents with edits on their way to the server, also those whose view was left meanwhile. */
const unsaved = new Set<DocumentProvider>();
const listeners = new Set<() => void>();

/** Warns who closes the page while edits of this document are not saved yet. */
export function useUnsavedWarning(provider: DocumentProvider | undefined): void {
  useEffect(() => {
    if (!provider) return;
    const check = ({ saved, ended, readOnly }: DocumentState) => note(provider, !saved && !ended && !readOnly);
    // It goes on when the view is left: the provider saves in the background, and drops its listeners at its end.
    provider.on("change", check);
    check(provider.state);
  }, [provider]);
}

/** How many documents have edits on their way. */
export function useUnsavedDocuments(): number {
  return useSyncExternalStore(subscribe, () => unsaved.size);
}

/** Forgets what belongs to an identity that was given up: its edits are in the browser's copy. */
export function forgetUnsaved(): void {
  for (const provider of unsaved) note(provider, false);
}

function note(provider: DocumentProvider, isUnsaved: boolean): void {
  if (unsaved.has(provider) === isUnsaved) return;
  if (isUnsaved) unsaved.add(provider);
  else unsaved.delete(provider);
  // Only while needed: browsers keep pages without this listener ready for going back.
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
