/**
 * Calls a function soon, and not too often: at the end of the current task when it was quiet, otherwise `intervalMs` after the
 * last call. All requests until then count as one.
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

  /** Asks for a call. */
  request(): void {
    if (this.#queued) return;
    this.#queued = true;
    const wait = this.#last + this.#intervalMs - performance.now();
    if (wait > 0) this.#timer = setTimeout(() => this.flush(), wait);
    else queueMicrotask(() => this.flush());
  }

  /** Calls now, if a call was asked for. */
  flush(): void {
    if (!this.#queued) return;
    this.cancel();
    this.#last = performance.now();
    this.#run();
  }

  /** Forgets what was asked for. */
  cancel(): void {
    this.#queued = false;
    clearTimeout(this.#timer);
  }
}
