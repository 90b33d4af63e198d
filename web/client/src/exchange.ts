import * as Y from "yjs";
import { Arrivals } from "./arrivals.js";
import { Backoff } from "./backoff.js";
import type { RealtimeClient } from "./client.js";
import { isEmpty, lacking, type Lacking } from "./content.js";
import { RealtimeError } from "./error.js";
import { Outbox, type Outcome } from "./outbox.js";
import { bytes, type Requests, type Synced } from "./protocol.js";
import { OwnClocks } from "./own.js";
import { isForged, reclaim, replaceContent } from "./reclaim.js";
import { encodeParts, splitUpdate } from "./split.js";
import type { DocumentState } from "./state.js";

/** The member of a room whose document is exchanged. */
export interface Owner {
  readonly client: RealtimeClient;
  readonly room: string;
  readonly doc: Y.Doc;
  /** The origin of what is applied to the document. */
  readonly origin: object;
  readonly state: DocumentState;
  /** Whether the room is joined. */
  readonly isJoined: boolean;
  become(changes: Partial<DocumentState>): void;
  join(): void;
  /** The room does not let one in, or not any more. */
  refused(error: RealtimeError): void;
  /** The document has another client id, and its content was put in anew. */
  rebuilt(): void;
}

/** What a join and a synchronisation are answered with. */
export type Answer = Pick<Synced, "state_vector"> & Partial<Synced>;

/** How large a part of an update is to be, so that nobody waits long behind it. */
const PART_BYTES = 512 * 1024;

/** Parts that the server finds too large although they are not are made smaller, down to this. */
const PART_BYTES_MIN = 8 * 1024;

/** How much may be on its way at once: a room has 16 MiB for all who write in it. */
const WINDOW_BYTES = 2 * 1024 * 1024;

/** When edits came in from elsewhere, so many milliseconds later the server is asked whether it has them. */
const DOUBT_MS = 500;

/** The waits before the server is asked again for what it still lacks: none twice, then this and growing. */
const RECHECK_FIRST_MS = 500;
const RECHECK_MAX_MS = 30_000;

/** What the server sent cannot be applied for the second time within so many milliseconds: asking at once did not help. */
const BROKEN_AGAIN_MS = 10_000;

/**
 * The conversation with a server about one document's content: what it lacks is sent, what it has is taken in.
 *
 * Edits made here go at once. Those that came in from elsewhere (y-webrtc, other tabs) are their authors' to bring; only what the
 * server still lacks half a second later is sent from here. After each join and synchronisation everything that the server lacks is
 * sent, whoever wrote it.
 */
export class Exchange {
  readonly #owner: Owner;
  readonly #arrivals = new Arrivals();
  readonly #own = new OwnClocks();
  readonly #retries = new Backoff();
  readonly #outbox: Outbox;
  /** Counts conversations with the server, so that late answers to an older one change nothing. */
  #conversation = 0;
  /** Nothing can be sent before the next answer is merged. */
  #isAsking = true;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #check: { readonly at: number; readonly timer: ReturnType<typeof setTimeout> } | undefined;
  /** The server has told of edits that nobody sees yet. */
  #isPending = false;
  /** Synchronisations in a row at which the server lacked something. */
  #rounds = 0;
  #partBytes = PART_BYTES;
  /** What the server sent could not be applied, and that has been reported. */
  #isBroken = false;
  #brokenAt = -Infinity;

