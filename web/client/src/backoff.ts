/** How long to wait between attempts: doubling, with jitter, so that the clients of a restarted server do not come as one. */
export interface BackoffOptions {
  /** The longest first wait, in milliseconds. Default: 1,000. */
  firstMs?: number;
  /** The longest wait, in milliseconds. Default: 30,000. */
  maxMs?: number;
}

/** Counts attempts and draws the wait before the next one. */
export class Backoff {
  readonly #firstMs: number;
  readonly #maxMs: number;
  #attempts = 0;

  constructor({ firstMs = 1_000, maxMs = 30_000 }: BackoffOptions = {}) {
    this.#firstMs = firstMs;
    this.#maxMs = maxMs;
  }

  /** How many waits were drawn since the last reset. */
  get attempts(): number {
    return this.#attempts;
  }

  /** The next wait: half to all of `firstMs`, doubled for each one before, at most `maxMs`. */
  next(): number {
    const longest = Math.min(this.#maxMs, this.#firstMs * 2 ** Math.min(this.#attempts, 30));
    this.#attempts += 1;
    return longest * (0.5 + Math.random() / 2);
  }

  /** Begins anew, after a success. */
  reset(): void {
    this.#attempts = 0;
  }
}
