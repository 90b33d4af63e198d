import * as Y from "yjs";
import { Pacer } from "./pacer.js";

/** The shortest time between two updates, in milliseconds; edits in between are sent as one update. */
const INTERVAL_MS = 20;

/** An update without content: the server acknowledges it when everything in its document is durable. */
const EMPTY_UPDATE = new Uint8Array([0, 0]);

/**
 * How a server acknowledges an update. `saved`: it is durable and visible to everybody. `pending`: it is durable, but nobody sees
 * it until the edits on which it depends have arrived.
 */
export type Outcome = "saved" | "pending";

/** What an outbox needs in order to send its updates. */
export interface Carrier {
  /** Splits an update into parts that the server accepts; undefined if that is impossible. The carrier reports the error. */
  cut(update: Uint8Array): Uint8Array[] | undefined;
  /** Sends a part. If the server refuses it, the carrier does not call `answered`, and closes the outbox. */
  send(part: Uint8Array, answered: (outcome: Outcome) => void): void;
  /** How many bytes may be sent and not acknowledged at once. A single part may always be sent. */
  windowBytes(): number;
  /** The number of unsaved edits may have changed. */
  changed(): void;
  /** All parts of an update were acknowledged. */
  delivered(outcome: Outcome): void;
}

/** An update that is being sent in parts. */
interface Delivery {
  readonly parts: Uint8Array[];
  /** How many parts are sent. */
  sent: number;
  /** How many parts are acknowledged. */
  answered: number;
  readonly edits: number;
  outcome: Outcome;
}

/**
 * The edits of this replica that the server has not acknowledged as durable.
 *
 * While it is open, edits are sent in their order as they are made, at most the carrier's window at once. While it is closed, edits
 * are only counted and not kept: the next synchronisation sends them, because it computes from the document itself what the server
 * lacks.
 */
export class Outbox {
  readonly #carrier: Carrier;
  readonly #pacer = new Pacer(INTERVAL_MS, () => this.#flush());
  #open = false;
  /** The number of closings, by which late answers to updates from before a closing are recognised and ignored. */
  #session = 0;
  #queue: Uint8Array[] = [];
  #deliveries: Delivery[] = [];
  /** The bytes that are sent and not acknowledged. */
  #bytesInFlight = 0;
  /** The number of edits that the next synchronisation has to send. */
  #due = 0;

  constructor(carrier: Carrier) {
    this.#carrier = carrier;
  }

  /** The number of edits that are not acknowledged as saved. */
  get unsaved(): number {
    return this.#queue.length + this.#due + this.#deliveries.reduce((sum, { edits }) => sum + edits, 0);
  }

  /** Whether edits are sent as they are made. */
  get isOpen(): boolean {
    return this.#open;
  }

  /** Takes an edit of this replica. */
  add(update: Uint8Array): void {
    if (this.#open) {
      this.#queue.push(update);
      this.#pacer.request();
    } else {
      this.#due += 1;
    }
    this.#carrier.changed();
  }

  /** Notes that the document may have edits which the server lacks. */
  markUnsaved(): void {
    this.#due = Math.max(this.#due, 1);
    this.#carrier.changed();
  }

  /** Notes that the server has everything in the document. */
  clear(): void {
    this.#due = 0;
    this.#carrier.changed();
  }

  /** Starts sending, beginning with `difference`: everything that the server lacks, in parts. */
  open(difference: Uint8Array[]): void {
    this.#open = true;
    const due = this.#due;
    this.#due = 0;
    // If the server lacks nothing, it has yet to acknowledge that everything is durable.
    if (difference.length > 0) this.#deliver(difference, Math.max(due, 1));
    else if (due > 0) this.#deliver([EMPTY_UPDATE], due);
  }

  /** Stops sending. Edits that are not acknowledged are due at the next opening. */
  close(): void {
    this.#due = this.unsaved;
    this.#open = false;
    this.#session += 1;
    this.#pacer.cancel();
    this.#queue = [];
    this.#deliveries = [];
    this.#bytesInFlight = 0;
  }

  /** Sends the queued edits at once. */
  flush(): void {
    this.#pacer.flush();
  }

  /** Sends as many parts as the window allows. To be called when the window has become larger. */
  pump(): void {
    let delivery: Delivery | undefined;
    while ((delivery = this.#deliveries.find(({ sent, parts }) => sent < parts.length))) {
      const part = delivery.parts[delivery.sent] ?? EMPTY_UPDATE;
      const bytes = this.#bytesInFlight + part.byteLength;
      if (this.#bytesInFlight > 0 && bytes > this.#carrier.windowBytes()) return;
      delivery.sent += 1;
      this.#bytesInFlight = bytes;
      this.#send(delivery, part);
    }
    if (this.#queue.length > 0) this.#pacer.request();
  }

  #send(delivery: Delivery, part: Uint8Array): void {
    const session = this.#session;
    this.#carrier.send(part, (outcome) => {
      if (session !== this.#session) return;
      this.#bytesInFlight -= part.byteLength;
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
    // Edits behind a large update stay in the queue, and are merged into one update later.
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
