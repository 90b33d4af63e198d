import { ObservableV2 } from "lib0/observable";
import { Awareness } from "y-protocols/awareness";
import * as Y from "yjs";
import type { ConnectionStatus, RealtimeClient, RoomEvent, RoomListener } from "./client.js";
import { Cursors } from "./cursors.js";
import { RealtimeError } from "./error.js";
import { Exchange, type Member } from "./exchange.js";
import { Persisted, type OpenPersistence } from "./persisted.js";
import { bytes, type Joined, type ServerEvents, type StorageStatus } from "./protocol.js";
import { INITIAL_STATE, access, isSame, type DocumentState, type DocumentStatus } from "./state.js";

/** The options of a provider. */
export interface DocumentProviderOptions {
  /** The document. Default: a new one. */
  doc?: Y.Doc | undefined;
  /** The awareness: cursors and selections. Default: a new one for `doc`. Null: cursors are neither sent nor received. */
  awareness?: Awareness | null | undefined;
  /** Keeps a copy in the browser, so that a reload without the network loses no edits. */
  persistence?: OpenPersistence | undefined;
  /** Whether to join the room at once. Default: true. */
  connect?: boolean | undefined;
}

/** The events of a provider. Other Yjs providers have the first three as well. */
export type DocumentProviderEvents = {
  status: (event: { status: DocumentStatus }) => void;
  sync: (synced: boolean) => void;
  synced: (synced: boolean) => void;
  /** The state changed. */
  change: (state: DocumentState) => void;
  /**
   * The server has other content under the Yjs client id of this replica, or refused an element that has no place. `doc` has a new
   * client id, and its content was removed and inserted again: clear the history of an undo manager.
   */
  rebuilt: () => void;
};

/**
 * A document on the server: synchronises a `Y.Doc` and its awareness with those of all other replicas.
 *
 * Edits made without a connection stay in `doc` and are merged after the reconnect. `saved` is true only when the server has
 * acknowledged that everything written here is in its database.
 */
export class DocumentProvider extends ObservableV2<DocumentProviderEvents> implements RoomListener {
  readonly client: RealtimeClient;
  /** The document's name. */
  readonly room: string;
  readonly doc: Y.Doc;
  /** Cursors and selections. The provider sets its field `user` to the user of the session, unless the application sets it. */
  readonly awareness: Awareness;
  /** Resolves when `doc` has everything that the server has, for the first time. */
  readonly whenSynced: Promise<void>;

