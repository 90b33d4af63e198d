import * as Y from "yjs";
import { Arrivals } from "./arrivals.js";
import { Backoff } from "./backoff.js";
import type { RealtimeClient } from "./client.js";
import { differenceFrom, isEmpty, lackingIn, type Difference } from "./content.js";
import { hashOf, manyDeletions } from "./deletions.js";
import { RealtimeError } from "./error.js";
import { Outbox, type Outcome } from "./outbox.js";
import { bytes, type Has, type Requests, type Synced } from "./protocol.js";
import { OwnClocks } from "./own.js";
import { hasOtherContent, reclaim, replaceContent } from "./reclaim.js";
import { encodeParts, splitUpdate } from "./split.js";
import type { DocumentState } from "./state.js";

/** The member of a room whose document is synchronised. */
export interface Member {
  readonly client: RealtimeClient;
  readonly room: string;
  readonly doc: Y.Doc;
  /** The origin of the transactions that apply updates of the server. */
  readonly origin: object;
  readonly state: DocumentState;
  /** Whether the room is joined. */
  readonly isJoined: boolean;
  setState(changes: Partial<DocumentState>): void;
  join(): void;
  /** The server refuses the member, or has removed it from the room. */
  refused(error: RealtimeError): void;
  /** The document has a new client id, and its content was inserted again. */
  rebuilt(): void;
}

/** The answer to a join or a synchronisation. */
export type Answer = Pick<Synced, "state_vector"> & Partial<Synced>;

/** The size of the parts of a large update, small enough that the updates of others do not wait long behind one. */
const PART_BYTES = 512 * 1024;

/** The smallest size of the parts. Parts become smaller if the server answers `too_large` although their size is allowed. */
const PART_BYTES_MIN = 8 * 1024;

/** How many bytes may be sent and not acknowledged at once: a room accepts 16 MiB for all its members together. */
const WINDOW_BYTES = 2 * 1024 * 1024;

/** After edits from elsewhere, the client asks the server so many milliseconds later whether it has them. */
const CHECK_AFTER_MS = 500;

/** The waits before the server is asked again whether it still lacks something: none twice, then this and growing. */
const RECHECK_FIRST_MS = 500;
const RECHECK_MAX_MS = 30_000;

/** If a second update cannot be applied within so many milliseconds, synchronising at once did not help, and the client waits. */
const REPEATED_FAILURE_MS = 10_000;

/**
 * Synchronises the content of one document with the server: sends what the server lacks, and applies what it has.
 *
 * Edits made here are sent at once. Edits from elsewhere (y-webrtc, other tabs) are expected from their authors; those that the
 * server still lacks half a second later are sent from here. After each join and synchronisation everything that the server lacks
 * is sent, whoever wrote it.
 */
export class Exchange {
  readonly #member: Member;
  readonly #arrivals = new Arrivals();
  readonly #ownClocks = new OwnClocks();
  readonly #retries = new Backoff();
  readonly #outbox: Outbox;
  /** The number of the current conversation with the server, by which late answers to earlier ones are recognised and ignored. */
  #conversation = 0;
  /** While it is true, nothing is sent: an answer to a join or a synchronisation has to be merged first. */
  #isSynchronizing = true;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #check: { readonly at: number; readonly timer: ReturnType<typeof setTimeout> } | undefined;
  /** Whether the server has acknowledged edits as pending, which nobody sees yet. */
  #hasPending = false;
  #isTryingAgain = false;
  /** The deletions whose hash was sent with the last join or synchronisation, as an update. */
  #deletions: Uint8Array | undefined;
  /** The number of consecutive synchronisations in which the server lacked the same. */
  #roundsWithDifference = 0;
  /** What the server lacked in the last one. */
  #lacking = "";
  #partBytes = PART_BYTES;
  /** Whether it has been reported that an update of the server cannot be applied. */
  #isFailureReported = false;
  /** When an update of the server could not be applied. */
  #lastFailureAt = -Infinity;