  constructor(owner: Owner) {
    this.#owner = owner;
    // While nothing can be acknowledged, others are to see all the same what is written.
    const windowBytes = () => (owner.state.storage === "unavailable" ? Infinity : WINDOW_BYTES);
    this.#outbox = new Outbox({
      cut: (update) => this.#sendable(splitUpdate(update, this.#partBytesMax)),
      send: (part, answered) => this.#send(part, answered),
      windowBytes,
      changed: () => owner.become({}),
      delivered: (outcome) => this.#delivered(outcome),
    });
  }

  /** How many edits are not known to be durable and seen by everybody. */
  get unsaved(): number {
    return this.#outbox.unsaved;
  }

  /** The document changed, otherwise than by this exchange. */
  edited(update: Uint8Array, transaction: Y.Transaction): void {
    if (transaction.local) {
      this.#own.note(transaction);
      this.#outbox.add(update);
    } else {
      this.#arrivals.note(transaction);
      this.doubt();
    }
    // Perhaps what was refused has just been taken out again.
    const { error } = this.#owner.state;
    const isStuck = this.#owner.isJoined && !this.#outbox.isOpen && !this.#retry;
    if (error && !error.retryable && isStuck) this.later(error, () => this.synchronize());
  }

  /** The document may hold what the server lacks. */
  doubt(): void {
    this.#outbox.doubt();
    if (!this.#isAsking) this.#checkWithin(DOUBT_MS);
  }

  /** Takes in an update of the server. */
  receive(update: Uint8Array): void {
    // The answer that is awaited has it as well.
    if (this.#apply(update) || this.#isAsking) return;
    const isAgain = performance.now() - this.#brokenAt < BROKEN_AGAIN_MS;
    this.#brokenAt = performance.now();
    this.#owner.become({ synced: false });
    if (isAgain) this.later(CANNOT_BE_APPLIED, () => this.synchronize());
    else this.synchronize();
  }

  /** Sends at once what waits for its turn. */
  flush(): void {
    this.#outbox.flush();
  }

  /** The server has lost its database, or has it again. */
  storageChanged(): void {
    this.#outbox.pump();
  }

  /** Begins another conversation; nothing is sent until its answer is merged. */
  begin(): number {
    clearTimeout(this.#retry);
    clearTimeout(this.#check?.timer);
    this.#retry = undefined;
    this.#check = undefined;
    this.#isAsking = true;
    this.#outbox.close();
    this.#conversation += 1;
    return this.#conversation;
  }

  /** Whether no other conversation was begun since. */
  isCurrent(conversation: number): boolean {
    return conversation === this.#conversation;
  }

  /** Does something after the wait that an error calls for. */
  later(error: RealtimeError, run: () => void): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(run, Math.max(this.#retries.next(), error.retryAfterMs ?? 0));
  }

  /** There is a new connection: the waits are short again. */
  renewed(): void {
    this.#retries.reset();
    this.#rounds = 0;
    this.#partBytes = PART_BYTES;
  }

  /** Asks for what is missing, and sends what the server lacks. */
  synchronize(): void {
    const { client, room } = this.#owner;
    const conversation = this.begin();
    client.send("document_sync", { room, state_vector: this.stateVector }, (answer) => {
      if (!this.isCurrent(conversation)) return;
      if (!(answer instanceof RealtimeError)) this.merge(answer);
      else this.#notSynchronized(answer);
    });
  }

  #notSynchronized(error: RealtimeError): void {
    // Not in the room any more, or not yet: joining tells why.
    if (error.code === "conflict") this.#owner.join();
    else this.#owner.refused(error);
  }

  /**
   * The state vector to ask with. What was written here and is not acknowledged is asked for, so that it shows whether the server has
   * the same under those clocks.
   */
  get stateVector(): Uint8Array {
    const { doc } = this.#owner;
    return Y.encodeStateVector(this.#own.without(Y.decodeStateVector(Y.encodeStateVector(doc))));
  }

  /** Takes in what the server has, and sends what it lacks. */
  merge({ update, state_vector }: Answer): void {
    const { doc } = this.#owner;
    const hadNothing = doc.store.clients.size === 0 && !doc.store.pendingStructs;
    const known = { stateVector: bytes(state_vector), update: update && bytes(update) };
    if (known.update && this.#own.isOpen && isForged(doc, known.update)) {
      this.#reclaim(new RealtimeError("conflict", OTHER_CONTENT), OTHER_CONTENT);
      return;
    }
    if (known.update && !this.#apply(known.update)) {
      this.#owner.become({ synced: false, error: CANNOT_BE_APPLIED });
      this.later(CANNOT_BE_APPLIED, () => this.synchronize());
      return;
    }
    this.#isBroken = false;
    // Unless something here has answered what came by writing at once.
    if (hadNothing && this.unsaved === 0) this.#answer(NOTHING);
    else this.#answer(lacking(doc, known, this.#arrivals.recent()));
    this.#owner.become({ synced: true });
  }

  #answer(difference: Lacking): void {
    const { readOnly } = this.#owner.state;
    const isCovered = isEmpty(difference) && !difference.isHeldBack;
    this.#rounds = isCovered ? 0 : this.#rounds + 1;
    if (isCovered) this.#isPending = false;
    const parts = readOnly ? undefined : this.#sendable(encodeParts(difference, this.#partBytesMax));
    if (!isCovered) this.#outbox.doubt();
    if (parts) this.#outbox.open(parts);
    else if (isCovered) this.#outbox.clear();
    if (difference.isHeldBack) this.#outbox.doubt();
    if (readOnly || parts) this.#isAsking = false;
    if (!isCovered && (readOnly || difference.isHeldBack)) this.#checkWithin(Math.max(DOUBT_MS, this.#wait()));
  }

  /** The waits of someone who asks whether the server has something by now. */
  #wait(): number {
    if (this.#rounds < 2) return 0;
    const longest = Math.min(RECHECK_MAX_MS, RECHECK_FIRST_MS * 2 ** Math.min(this.#rounds - 2, 30));
    return longest * (0.5 + Math.random() / 2);
  }

  #checkWithin(wait: number): void {
    const at = performance.now() + wait;
    if (this.#retry || (this.#check && this.#check.at <= at)) return;
    clearTimeout(this.#check?.timer);
    const timer = setTimeout(() => this.synchronize(), wait);
    this.#check = { at, timer };
  }

  #apply(update: Uint8Array): boolean {
    try {
      Y.applyUpdate(this.#owner.doc, update, this.#owner.origin);
      return true;
    } catch (cause) {
      if (!this.#isBroken) console.error(`${this.#owner.room}: an update of the server cannot be applied`, cause);
      this.#isBroken = true;
      return false;
    }
  }

  get #partBytesMax(): number {
    return Math.min(this.#partBytes, this.#updateBytesMax);
  }

  get #updateBytesMax(): number {
    return this.#owner.client.connection?.limits.update_bytes ?? Infinity;
  }

  /** The parts, unless one is larger than the server takes, which is said. */
  #sendable(parts: Uint8Array[]): Uint8Array[] | undefined {
    if (parts.every((part) => part.byteLength <= this.#updateBytesMax)) return parts;
    this.begin();
    this.#owner.become({ error: new RealtimeError("too_large") });
    return undefined;
  }

  #send(part: Uint8Array, answered: (outcome: Outcome) => void): void {
    const conversation = this.#conversation;
    const { client, room } = this.#owner;
    const payload = { room, update: part };
    const heard = (answer: Requests["document_update"]["ack"] | RealtimeError) => {
      if (!this.isCurrent(conversation)) return;
      if (answer instanceof RealtimeError) this.#refused(answer, part.byteLength);
      else this.#acknowledged(part, answer.pending ? "pending" : "saved", answered);
    };
    // The ack may wait for the database for as long as that is away.
    client.send("document_update", payload, heard, Infinity);
  }

  #acknowledged(part: Uint8Array, outcome: Outcome, answered: (outcome: Outcome) => void): void {
    if (outcome === "saved") this.#own.acknowledged(part);
    answered(outcome);
  }

  #delivered(outcome: Outcome): void {
    if (outcome === "pending") this.#isPending = true;
    else if (this.unsaved === 0) this.#saved();
    if (!this.#isPending) return;
    // Until the server says itself that it has everything.
    this.#outbox.doubt();
    this.#checkWithin(this.#wait());
  }

  #saved(): void {
    this.#retries.reset();
    this.#own.saved(this.#owner.doc);
  }

  /** The server cannot take what was written here under its clocks: it is written again under a new client id. */
  #reclaim(error: RealtimeError, reason: string): void {
    const { client, room, doc, origin } = this.#owner;
    const conversation = this.begin();
    this.#owner.become({ error });
    client.send("document_sync", { room, state_vector: EVERYTHING }, (answer) => {
      if (!this.isCurrent(conversation)) return;
      if (answer instanceof RealtimeError) {
        this.#notSynchronized(answer);
        return;
      }
      const server = { stateVector: bytes(answer.state_vector), update: bytes(answer.update) };
      try {
        const refused = reason === NO_PLACE ? this.#own.ids : [];
        const content = reclaim(doc, server, refused);
        // Nothing differs: it may have been a moment's state.
        if (!content) throw error;
        replaceContent(doc, content, origin);
      } catch (cause) {
        if (cause !== error) console.error(`${room}: what was written here cannot be written again`, cause);
        this.later(error, () => this.#owner.join());
        return;
      }
      this.#own.forget();
      this.#owner.rebuilt();
      this.#answer(lacking(doc, server));
      this.#owner.become({ synced: true });
    });
  }

  #refused(error: RealtimeError, partBytes: number): void {
    if (error.code === "disconnected") return;
    this.begin();
    if (error.code === "too_large" && partBytes > PART_BYTES_MIN) {
      // It may be too much work rather than too many bytes.
      this.#partBytes = Math.max(PART_BYTES_MIN, Math.min(this.#partBytes, partBytes) / 4);
      this.synchronize();
      return;
    }
    const reason = REWRITTEN.find((words) => error.message.includes(words));
    if (error.code === "conflict" && reason !== undefined) {
      this.#reclaim(error, reason);
      return;
    }
    this.#owner.become({ error });
    if (error.retryable || error.code === "internal") this.later(error, () => this.synchronize());
    else if (error.code === "forbidden" || error.code === "conflict") this.later(error, () => this.#owner.join());
  }
}

/** The words of a `conflict` that is about content: the server has another under the same clocks. */
const OTHER_CONTENT = "other content";

/** The words of a `conflict` about where something stands: no server can take it as it is. */
const NO_PLACE = "no place";

/** What makes a replica write its own again. */
const REWRITTEN = [OTHER_CONTENT, NO_PLACE];

/** A state vector of nothing: it asks for the whole document. */
const EVERYTHING = new Uint8Array([0]);

const CANNOT_BE_APPLIED = new RealtimeError("invalid", "what the server sent cannot be applied to this document", {
  field: "update",
  retryable: true,
});

const NOTHING: Lacking = { structs: [], ds: { clients: new Map() }, isHeldBack: false };
