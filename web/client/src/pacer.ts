/**
 * Calls a function on request, at most once in `intervalMs`: at the end of the current task if the last call is longer ago,
 * otherwise `intervalMs` after it. All requests until then count as one.
 */
export class Pacer {
  readonly #intervalMs: number;
  readonly #run: () => void;
  #last = -Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #queued = false;

  constructor(intervalMs: number, run: () => void) {
    this.#intervalMs = intervalMs;
    this.#run = run;
  }

  /** Requests a call. */
  request(): void {
    if (this.#queued) return;
    this.#queued = true;
    const wait = this.#last + this.#intervalMs - performance.now();
    if (wait > 0) this.#timer = setTimeout(() => this.flush(), wait);
    else queueMicrotask(() => this.flush());
  }

  /** Calls the function now, if a call was requested. */
  flush(): void {
    if (!this.#queued) return;
    this.cancel();
    this.#last = performance.now();
    this.#run();
  }

  /** Cancels the requested call. */
  cancel(): void {
    this.#queued = false;
    clearTimeout(this.#timer);
  }
}
