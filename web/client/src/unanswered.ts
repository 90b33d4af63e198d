/** How long the server may leave something unanswered before that counts as slow, in milliseconds. */
const SLOW_MS = 5_000;

/** Notes what the server has not answered yet, and reports when something has been unanswered for 5 s, and when nothing is any more. */
export class Unanswered {
  readonly #changed: () => void;
  /** When each unanswered thing was sent, the oldest first. */
  readonly #sentAt = new Map<symbol, number>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isSlow = false;
  /** Whether somebody has stopped waiting for an answer, and none has arrived since. */
  #isGivenUp = false;

  /** `changed` is called when `isSlow` has changed. */
  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** Whether something has been unanswered for 5 s. */
  get isSlow(): boolean {
    return this.#isSlow;
  }

  /** Notes that something was sent. The returned function notes its end. */
  sent(): (end: "answered" | "given up") => void {
    const key = Symbol();
    this.#sentAt.set(key, Date.now());
    if (this.#sentAt.size === 1) this.#check();
    return (end) => {
      if (!this.#sentAt.delete(key)) return;
      this.#isGivenUp = end === "given up";
      this.#check();
    };
  }

  /** Forgets everything that is unanswered. */
  clear(): void {
    this.#sentAt.clear();
    this.#isGivenUp = false;
    this.#check();
  }

  #check(): void {
    clearTimeout(this.#timer);
    const [oldest] = this.#sentAt.values();
    const rest = oldest === undefined ? Infinity : oldest + SLOW_MS - Date.now();
    if (rest > 0 && rest < Infinity) this.#timer = setTimeout(() => this.#check(), rest);
    const isSlow = rest <= 0 || this.#isGivenUp;
    if (isSlow === this.#isSlow) return;
    this.#isSlow = isSlow;
    this.#changed();
  }
}
