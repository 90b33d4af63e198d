import * as Y from "yjs";
import { Pacer } from "./pacer.js";

/** At most so often are edits sent, in milliseconds; what happens in between travels as one update. */
const INTERVAL_MS = 20;

/** Sends an update; `answered` is told once whether it is durable. */
export type Send = (update: Uint8Array, answered: (saved: "saved" | "unsaved") => void) => void;

/**
 * The edits of this replica that the server has not acknowledged as durable.
 *
 * While open, edits are sent as they come. While closed they are only counted: the next synchronisation carries them, because
 * what the server lacks is computed from the document itself, and nothing needs to be kept here.
 */
export class Outbox {
  readonly #send: Send;
  readonly #changed: () => void;
  readonly #pacer = new Pacer(INTERVAL_MS, () => this.#flush());
  #open = false;
  /** Counts sessions, so that late answers to an older one change nothing. */
  #session = 0;
  #queue: Uint8Array[] = [];
  #inFlight = 0;
  /** Edits that the next synchronisation has to carry. */
  #due = 0;

  constructor(send: Send, changed: () => void) {
    this.#send = send;
    this.#changed = changed;
  }

  /** How many edits are not acknowledged. */
  get unsaved(): number {
    return this.#queue.length + this.#inFlight + this.#due;
  }

  /** Takes an edit. */
  add(update: Uint8Array): void {
    if (this.#open) {
      this.#queue.push(update);
      this.#pacer.request();
    } else {
      this.#due += 1;
    }
    this.#changed();
  }

  /** Notes that the document may hold edits of an earlier time which the server does not have. */
  doubt(): void {
    this.#due = Math.max(this.#due, 1);
    this.#changed();
  }

  /** Everything is known to be with the server after all. */
  clear(): void {
    this.#due = 0;
    this.#changed();
  }

  /** Edits may be sent from now on. `difference` computes what the server lacks, and is asked only where edits are due. */
  open(difference: () => Uint8Array): void {
    this.#open = true;
    const due = this.#due;
    this.#due = 0;
    if (due > 0) this.#dispatch(difference(), due);
  }

  /** Nothing can be sent for now; what is not acknowledged is due at the next opening. */
  close(): void {
    this.#open = false;
    this.#session += 1;
    this.#pacer.cancel();
    this.#due = this.unsaved;
    this.#queue = [];
    this.#inFlight = 0;
  }

  /** Sends at once what waits for its turn. */
  flush(): void {
    this.#pacer.flush();
  }

  #flush(): void {
    const queue = this.#queue;
    this.#queue = [];
    const [first] = queue;
    if (first) this.#dispatch(queue.length === 1 ? first : Y.mergeUpdates(queue), queue.length);
  }

  #dispatch(update: Uint8Array, edits: number): void {
    const session = this.#session;
    this.#inFlight += edits;
    this.#send(update, (outcome) => {
      if (session !== this.#session) return;
      this.#inFlight -= edits;
      if (outcome === "unsaved") this.#due += edits;
      this.#changed();
    });
  }
}
