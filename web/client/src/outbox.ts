import * as Y from "yjs";
import { Pacer } from "./pacer.js";

/** At most so often are edits sent, in milliseconds; what happens in between travels as one update. */
const INTERVAL_MS = 20;

/** An update without content: it is acknowledged once all that the document holds is durable. */
const NOTHING = new Uint8Array([0, 0]);

/**
 * What a server says of an update: `saved`, durable and seen by everybody; `pending`, durable, but nobody sees it before what it
 * depends on has arrived.
 */
export type Outcome = "saved" | "pending";

/** What an outbox needs of who carries its updates. */
export interface Carrier {
  /** Cuts an update into parts that may travel; undefined where that is impossible, which is said elsewhere. */
  cut(update: Uint8Array): Uint8Array[] | undefined;
  /** Sends a part. Where it is refused, `answered` is not called, and the outbox is closed. */
  send(part: Uint8Array, answered: (outcome: Outcome) => void): void;
  /** How many bytes may be on their way at once; one part always may. */
  windowBytes(): number;
  /** A number of edits was acknowledged, or else. */
  changed(): void;
  /** All parts of an update were answered. */
  delivered(outcome: Outcome): void;
}

/** An update on its way, in parts. */
interface Delivery {
  readonly parts: Uint8Array[];
  /** How many parts are sent. */
  sent: number;
  /** How many parts are answered. */
  answered: number;
  readonly edits: number;
  outcome: Outcome;
}

/**
 * The edits of this replica that the server has not acknowledged as durable.
 *
 * While open, edits are sent as they come, in their order, and never more at once than the carrier's window. While closed they
 * are only counted: the next synchronisation carries them, because what the server lacks is computed from the document itself,
 * and nothing needs to be kept here.
 */
export class Outbox {
  readonly #carrier: Carrier;
  readonly #pacer = new Pacer(INTERVAL_MS, () => this.#flush());
  #open = false;
  /** Counts sessions, so that late answers to an older one change nothing. */
  #session = 0;
  #queue: Uint8Array[] = [];
  #deliveries: Delivery[] = [];
  #bytesOnTheWay = 0;
  /** Edits that the next synchronisation has to carry. */
  #due = 0;

  constructor(carrier: Carrier) {
    this.#carrier = carrier;
  }

  /** How many edits are not acknowledged. */
  get unsaved(): number {
    return this.#queue.length + this.#due + this.#deliveries.reduce((sum, { edits }) => sum + edits, 0);
  }

  /** Whether edits are sent as they come. */
  get isOpen(): boolean {
    return this.#open;
  }

  /** Takes an edit. */
  add(update: Uint8Array): void {
    if (this.#open) {
      this.#queue.push(update);
      this.#pacer.request();
    } else {
      this.#due += 1;
    }
    this.#carrier.changed();
  }

  /** Notes that the document may hold edits which the server does not have. */
  doubt(): void {
    this.#due = Math.max(this.#due, 1);
    this.#carrier.changed();
  }

  /** Everything is known to be with the server after all. */
  clear(): void {
    this.#due = 0;
    this.#carrier.changed();
  }

  /** Edits may be sent from now on, and before them `difference`: the parts of all that the server lacks. */
  open(difference: Uint8Array[]): void {
    this.#open = true;
    const due = this.#due;
    this.#due = 0;
    // Where nothing is lacking, it remains to hear that it is durable.
    if (difference.length > 0) this.#deliver(difference, Math.max(due, 1));
    else if (due > 0) this.#deliver([NOTHING], due);
  }

  /** Nothing can be sent for now; what is not acknowledged is due at the next opening. */
  close(): void {
    this.#due = this.unsaved;
    this.#open = false;
    this.#session += 1;
    this.#pacer.cancel();
    this.#queue = [];
    this.#deliveries = [];
    this.#bytesOnTheWay = 0;
  }

  /** Sends at once what waits for its turn. */
  flush(): void {
    this.#pacer.flush();
  }

  /** Sends what the window allows, which may have become wider. */
  pump(): void {
    let delivery: Delivery | undefined;
    while ((delivery = this.#deliveries.find(({ sent, parts }) => sent < parts.length))) {
      const part = delivery.parts[delivery.sent] ?? NOTHING;
      const bytes = this.#bytesOnTheWay + part.byteLength;
      if (this.#bytesOnTheWay > 0 && bytes > this.#carrier.windowBytes()) return;
      delivery.sent += 1;
      this.#bytesOnTheWay = bytes;
      this.#send(delivery, part);
    }
    if (this.#queue.length > 0) this.#pacer.request();
  }

  #send(delivery: Delivery, part: Uint8Array): void {
    const session = this.#session;
    this.#carrier.send(part, (outcome) => {
      if (session !== this.#session) return;
      this.#bytesOnTheWay -= part.byteLength;
      if (outcome === "pending") delivery.outcome = outcome;
      delivery.answered += 1;
      if (delivery.answered === delivery.parts.length) this.#delivered(delivery);
      this.pump();
    });
  }

  #delivered(delivery: Delivery): void {
    this.#deliveries = this.#deliveries.filter((other) => other !== delivery);
    if (delivery.outcome === "pending") this.#due += delivery.edits;
    this.#carrier.delivered(delivery.outcome);
    this.#carrier.changed();
  }

  #flush(): void {
    // What waits behind a large update becomes one update meanwhile.
    if (this.#deliveries.some(({ sent, parts }) => sent < parts.length)) return;
    const queue = this.#queue;
    const [first] = queue;
    if (!first) return;
    const parts = this.#carrier.cut(queue.length === 1 ? first : Y.mergeUpdates(queue));
    if (!parts) return;
    this.#queue = [];
    this.#deliver(parts, queue.length);
  }

  #deliver(parts: Uint8Array[], edits: number): void {
    this.#deliveries.push({ parts, sent: 0, answered: 0, edits, outcome: "saved" });
    this.pump();
  }
}
