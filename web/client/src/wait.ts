import { RealtimeError } from "./error.js";

/** How long to wait for a promise of this package. */
export interface WaitOptions {
  /** Ends the wait: the promise rejects with the signal's reason, as that of `fetch` does. */
  signal?: AbortSignal | undefined;
  /** How long to wait at most, in milliseconds: then the promise rejects with the code `timeout`. Default: without a limit. */
  timeoutMs?: number | undefined;
}

/** The longest delay that a timer accepts, 24 days: in effect, no timeout. */
export const NO_TIMEOUT_MS = 2 ** 31 - 1;

/** What is waited for. */
export interface Expectation<T> {
  /** The result; undefined if it is not there yet. It throws the error because of which waiting longer is in vain. */
  check: () => T | undefined;
  /** The expectation as a sentence without its end: "the client did not connect". */
  missed: string;
  /** The present problem, which the error of a timeout contains. */
  problem: () => RealtimeError | undefined;
}

/** The errors with which promises have rejected. */
const awaited = new WeakSet<Error>();

/** Whether a promise that waited for a state has rejected with this error. */
export function wasAwaited(error: Error): boolean {
  return awaited.has(error);
}

/** The promises that wait for a state. Whoever changes the state calls `changed`. */
export class Waiters {
  readonly #waiting = new Set<() => void>();

  /** Settles the promises whose expectations the state now fulfils, or makes impossible. */
  changed(): void {
    for (const check of [...this.#waiting]) check();
  }

  /**
   * Waits for a result.
   *
   * @throws what `check` throws; `timeout`, whose cause is the present problem; the reason of the signal.
   */
  until<T>({ check, missed, problem }: Expectation<T>, { signal, timeoutMs }: WaitOptions = {}): Promise<T> {
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    const waiting = new Promise<T>((resolve, reject) => {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const end = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", end);
        this.#waiting.delete(changed);
      };
      const changed = () => {
        try {
          const result = check();
          if (result === undefined) return;
          resolve(result);
        } catch (thrown) {
          const error = thrown as Error;
          awaited.add(error);
          reject(error);
        }
        end();
      };
      const late = () => {
        end();
        const cause = problem();
        const reason = cause ? `: ${cause.message}` : "";
        reject(new RealtimeError("timeout", `${missed} within ${timeoutMs ?? 0} ms${reason}`, { cause }));
      };
      this.#waiting.add(changed);
      signal?.addEventListener("abort", end);
      if (timeoutMs !== undefined) timer = setTimeout(late, Math.min(timeoutMs, NO_TIMEOUT_MS));
      changed();
    });
    return abortable(waiting, signal);
  }
}

/** The promise, which rejects early with the signal's reason if the signal is aborted. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason as Error);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort);
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
