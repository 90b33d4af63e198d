import { Backoff, type BackoffOptions } from "./backoff.js";
import { RealtimeError } from "./error.js";

/** The session whose token is renewed. */
export interface RenewableSession {
  /** Gets a new token, sends it to the server and notes the answer. */
  renew(): Promise<void>;
  /** Begins a new session, because the new token is that of another person or team, and cannot renew this one. */
  replaceSession(): void;
}

/** A token that is younger than this many milliseconds is not replaced at once. */
const FRESH_MS = 2_000;

/** The longest wait before such a token is replaced, in milliseconds. */
const FRESH_WAIT_MAX_MS = 30_000;

/** Renews the token of one session until the session ends. */
export class Renewal {
  readonly #session: RenewableSession;
  readonly #waits: Backoff;
  /** When the session got its present token. */
  #tokenAt = Date.now();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isTrying = false;
  #isOver = false;

  constructor(session: RenewableSession, backoff?: BackoffOptions) {
    this.#session = session;
    this.#waits = new Backoff(backoff);
  }

  /**
   * Takes the server's message that the token expires within a minute, at `expiresAt`. A new token is not replaced at once, because
   * the next one may expire as soon, and the renewals would never stop. The wait is bounded, because the clocks of client and server
   * may differ; the session lasts 25 s longer than its token.
   */
  expiring(expiresAt: number): void {
    const isFresh = Date.now() - this.#tokenAt < FRESH_MS;
    const half = Math.max((expiresAt - Date.now()) / 2, 1_000);
    this.#after(isFresh ? Math.min(half, FRESH_WAIT_MAX_MS) : 0);
  }

  /** Renews now, unless a renewal is in progress. */
  now(): void {
    this.#after(0);
  }

  /** Stops renewing, because the session has ended. */
  end(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  #after(wait: number): void {
    if (this.#isTrying) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#try(), wait);
  }

  async #try(): Promise<void> {
    this.#isTrying = true;
    try {
      await this.#session.renew();
      this.#tokenAt = Date.now();
      this.#waits.reset();
      this.#isTrying = false;
    } catch (error) {
      this.#isTrying = false;
      if (this.#isOver) return;
      if (error instanceof RealtimeError && error.code === "forbidden") this.#session.replaceSession();
      else this.#after(this.#waits.next());
    }
  }
}