  readonly #exchange: Exchange;
  readonly #cursors: Cursors | undefined;
  readonly #ownsAwareness: boolean;
  readonly #persisted: Persisted | undefined;
  #state: DocumentState = INITIAL_STATE;
  #documentId: string | undefined;
  /** The value to which this provider has set the field `user` of the awareness. */
  #ownUser: object | undefined;
  #joined = false;
  #detach: (() => void) | undefined;
  #resolveSynced: () => void = () => {};
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
    this.awareness = options.awareness ?? new Awareness(this.doc);
    this.whenSynced = new Promise((resolve) => (this.#resolveSynced = resolve));
    this.#exchange = new Exchange(this.#member());
    if (options.awareness !== null) {
      this.#cursors = new Cursors(this.awareness, (update) => this.#sendAwareness(update));
    }
    if (this.doc.store.clients.size > 0) this.#exchange.checkSoon();
    this.#persisted = options.persistence && new Persisted(options.persistence, room, this.doc);
    this.doc.on("update", this.#edited);
    this.doc.on("destroy", this.#docDestroyed);
    client.on("status", this.#clientChanged);
    if (this.#detach) this.#start();
  }

  /** The state of the document. */
  get state(): DocumentState {
    return this.#state;
  }

  /** Whether the room is joined, or the provider is trying to join it: `state.status`. */
  get status(): DocumentStatus {
    return this.#state.status;
  }

  /** Whether `doc` has everything that the server has: `state.synced`. */
  get synced(): boolean {
    return this.#state.synced;
  }

  /** Whether everything in `doc` is durable on the server, and visible to everybody: `state.saved`. */
  get saved(): boolean {
    return this.#state.saved;
  }

  /** The number of edits of this replica that are not known to be saved: `state.unsaved`. */
  get unsaved(): number {
    return this.#state.unsaved;
  }

  /** Whether the server would refuse edits: `state.readOnly`. */
  get readOnly(): boolean {
    return this.#state.readOnly;
  }

  /** Resolves when all edits made before the call are saved, however long that takes. */
  whenSaved(): Promise<void> {
    if (this.saved) return Promise.resolve();
    return new Promise((resolve) => {
      const check = ({ saved }: DocumentState) => {
        if (!saved) return;
        this.off("change", check);
        resolve();
      };
      this.on("change", check);
    });
  }

  /** Joins the room, and stays in it until `disconnect`. */
  connect(): void {
    if (this.#detach || this.#state.ended || this.#isDestroyed) return;
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
    this.client.off("status", this.#clientChanged);
    this.#cursors?.destroy();
    if (this.#ownsAwareness) this.awareness.destroy();
    void this.#persisted?.destroy();
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
  received<E extends RoomEvent>(event: E, payload: ServerEvents[E]): void {
    const handle = this.#on[event] as (payload: ServerEvents[E]) => void;
    // Before the ack of the join the id of the document is not known. The ack contains what these events report.
    if (this.#joined || event === "room_closed") handle(payload);
  }

  readonly #on: { [E in RoomEvent]: (payload: ServerEvents[E]) => void } = {
    document_update: ({ update }) => this.#exchange.receive(bytes(update)),
    document_resync: () => this.#exchange.synchronize(),
    document_storage: ({ status }) => this.#storageChanged(status),
    awareness_update: ({ update }) => this.#cursors?.receive(bytes(update)),
    room_closed: ({ code }) => this.#closed(new RealtimeError(code)),
  };

  readonly #edited = (update: Uint8Array, origin: unknown, _doc: Y.Doc, transaction: Y.Transaction) => {
    if (origin === this) return;
    if (this.#persisted?.isOrigin(origin)) this.#exchange.checkSoon();
    else this.#exchange.edited(update, transaction);
  };

  readonly #clientChanged = (status: ConnectionStatus) => {
    if (!this.#detach) return;
    if (status === "disconnected") this.#setState({ status, error: this.client.state.error });
    else if (this.status === "disconnected") this.#setState({ status: "connecting", error: undefined });
  };

  readonly #docDestroyed = () => this.destroy();

  #start(): void {
    this.#setState({ status: "connecting", error: undefined });
    if (this.#persisted?.loading) void this.#load(this.#persisted);
    else if (this.client.connection) this.#join();
  }

  async #load(persisted: Persisted): Promise<void> {
    const known = await persisted.load();
    this.#documentId ??= known.documentId;
    if (known.permission && !this.#state.permission) this.#setState(access(known.permission));
    if (this.#detach && this.client.connection) this.#join();
  }

  #join(): void {
    const conversation = this.#exchange.begin();
    this.client.send("join_room", { room: this.room, state_vector: this.#exchange.stateVector }, (answer) => {
      if (!this.#exchange.isCurrent(conversation)) return;
      if (answer instanceof RealtimeError) this.#refused(answer);
      else this.#joinAccepted(answer);
    });
  }

  #joinAccepted(answer: Joined): void {
    if (this.#documentId && this.#documentId !== answer.document_id) {
      this.#end(
        "replaced",
        new RealtimeError("conflict", "the document was deleted, and another one has the same name"),
      );
      return;
    }
    this.#documentId = answer.document_id;
    this.#joined = true;
    const permission = answer.permission ?? "view";
    const rights = access(permission, answer.rights);
    void this.#persisted?.remember({ documentId: answer.document_id, permission });
    this.#setState({ ...rights, status: "connected", storage: answer.storage, error: undefined });
    this.#exchange.merge(answer);
    this.#showOwnUser(answer.color);
    this.#cursors?.open(answer.awareness && bytes(answer.awareness));
  }

  #storageChanged(storage: StorageStatus): void {
    this.#setState({ storage });
    this.#exchange.storageChanged();
  }

  /** The document has a new client id, and its content was inserted again. */
  #rebuilt(): void {
    this.#cursors?.rename(this.doc.clientID);
    if (this.#documentId && this.#state.permission) {
      void this.#persisted?.renew({ documentId: this.#documentId, permission: this.#state.permission });
    }
    this.emit("rebuilt", []);
  }

  /**
   * Sets the field `user` of the awareness to the user of the session, with the colour that the server has chosen for this room,
   * unless the application has set it.
   */
  #showOwnUser(color: string | undefined): void {
    const own = this.awareness.getLocalState();
    const user = this.client.connection?.user;
    if (!this.#cursors || !own || !user || (own.user !== undefined && own.user !== this.#ownUser)) return;
    this.#ownUser = { ...user, ...(color !== undefined && { color }) };
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
    this.#setState({ ...state, synced: false });
  }

  #setState(changes: Partial<DocumentState>): void {
    const before = this.#state;
    const { unsaved } = this.#exchange;
    const state = { ...before, ...changes, unsaved, saved: unsaved === 0 };
    // The problem is solved if the document is joined, synchronised and saved.
    if (state.status === "connected" && state.synced && state.saved) state.error = undefined;
    if (isSame(before, state)) return;
    this.#state = state;
    if (state.status !== before.status) this.emit("status", [{ status: state.status }]);
    if (state.synced !== before.synced) {
      this.emit("sync", [state.synced]);
      this.emit("synced", [state.synced]);
    }
    if (state.synced) this.#resolveSynced();
    this.emit("change", [state]);
  }

  #member(): Member {
    const { client, room, doc } = this;
    const state = () => this.#state;
    const isJoined = () => this.#joined;
    return {
      ...{ client, room, doc, origin: this },
      get state() {
        return state();
      },
      get isJoined() {
        return isJoined();
      },
      setState: (changes) => this.#setState(changes),
      join: () => this.#join(),
      refused: (error) => this.#refused(error),
      rebuilt: () => this.#rebuilt(),
    };
  }
}
