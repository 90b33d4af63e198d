import type { CallablePromise } from "./document-options.js";
import { RealtimeError } from "./error.js";
import { INITIAL_STATE, finalError, type DocumentState } from "./state.js";
import { Waiters, type WaitOptions } from "./wait.js";

/** What the promises have to know besides the state. */
interface Circumstances {
  /** The present problem of the document or of its connection. */
  problem: () => RealtimeError | undefined;
  /** Whether edits that the server did not accept are sent again, because others were made since. */
  isTryingAgain: () => boolean;
}

/** The promises that wait for the state of a document. */
export class DocumentWaiters {
  /** The error of edits which the token does not allow. */
  readonly editsForbidden = new RealtimeError("forbidden", "the token does not allow editing: the edits are not sent");
  readonly #waiters = new Waiters();
  readonly #circumstances: Circumstances;
  #state: DocumentState = INITIAL_STATE;
  #wasSynced = false;
  #isClosed = false;

  constructor(circumstances: Circumstances) {
    this.#circumstances = circumstances;
  }

  /** Takes a new state. */
  changed(state: DocumentState): void {
    this.#state = state;
    this.#wasSynced ||= state.synced;
    this.#waiters.changed();
  }

  /** Rejects all promises, because the state will not change any more. */
  closed(): void {
    this.#isClosed = true;
    this.#waiters.changed();
  }

  /** `DocumentProvider.whenSynced`. A promise is made when it is used, so that nobody has to handle one that nobody uses. */
  get synced(): CallablePromise {
    const wait = (options?: WaitOptions) => this.#until("not synchronised", () => this.#isSynced(), options);
    return Object.assign(wait, {
      then: ((...parameters) => wait().then(...parameters)) as Promise<void>["then"],
      catch: ((onRejected) => wait().catch(onRejected)) as Promise<void>["catch"],
      finally: (onFinally?: (() => void) | null) => wait().finally(onFinally),
    });
  }

  /** `DocumentProvider.whenSaved`. */
  saved(options: WaitOptions | undefined): Promise<void> {
    return this.#until("not saved", () => this.#isSaved(), options);
  }

  async #until(missed: string, check: () => boolean, options: WaitOptions | undefined): Promise<void> {
    await this.#waiters.until(
      { check: () => check() || undefined, missed, problem: this.#circumstances.problem },
      options,
    );
  }

  #isSynced(): boolean {
    if (this.#wasSynced) return true;
    const error = finalError(this.#state);
    // While the room is joined, an error is about edits that the server does not accept.
    if (error && this.#state.status !== "connected") throw error;
    this.#throwIfClosed();
    return false;
  }

  #isSaved(): boolean {
    const { saved, synced, readOnly } = this.#state;
    if (saved) return true;
    const error = finalError(this.#state);
    if (error && !this.#circumstances.isTryingAgain()) throw error;
    if (readOnly && synced) throw this.editsForbidden;
    this.#throwIfClosed();
    return false;
  }

  #throwIfClosed(): void {
    if (this.#isClosed) throw new RealtimeError("disconnected", "the document was closed before", { retryable: false });
  }
}
