import { ObservableV2 } from "lib0/observable";
import type { Awareness } from "y-protocols/awareness";
import * as Y from "yjs";
import type { RealtimeClient } from "./client.js";
import type { ConnectionStatus } from "./connection.js";
import { Cursors, ownAwareness } from "./cursors.js";
import type { CallablePromise, DocumentProviderEvents, DocumentProviderOptions } from "./document-options.js";
import { RealtimeError } from "./error.js";
import { Exchange, type Member } from "./exchange.js";
import { ObservedState } from "./observed-state.js";
import { Persisted, type Remembered } from "./persisted.js";
import { bytes, type DocumentMetadata, type Joined, type StorageStatus } from "./protocol.js";
import type { RoomEvents, RoomListener, RoomPayload } from "./rooms.js";
import { access, type DocumentState, type DocumentStatus } from "./state.js";
import { isListenedTo } from "./unheard.js";
import type { WaitOptions } from "./wait.js";

/**
 * A document on the server: synchronises a `Y.Doc` and its awareness with those of all other replicas.
 *
 * Edits made without a connection stay in `doc` and are merged after the reconnect. `saved` is true only when the server has
 * acknowledged that everything written here is in its database.
 *
 * If the server refuses the document or its edits for good, and nobody listens to that (to `change`, `status` or `error`, or by a
 * promise that waits), the error is written to the console.
 */
export class DocumentProvider extends ObservableV2<DocumentProviderEvents> implements RoomListener {
  readonly client: RealtimeClient;
  /** The document's name. */
  readonly room: string;
  readonly doc: Y.Doc;
  /** Cursors and selections. The provider sets its field `user` to the user of the session, unless the application sets it. */
  readonly awareness: Awareness;

  readonly #exchange: Exchange;
  readonly #cursors: Cursors | undefined;
  readonly #ownsAwareness: boolean;
  readonly #persisted: Persisted | undefined;
  readonly #state: ObservedState;
  #documentId: string | undefined;
  /** The value to which this provider has set the field `user` of the awareness. */
  #ownUser: object | undefined;
  #joined = false;
  #detach: (() => void) | undefined;
  #isDestroyed = false;

