import { Awareness, applyAwarenessUpdate, encodeAwarenessUpdate, removeAwarenessStates } from "y-protocols/awareness";
import type * as Y from "yjs";
import { Pacer } from "./pacer.js";
import { keepNoProgram } from "./wake.js";

/** The shortest time between two messages with this client's own awareness state, in milliseconds. */
const INTERVAL_MS = 40;

interface Change {
  added: number[];
  updated: number[];
  removed: number[];
}

/** A new awareness of a document. Its timer, which renews its state, does not keep a program in Node running. */
export function ownAwareness(doc: Y.Doc): Awareness {
  const awareness = new Awareness(doc);
  keepNoProgram(awareness._checkInterval);
  return awareness;
}

/** Synchronises the awareness of a document: sends this client's own state, and receives those of others. */
export class Cursors {
  readonly #awareness: Awareness;
  readonly #send: (update: Uint8Array) => void;
  readonly #pacer = new Pacer(INTERVAL_MS, () => this.#flush());
  #open = false;

  constructor(awareness: Awareness, send: (update: Uint8Array) => void) {
    this.#awareness = awareness;
    this.#send = send;
    awareness.on("update", this.#changed);
  }

  /** Starts sending, beginning with this client's own state. `others` are the states that the server sent. */
  open(others: Uint8Array | undefined): void {
    this.#open = true;
    if (others) this.receive(others);
    // Setting the state again increases its clock, so that replicas which have removed the state accept it.
    const own = this.#awareness.getLocalState();
    if (own) this.#awareness.setLocalState(own);
  }

  /** Stops sending, and removes the states of others. */
  close(): void {
    this.#open = false;
    this.#pacer.cancel();
    const others = [...this.#awareness.getStates().keys()].filter((client) => client !== this.#awareness.clientID);
    removeAwarenessStates(this.#awareness, others, this);
    // Their clocks are removed as well: a state that did not change meanwhile returns with the same clock.
    for (const client of others) this.#awareness.meta.delete(client);
  }

  /** Applies an awareness update of the server. */
  receive(update: Uint8Array): void {
    applyAwarenessUpdate(this.#awareness, update, this);
  }

  /** Moves this client's own state to another client id. */
  rename(clientID: number): void {
    const own = this.#awareness.getLocalState();
    this.#awareness.setLocalState(null);
    this.#awareness.clientID = clientID;
    this.#awareness.setLocalState(own);
  }

  /** Stops sending and listening for good. */
  destroy(): void {
    this.close();
    this.#awareness.off("update", this.#changed);
  }

  readonly #changed = ({ added, updated, removed }: Change, origin: unknown) => {
    if (origin === this || !this.#open) return;
    const { clientID } = this.#awareness;
    if ([added, updated, removed].some((clients) => clients.includes(clientID))) this.#pacer.request();
  };

  #flush(): void {
    this.#send(encodeAwarenessUpdate(this.#awareness, [this.#awareness.clientID]));
  }
}
