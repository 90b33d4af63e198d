import type { DocumentProvider } from "./document.js";
import { DocumentWaiters } from "./document-waiters.js";
import type { RealtimeError } from "./error.js";
import { INITIAL_STATE, finalError, isSame, type DocumentState } from "./state.js";
import { reportUnheard } from "./unheard.js";
import { preventUnsavedChanges } from "./unsaved.js";

/** What the state takes from the synchronisation of the content. */
interface Progress {
  /** The number of edits that are not known to be saved. */
  unsaved: () => number;
  /** Whether edits that the server did not accept are sent again, because others were made since. */
  isTryingAgain: () => boolean;
}

/**
 * The state of a provider, and all that follows from each change of it: the provider's events, the promises that wait, the question of
 * the browser before it closes a page, and an error in the console that nobody else has heard of.
 */
export class ObservedState {
  /** The promises that wait for the state. */
  readonly waiters: DocumentWaiters;
  readonly #provider: Pick<DocumentProvider, "client" | "room" | "isHeard" | "emit">;
  readonly #progress: Progress;
  readonly #preventsUnsavedChanges: boolean;
  #current: DocumentState = INITIAL_STATE;
  /** Whether this replica was edited here. */
  #hasEdited = false;
  #isRefusalReported = false;

  constructor(provider: DocumentProvider, preventsUnsavedChanges: boolean, progress: Progress) {
    this.#provider = provider;
    this.#preventsUnsavedChanges = preventsUnsavedChanges;
    this.#progress = progress;
    this.waiters = new DocumentWaiters({
      problem: () => this.#current.error ?? provider.client.state.error,
      isTryingAgain: progress.isTryingAgain,
    });
  }

  /** The state at present: a new object with every change. */
  get current(): DocumentState {
    return this.#current;
  }

  /** Notes that this replica was edited here: if the rights do not allow that, it is reported. */
  edited(): void {
    this.#hasEdited = true;
  }

  /** Changes the state, and reports the change if there is one. The number of unsaved edits is read again. */
  change(changes: Partial<DocumentState>): void {
    const before = this.#current;
    const unsaved = this.#progress.unsaved();
    const state = { ...before, ...changes, unsaved, saved: unsaved === 0 };
    // The problem is solved if the document is joined, synchronised and saved.
    if (state.status === "connected" && state.synced && state.saved) state.error = undefined;
    if (isSame(before, state)) return;
    this.#current = state;
    this.#report(before, state);
  }

  /** Ends it: the promises are rejected, and the browser asks no more. */
  close(): void {
    this.waiters.closed();
    preventUnsavedChanges(this.#provider, undefined);
  }

  #report(before: DocumentState, state: DocumentState): void {
    const provider = this.#provider;
    const isNewError = state.error !== undefined && state.error !== before.error;
    this.#reportUnheard(isNewError ? finalError(state) : this.#refusalOfEdits());
    if (state.status !== before.status) provider.emit("status", [{ status: state.status }]);
    if (state.synced !== before.synced) {
      provider.emit("sync", [state.synced]);
      provider.emit("synced", [state.synced]);
    }
    if (isNewError) provider.emit("error", [state.error]);
    provider.emit("change", [state]);
    if (this.#preventsUnsavedChanges) preventUnsavedChanges(provider, state);
    this.waiters.changed(state);
  }

  /** The error of edits that are not sent because of the rights; once. */
  #refusalOfEdits(): RealtimeError | undefined {
    const { readOnly, synced, saved } = this.#current;
    if (!readOnly || !synced || saved || !this.#hasEdited || this.#isRefusalReported) return undefined;
    this.#isRefusalReported = true;
    return this.waiters.editsForbidden;
  }

  #reportUnheard(error: RealtimeError | undefined): void {
    const { client, room } = this.#provider;
    // The client itself reports why it has stopped.
    if (!error || error === client.state.error) return;
    reportUnheard(`The document ${room}`, error, () => this.#provider.isHeard);
  }
}
