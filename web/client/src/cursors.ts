import {
  applyAwarenessUpdate,
  encodeAwarenessUpdate,
  removeAwarenessStates,
  type Awareness,
} from "y-protocols/awareness";
import { Pacer } from "./pacer.js";

/** At most so often is this client's own state sent, in milliseconds. */
const INTERVAL_MS = 40;

interface Change {
  added: number[];
  updated: number[];
  removed: number[];
}

/** Carries the awareness of a document: one's own state out, the others' in. */
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

  /** Begins to send, and shows one's own state to the others. */
  open(others: Uint8Array | undefined): void {
    this.#open = true;
    if (others) this.receive(others);
    // A newer clock, so that the state counts again where it was taken for gone.
    const own = this.#awareness.getLocalState();
    if (own) this.#awareness.setLocalState(own);
  }

  /** Nobody can be seen for now. */
  close(): void {
    this.#open = false;
    this.#pacer.cancel();
    const others = [...this.#awareness.getStates().keys()].filter((client) => client !== this.#awareness.clientID);
    removeAwarenessStates(this.#awareness, others, this);
    // Their clocks as well: who has not moved meanwhile comes back with the same one.
    for (const client of others) this.#awareness.meta.delete(client);
  }

  /** Takes what the server says of others. */
  receive(update: Uint8Array): void {
    applyAwarenessUpdate(this.#awareness, update, this);
  }

  /** One's own state is under another client id from now on. */
  rename(clientID: number): void {
    const own = this.#awareness.getLocalState();
    this.#awareness.setLocalState(null);
    this.#awareness.clientID = clientID;
    this.#awareness.setLocalState(own);
  }

  /** Lets go of the awareness. */
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