  constructor(member: Member) {
    this.#member = member;
    // While the database is unavailable nothing is acknowledged, but others have to see the edits.
    const windowBytes = () => (member.state.storage === "unavailable" ? Infinity : WINDOW_BYTES);
    this.#outbox = new Outbox({
      cut: (update) => this.#sendable(splitUpdate(update, this.#partBytesMax)),
      send: (part, answered) => this.#send(part, answered),
      windowBytes,
      changed: () => member.setState({}),
      delivered: (outcome) => this.#delivered(outcome),
    });
  }

  /** The number of edits that are not known to be durable and visible to everybody. */
  get unsaved(): number {
    return this.#outbox.unsaved;
  }

  /** Takes a change of the document that this exchange did not make. */
  edited(update: Uint8Array, transaction: Y.Transaction): void {
    if (transaction.local) {
      this.#ownClocks.note(transaction);
      this.#outbox.add(update);
    } else {
      this.#arrivals.note(transaction);
      this.checkSoon();
    }
    // The change may have removed the content that the server refused.
    const { error } = this.#member.state;
    const isStuck = this.#member.isJoined && !this.#outbox.isOpen && !this.#retry;
    if (error && !error.retryable && isStuck) {
      this.#isTryingAgain = true;
      this.later(error, () => this.synchronize());
    }
  }

  /** Whether edits that the server did not accept are sent again, because others were made since. */
  get isTryingAgain(): boolean {
    return this.#isTryingAgain;
  }

  /** Notes that the document may have edits which the server lacks, and asks the server soon. */
  checkSoon(): void {
    this.#outbox.markUnsaved();
    if (!this.#isSynchronizing) this.#checkWithin(CHECK_AFTER_MS);
  }

  /** Applies an update of the server. */
  receive(update: Uint8Array): void {
    // If an answer is awaited, it contains the update as well.
    if (this.#apply(update) || this.#isSynchronizing) return;
    const isAgain = performance.now() - this.#lastFailureAt < REPEATED_FAILURE_MS;
    this.#lastFailureAt = performance.now();
    this.#member.setState({ synced: false });
    if (isAgain) this.later(CANNOT_BE_APPLIED, () => this.synchronize());
    else this.synchronize();
  }

  /** Sends the queued edits at once. */
  flush(): void {
    this.#outbox.flush();
  }

  /** The database of the server has become unavailable or available. */
  storageChanged(): void {
    this.#outbox.pump();
  }

  /** Begins a new conversation, and returns its number. Nothing is sent until its answer is merged. */
  begin(): number {
    clearTimeout(this.#retry);
    clearTimeout(this.#check?.timer);
    this.#retry = undefined;
    this.#check = undefined;
    this.#isSynchronizing = true;
    this.#outbox.close();
    this.#conversation += 1;
    return this.#conversation;
  }

  /** Whether no other conversation was begun since then. */
  isCurrent(conversation: number): boolean {
    return conversation === this.#conversation;
  }

  /** Calls `run` after a growing wait, or after the one that the server sent with the error if that is longer. */
  later(error: RealtimeError, run: () => void): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(run, Math.max(this.#retries.next(), error.retryAfterMs ?? 0));
  }

  /** Makes the waits short again, because there is a new connection or a new token. */
  renewed(): void {
    this.#retries.reset();
    this.#roundsWithDifference = 0;
    this.#partBytes = PART_BYTES;
  }

  /** Asks the server for what is missing here, and sends what the server lacks. */
  synchronize(): void {
    const { client, room } = this.#member;
    const conversation = this.begin();
    client.send("document_sync", { room, ...this.has() }, (answer) => {
      if (!this.isCurrent(conversation)) return;
      if (!(answer instanceof RealtimeError)) this.merge(answer);
      else this.#notSynchronized(answer);
    });
  }

  #notSynchronized(error: RealtimeError): void {
    // The room is not joined any more, or not yet: the answer to a join has the reason.
    if (error.code === "conflict") this.#member.join();
    else this.#member.refused(error);
  }

  /**
   * What a join or a synchronisation says of this replica. The state vector leaves out the edits of this replica that are not
   * acknowledged, so that the answer shows whether the server has the same content under their clocks.
   */
  has(): Has {
    const { doc } = this.#member;
    const clocks = this.#ownClocks.withoutUnsaved(Y.decodeStateVector(Y.encodeStateVector(doc)));
    this.#deletions = manyDeletions(doc);
    const hash = this.#deletions && { deletions_hash: hashOf(this.#deletions) };
    return { state_vector: Y.encodeStateVector(clocks), ...hash };
  }

  /** Applies what the server has, and sends what it lacks. */
  merge({ update, state_vector, deletions_omitted }: Answer): void {
    const { doc } = this.#member;
    const wasEmpty = doc.store.clients.size === 0 && !doc.store.pendingStructs;
    const deletions = deletions_omitted ? this.#deletions : undefined;
    this.#deletions = undefined;
    const known = { stateVector: bytes(state_vector), update: update && bytes(update), deletions };
    if (known.update && this.#ownClocks.hasUnsaved && hasOtherContent(doc, known.update)) {
      this.#reclaim(new RealtimeError("conflict", OTHER_CONTENT), OTHER_CONTENT);
      return;
    }
    if (known.update && !this.#apply(known.update)) {
      this.#member.setState({ synced: false, error: CANNOT_BE_APPLIED });
      this.later(CANNOT_BE_APPLIED, () => this.synchronize());
      return;
    }
    this.#isFailureReported = false;
    const lacking = lackingIn(known.stateVector, doc);
    if (lacking !== this.#lacking) {
      // The server has got what it lacked before, and new edits have come: it is not asked less often because of these.
      this.#lacking = lacking;
      this.#roundsWithDifference = Math.min(this.#roundsWithDifference, 1);
    }
    // A document that was empty has nothing to send, unless a listener has reacted to the update by writing.
    if (wasEmpty && this.unsaved === 0) this.#sendDifference(EMPTY_DIFFERENCE);
    else this.#sendDifference(differenceFrom(doc, known, this.#arrivals.recent()));
    this.#member.setState({ synced: true });
  }

  #sendDifference(difference: Difference): void {
    const { readOnly } = this.#member.state;
    const isComplete = isEmpty(difference) && !difference.isHeldBack;
    this.#roundsWithDifference = isComplete ? 0 : this.#roundsWithDifference + 1;
    if (isComplete) this.#hasPending = false;
    const parts = readOnly ? undefined : this.#sendable(encodeParts(difference, this.#partBytesMax));
    if (!isComplete) this.#outbox.markUnsaved();
    if (parts) this.#outbox.open(parts);
    else if (isComplete) this.#outbox.clear();
    if (difference.isHeldBack) this.#outbox.markUnsaved();
    if (readOnly || parts) this.#isSynchronizing = false;
    if (!isComplete && (readOnly || difference.isHeldBack)) this.#checkWithin(Math.max(CHECK_AFTER_MS, this.#wait()));
  }

  /** The wait before the server is asked again whether it still lacks something. */
  #wait(): number {
    if (this.#roundsWithDifference < 2) return 0;
    const longest = Math.min(RECHECK_MAX_MS, RECHECK_FIRST_MS * 2 ** Math.min(this.#roundsWithDifference - 2, 30));
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
      Y.applyUpdate(this.#member.doc, update, this.#member.origin);
      return true;
    } catch (cause) {
      if (!this.#isFailureReported)
        console.error(`${this.#member.room}: an update of the server cannot be applied`, cause);
      this.#isFailureReported = true;
      return false;
    }
  }

  get #partBytesMax(): number {
    return Math.min(this.#partBytes, this.#updateBytesMax);
  }

  get #updateBytesMax(): number {
    return this.#member.client.connection?.limits.update_bytes ?? Infinity;
  }

  /** The parts; undefined, and an error in the state, if one is larger than the server accepts. */
  #sendable(parts: Uint8Array[]): Uint8Array[] | undefined {
    if (parts.every((part) => part.byteLength <= this.#updateBytesMax)) return parts;
    this.begin();
    this.#isTryingAgain = false;
    this.#member.setState({ error: new RealtimeError("too_large") });
    return undefined;
  }

  #send(part: Uint8Array, answered: (outcome: Outcome) => void): void {
    const conversation = this.#conversation;
    const { client, room } = this.#member;
    const payload = { room, update: part };
    const onAnswer = (answer: Requests["document_update"]["ack"] | RealtimeError) => {
      if (!this.isCurrent(conversation)) return;
      if (answer instanceof RealtimeError) this.#refused(answer, part.byteLength);
      else this.#acknowledged(part, answer.pending ? "pending" : "saved", answered);
    };
    // No timeout, since the ack waits for as long as the database is unavailable.
    client.send("document_update", payload, onAnswer, Infinity);
  }

  #acknowledged(part: Uint8Array, outcome: Outcome, answered: (outcome: Outcome) => void): void {
    if (outcome === "saved") this.#ownClocks.acknowledged(part);
    answered(outcome);
  }

  #delivered(outcome: Outcome): void {
    if (outcome === "pending") this.#hasPending = true;
    else if (this.unsaved === 0) this.#saved();
    if (!this.#hasPending) return;
    // The edits stay unsaved until a synchronisation shows that the server has everything.
    this.#outbox.markUnsaved();
    this.#checkWithin(this.#wait());
  }

  #saved(): void {
    this.#isTryingAgain = false;
    this.#retries.reset();
    this.#ownClocks.saved(this.#member.doc);
  }

  /** Writes the edits of this replica again under a new client id, because the server cannot accept them under their clocks. */
  #reclaim(error: RealtimeError, reason: string): void {
    const { client, room, doc, origin } = this.#member;
    const conversation = this.begin();
    this.#member.setState({ error });
    client.send("document_sync", { room, state_vector: EMPTY_STATE_VECTOR }, (answer) => {
      if (!this.isCurrent(conversation)) return;
      if (answer instanceof RealtimeError) {
        this.#notSynchronized(answer);
        return;
      }
      const server = { stateVector: bytes(answer.state_vector), update: bytes(answer.update) };
      try {
        const refused = reason === NO_PLACE ? this.#ownClocks.clients : [];
        const content = reclaim(doc, server, refused);
        // Nothing differs: the conflict may have been temporary, so the room is joined again later.
        if (!content) throw error;
        replaceContent(doc, content, origin);
      } catch (cause) {
        if (cause !== error) console.error(`${room}: the edits of this replica cannot be written again`, cause);
        this.later(error, () => this.#member.join());
        return;
      }
      this.#ownClocks.forget();
      this.#member.rebuilt();
      this.#sendDifference(differenceFrom(doc, server));
      this.#member.setState({ synced: true });
    });
  }

  #refused(error: RealtimeError, partBytes: number): void {
    if (error.code === "disconnected") return;
    this.begin();
    if (error.code === "too_large" && partBytes > PART_BYTES_MIN) {
      // The part may be too much work for the server, rather than too many bytes.
      this.#partBytes = Math.max(PART_BYTES_MIN, Math.min(this.#partBytes, partBytes) / 4);
      this.synchronize();
      return;
    }
    const reason = RECLAIM_REASONS.find((part) => error.message.includes(part));
    if (error.code === "conflict" && reason !== undefined) {
      this.#reclaim(error, reason);
      return;
    }
    this.#isTryingAgain = false;
    this.#member.setState({ error });
    if (error.retryable || error.code === "internal") this.later(error, () => this.synchronize());
    else if (error.code === "forbidden" || error.code === "conflict") this.later(error, () => this.#member.join());
  }
}

/** A part of the message of a `conflict`: the server has other content under the same clocks. */
const OTHER_CONTENT = "other content";

/** A part of the message of a `conflict`: an element has no place between its neighbours, and no server can accept it. */
const NO_PLACE = "no place";

/** The reasons for which a replica writes its own edits again. */
const RECLAIM_REASONS = [OTHER_CONTENT, NO_PLACE];

/** The state vector of an empty document: with it the server answers with the whole document. */
const EMPTY_STATE_VECTOR = new Uint8Array([0]);

const CANNOT_BE_APPLIED = new RealtimeError("invalid", "an update of the server cannot be applied to this document", {
  field: "update",
  retryable: true,
});

const EMPTY_DIFFERENCE: Difference = { structs: [], ds: { clients: new Map() }, isHeldBack: false };
