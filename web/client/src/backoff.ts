/**
 * How long to wait between attempts. The waits double and have jitter, so that the clients of a restarted server do not all
 * connect at the same moment.
 */
export interface BackoffOptions {
  /** The longest first wait, in milliseconds. Default: 1,000. */
  firstMs?: number;
  /** The longest wait, in milliseconds. Default: 30,000. */
  maxMs?: number;
}

/** Counts attempts and chooses the wait before the next one. */
export class Backoff {
  readonly #firstMs: number;
  readonly #maxMs: number;
  #attempts = 0;

  constructor({ firstMs = 1_000, maxMs = 30_000 }: BackoffOptions = {}) {
    this.#firstMs = firstMs;
    this.#maxMs = maxMs;
  }

  /** How many waits were chosen since the last reset. */
  get attempts(): number {
    return this.#attempts;
  }

  /**
   * The next wait, in milliseconds: a random part, between a half and the whole, of `firstMs`, which is doubled for each earlier
   * wait, up to `maxMs`.
   */
  next(): number {
    const longest = Math.min(this.#maxMs, this.#firstMs * 2 ** Math.min(this.#attempts, 30));
    this.#attempts += 1;
    return longest * (0.5 + Math.random() / 2);
  }

  /** Starts again with the first wait, after a success. */
  reset(): void {
    this.#attempts = 0;
  }
}
