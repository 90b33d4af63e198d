import { Backoff, type BackoffOptions } from "./backoff.js";
import { RealtimeError } from "./error.js";

/** What a renewal needs of the session whose token it keeps fresh. */
export interface RenewableSession {
  /** Gets a token, hands it in and notes what the answer says. */
  renew(): Promise<void>;
  /** The new token is another person's, or of another team: only a new session can be that. */
  becomeAnother(): void;
}

/** A token that was handed in within so many milliseconds is a new one. */
const FRESH_MS = 2_000;

/** The longest wait before a new token is replaced by the next. */
const FRESH_WAIT_MAX_MS = 30_000;

/** Brings fresh tokens into one session, until that is over. */
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
   * The server has said that the token expires within a minute, at `expiresAt`. A new one is not replaced at once: the next may be
   * as short-lived, and there would be no end of it. The clocks may differ, so the wait is bounded; the session outlives its token
   * by 25 s.
   */
  expiring(expiresAt: number): void {
    const isFresh = Date.now() - this.#tokenAt < FRESH_MS;
    const half = Math.max((expiresAt - Date.now()) / 2, 1_000);
    this.#after(isFresh ? Math.min(half, FRESH_WAIT_MAX_MS) : 0);
  }

  /** Renews now, unless that is being tried. */
  now(): void {
    this.#after(0);
  }

  /** The session is over. */
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
      if (error instanceof RealtimeError && error.code === "forbidden") this.#session.becomeAnother();
      else this.#after(this.#waits.next());
    }
  }
}