  /** @throws {RealtimeError} `conflict`, if the client has another provider of this room. */
  constructor(client: RealtimeClient, room: string, options: DocumentProviderOptions = {}) {
    super();
    this.client = client;
    this.room = room;
    // This comes first, because it may throw.
    if (options.connect ?? true) this.#detach = client.attach(room, this);
    this.doc = options.doc ?? new Y.Doc();
    this.#ownsAwareness = !options.awareness;
    this.#state = new ObservedState(this, options.preventUnsavedChanges ?? client.preventsUnsavedChanges, {
      unsaved: () => this.#exchange.unsaved,
      isTryingAgain: () => this.#exchange.isTryingAgain,
    });
    this.awareness = options.awareness ?? ownAwareness(this.doc);
    this.#exchange = new Exchange(this.#member());
    if (options.awareness !== null) {
      this.#cursors = new Cursors(this.awareness, (update) => this.#sendAwareness(update));
    }
    if (this.doc.store.clients.size > 0) this.#exchange.checkSoon();
    this.#persisted = options.persistence && new Persisted(options.persistence, room, this.doc);
    this.doc.on("update", this.#edited);
    this.doc.on("destroy", this.#docDestroyed);
    if (this.#detach) this.#start();
  }

  /** The state of the document. */
  get state(): DocumentState {
    return this.#state.current;
  }

  /** Whether the room is joined, or the provider is trying to join it: `state.status`. */
  get status(): DocumentStatus {
    return this.state.status;
  }

  /** Whether `doc` has everything that the server has: `state.synced`. */
  get synced(): boolean {
    return this.state.synced;
  }

  /** Whether everything in `doc` is durable on the server, and visible to everybody: `state.saved`. */
  get saved(): boolean {
    return this.state.saved;
  }

  /** The number of edits of this replica that are not known to be saved: `state.unsaved`. */
  get unsaved(): number {
    return this.state.unsaved;
  }

  /** Whether the server would refuse edits: `state.readOnly`. */
  get readOnly(): boolean {
    return this.state.readOnly;
  }

  /**
   * Resolves when `doc` has everything that the server has, for the first time. It can be awaited as it is, or called with options.
   *
   * @throws {RealtimeError} an error that cannot be retried, such as `forbidden`, `not_found`, or `unauthorized` where the client
   * has stopped; the error of a document that has `ended`; `timeout`; `disconnected`, if the provider was destroyed.
   */
  get whenSynced(): CallablePromise {
    return this.#state.waiters.synced;
  }

  /**
   * Resolves when all edits made before the call are saved, however long that takes.
   *
   * @throws {RealtimeError} as `whenSynced`; `forbidden`, if the token does not allow editing; an error because of which the server
   * does not accept the edits, such as `too_large`.
   */
  whenSaved(options?: WaitOptions): Promise<void> {
    return this.#state.waiters.saved(options);
  }

  /** Joins the room, and stays in it until `disconnect`. */
  connect(): void {
    if (this.#detach || this.state.ended || this.#isDestroyed) return;
    this.#detach = this.client.attach(this.room, this);
    this.#start();
  }

  /** Leaves the room. The document stays usable, and is synchronised after the next `connect`. */
  disconnect(): void {
    if (!this.#detach) return;
    this.#exchange.flush();
    if (this.#joined) this.client.send("leave_room", { room: this.room }, () => {});
    this.#leave({ status: "disconnected" });
  }

  /** Leaves the room for good. Neither `doc` nor an `awareness` from the options is destroyed. */
  override destroy(): void {
    if (this.#isDestroyed) return;
    this.disconnect();
    this.#isDestroyed = true;
    this.doc.off("update", this.#edited);
    this.doc.off("destroy", this.#docDestroyed);
    this.#cursors?.destroy();
    if (this.#ownsAwareness) this.awareness.destroy();
    void this.#persisted?.destroy();
    this.#state.close();
    super.destroy();
  }

  /** @internal */
  connected(): void {
    if (this.#persisted?.loading) return;
    this.#exchange.renewed();
    this.#join();
  }

  /** @internal */
  disconnected(): void {
    if (this.#detach) this.#pause({ status: "connecting" });
  }

  /** @internal Joins again, which is harmless: the answer has the new rights. */
  renewed(): void {
    this.connected();
  }

  /** @internal */
  statusChanged(status: ConnectionStatus): void {
    if (status === "disconnected") this.#state.change({ status, error: this.client.state.error });
    else if (this.status === "disconnected") this.#state.change({ status: "connecting", error: undefined });
  }

  /** @internal */
  get isHeard(): boolean {
    return isListenedTo(this, "change", "status", "error");
  }

  /** @internal */
  received(event: string, payload: RoomPayload): void {
    if (!Object.hasOwn(this.#on, event)) return;
    const handle = this.#on[event as keyof RoomEvents] as (payload: RoomPayload) => void;
    // Before the ack of the join the id of the document is not known. The ack contains what the other events report.
    if (this.#joined || event === "room_closed" || event === "document_created") handle(payload);
  }

  readonly #on: { [E in keyof RoomEvents]?: (payload: RoomEvents[E]) => void } = {
    document_update: ({ update }) => this.#exchange.receive(bytes(update)),
    document_resync: () => this.#exchange.synchronize(),
    document_storage: ({ status }) => this.#storageChanged(status),
    document_created: () => this.state.error?.code === "not_found" && this.connected(),
    document_changed: ({ document }) => this.#documentChanged(document),
    document_deleted: ({ document }) => this.#documentChanged(document),
    awareness_update: ({ update }) => this.#cursors?.receive(bytes(update)),
    room_closed: ({ code }) => this.#closed(new RealtimeError(code)),
  };

  readonly #edited = (update: Uint8Array, origin: unknown, _doc: Y.Doc, transaction: Y.Transaction) => {
    if (origin === this) return;
    if (transaction.local) this.#state.edited();
    if (this.#persisted?.isOrigin(origin)) this.#loaded(this.#persisted);
    else this.#exchange.edited(update, transaction);
  };

  readonly #docDestroyed = () => this.destroy();

  #start(): void {
    const { status, error } = this.client.state;
    if (status === "disconnected") this.#state.change({ status, error });
    else this.#state.change({ status: "connecting", error: undefined });
    if (this.#persisted?.loading) void this.#load(this.#persisted);
    else if (this.client.connection) this.#join();
  }

  async #load(persisted: Persisted): Promise<void> {
    this.#know(await persisted.load((known) => this.#loadedLate(known)));
    if (this.#detach && this.client.connection) this.#join();
  }

  #know({ documentId, permission }: Remembered): void {
    this.#documentId ??= documentId;
    if (permission && !this.state.permission) this.#state.change(access(permission));
  }

  /** Content of the copy has arrived. While it is unknown to which document it belongs, nothing is sent. */
  #loaded(persisted: Persisted): void {
    if (persisted.loading) this.#exchange.begin();
    this.#exchange.checkSoon();
  }

  /** The copy was read after the document had been opened without it. */
  #loadedLate(known: Remembered): void {
    if (this.state.ended) return;
    if (known.documentId && this.#documentId && known.documentId !== this.#documentId) {
      this.#documentId = known.documentId;
      this.#replaced();
      return;
    }
    this.#know(known);
    if (this.#detach && this.client.connection) this.#join();
  }

  #join(): void {
    const conversation = this.#exchange.begin();
    this.client.send("join_room", { room: this.room, ...this.#exchange.has() }, (answer) => {
      if (!this.#exchange.isCurrent(conversation)) return;
      if (answer instanceof RealtimeError) this.#refused(answer);
      else this.#joinAccepted(answer);
    });
  }

  #joinAccepted(answer: Joined): void {
    if (this.#documentId && this.#documentId !== answer.document_id) {
      this.#replaced();
      return;
    }
    this.#documentId = answer.document_id;
    this.#joined = true;
    const permission = answer.permission ?? "view";
    const rights = access(permission, answer.rights);
    void this.#persisted?.remember({ documentId: answer.document_id, permission });
    const { document, color, storage } = answer;
    this.#state.change({ ...rights, document, color, storage, status: "connected", error: undefined });
    this.#exchange.merge(answer);
    this.client.emit("joined", [this.room]);
    this.#showOwnUser();
    this.#cursors?.open(answer.awareness && bytes(answer.awareness));
  }

  #storageChanged(storage: StorageStatus): void {
    this.#state.change({ storage });
    this.#exchange.storageChanged();
  }

  #documentChanged(document: DocumentMetadata): void {
    if (document.document_id === this.#documentId) this.#state.change({ document });
  }

  /** The document has a new client id, and its content was inserted again. */
  #rebuilt(): void {
    this.#cursors?.rename(this.doc.clientID);
    if (this.#documentId && this.state.permission) {
      void this.#persisted?.renew({ documentId: this.#documentId, permission: this.state.permission });
    }
    this.emit("rebuilt", []);
  }

  /** Sets the field `user` of the awareness to the user of the session, unless the application has set it. */
  #showOwnUser(): void {
    const own = this.awareness.getLocalState();
    const user = this.client.connection?.user;
    if (!this.#cursors || !own || !user || (own.user !== undefined && own.user !== this.#ownUser)) return;
    this.#ownUser = { ...user, color: this.state.color ?? user.color };
    this.awareness.setLocalStateField("user", this.#ownUser);
  }

  #sendAwareness(update: Uint8Array): void {
    // Errors are ignored: a lost cursor appears again when it moves, or when its state is renewed.
    this.client.send("awareness_update", { room: this.room, update }, () => {});
  }

  #refused(error: RealtimeError): void {
    if (error.code === "disconnected") return;
    // A document is created when a user who may edit first opens it: a viewer waits for that.
    const wait = error.retryable || error.code === "not_found" || error.code === "internal";
    this.#pause({ status: wait ? "connecting" : "disconnected", error });
    if (wait) this.#exchange.later(error, () => this.#join());
  }

  #closed(error: RealtimeError): void {
    if (error.code === "not_found") this.#end("deleted", new RealtimeError("not_found", "the document was deleted"));
    else this.#refused(error);
  }

  #replaced(): void {
    this.#end("replaced", new RealtimeError("conflict", "the document was deleted, and another one has the same name"));
  }

  #end(ended: "deleted" | "replaced", error: RealtimeError): void {
    if (ended === "replaced") this.client.send("leave_room", { room: this.room }, () => {});
    if (this.#documentId) this.#persisted?.setAside(this.#documentId);
    this.#leave({ status: "disconnected", ended, error });
  }

  #leave(state: Partial<DocumentState>): void {
    this.#detach?.();
    this.#detach = undefined;
    this.#pause(state);
  }

  /** Notes that the room is not joined any more, or not yet. */
  #pause(state: Partial<DocumentState>): void {
    this.#exchange.begin();
    this.#joined = false;
    this.#cursors?.close();
    this.#state.change({ ...state, synced: false });
  }

  #member(): Member {
    const { client, room, doc } = this;
    const state = () => this.state;
    const isJoined = () => this.#joined;
    return {
      ...{ client, room, doc, origin: this },
      get state() {
        return state();
      },
      get isJoined() {
        return isJoined();
      },
      setState: (changes) => this.#state.change(changes),
      join: () => this.#join(),
      refused: (error) => this.#refused(error),
      rebuilt: () => this.#rebuilt(),
    };
  }
}
