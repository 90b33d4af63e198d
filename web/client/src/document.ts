import { ObservableV2 } from "lib0/observable";
import { Awareness } from "y-protocols/awareness";
import * as Y from "yjs";
import type { ConnectionStatus, RealtimeClient, RoomEvent, RoomListener } from "./client.js";
import { Cursors } from "./cursors.js";
import { RealtimeError } from "./error.js";
import { Exchange, type Owner } from "./exchange.js";
import { Persisted, type OpenPersistence } from "./persisted.js";
import { bytes, type Joined, type ServerEvents, type StorageStatus } from "./protocol.js";
import { UNKNOWN, access, isSame, type DocumentState, type DocumentStatus } from "./state.js";

/** What a provider works with. */
export interface DocumentProviderOptions {
  /** The document. Default: a new one. */
  doc?: Y.Doc | undefined;
  /** Cursors and selections. Default: new ones of `doc`; null for none. */
  awareness?: Awareness | null | undefined;
  /** Keeps a copy in the browser, so that a reload without the network loses nothing. */
  persistence?: OpenPersistence | undefined;
  /** Whether to join at once. Default: true. */
  connect?: boolean | undefined;
}

/** What a provider tells. The first three are those of other Yjs providers. */
export type DocumentProviderEvents = {
  status: (event: { status: DocumentStatus }) => void;
  sync: (synced: boolean) => void;
  synced: (synced: boolean) => void;
  /** The state is another one. */
  change: (state: DocumentState) => void;
};

/**
 * A document on the server: keeps a `Y.Doc` and its awareness in step with everyone else's.
 *
 * Edits made without a connection stay in `doc` and are merged on return. `saved` is true only when the server has said that
 * everything written here is in its database.
 */
export class DocumentProvider extends ObservableV2<DocumentProviderEvents> implements RoomListener {
  readonly client: RealtimeClient;
  /** The document's name. */
  readonly room: string;
  readonly doc: Y.Doc;
  /** Cursors and selections. Its field `user` is set to who one is to the server, unless the application sets it. */
  readonly awareness: Awareness;
  /** Resolves when all that the server has was here for the first time. */
  readonly whenSynced: Promise<void>;

  readonly #exchange: Exchange;
  readonly #cursors: Cursors | undefined;
  readonly #ownAwareness: boolean;
  readonly #persisted: Persisted | undefined;
  #state: DocumentState = UNKNOWN;
  #documentId: string | undefined;
  #introduced: object | undefined;
  #joined = false;
  #detach: (() => void) | undefined;
  #resolveSynced: () => void = () => {};
  #isDestroyed = false;

  /** @throws {RealtimeError} `conflict`, where the client has another provider of this room. */
  constructor(client: RealtimeClient, room: string, options: DocumentProviderOptions = {}) {
    super();
    this.client = client;
    this.room = room;
    // First, because it may throw.
    if (options.connect ?? true) this.#detach = client.attach(room, this);
    this.doc = options.doc ?? new Y.Doc();
    this.#ownAwareness = !options.awareness;
    this.awareness = options.awareness ?? new Awareness(this.doc);
    this.whenSynced = new Promise((resolve) => (this.#resolveSynced = resolve));
    this.#exchange = new Exchange(this.#owner());
    if (options.awareness !== null) {
      this.#cursors = new Cursors(this.awareness, (update) => this.#sendAwareness(update));
    }
    if (this.doc.store.clients.size > 0) this.#exchange.doubt();
    this.#persisted = options.persistence && new Persisted(options.persistence, room, this.doc);
    this.doc.on("update", this.#edited);
    this.doc.on("destroy", this.#docDestroyed);
    client.on("status", this.#clientChanged);
    if (this.#detach) this.#start();
  }

  /** How the document is. */
  get state(): DocumentState {
    return this.#state;
  }

  /** Whether there is a connection, and whether one is being tried. */
  get status(): DocumentStatus {
    return this.#state.status;
  }

  /** Whether all that the server has is here. */
  get synced(): boolean {
    return this.#state.synced;
  }

  /** Whether all that was written here is durable on the server. */
  get saved(): boolean {
    return this.#state.saved;
  }

  /** How many edits of this replica are not known to be durable. */
  get unsaved(): number {
    return this.#state.unsaved;
  }

  /** Whether edits would be refused. */
  get readOnly(): boolean {
    return this.#state.readOnly;
  }

  /** Resolves when everything written here until then is durable. It waits as long as that takes. */
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

  /** Joins the room, and stays in it until told otherwise. */
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

  /** Leaves the room for good. Neither `doc` nor an `awareness` that was handed in is destroyed. */
  override destroy(): void {
    if (this.#isDestroyed) return;
    this.disconnect();
    this.#isDestroyed = true;
    this.doc.off("update", this.#edited);
    this.doc.off("destroy", this.#docDestroyed);
    this.client.off("status", this.#clientChanged);
    this.#cursors?.destroy();
    if (this.#ownAwareness) this.awareness.destroy();
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

  /** @internal Joining again is harmless, and tells the rights. */
  renewed(): void {
    this.connected();
  }

  /** @internal */
  received<E extends RoomEvent>(event: E, payload: ServerEvents[E]): void {
    const handle = this.#on[event] as (payload: ServerEvents[E]) => void;
    // Until the ack of the join nothing is known about whose document this is; what the ack carries makes up for it.
    if (this.#joined || event === "room_closed") handle(payload);
  }

  readonly #on: { [E in RoomEvent]: (payload: ServerEvents[E]) => void } = {
    document_update: ({ update }) => this.#exchange.receive(bytes(update)),
    document_resync: () => this.#exchange.synchronize(),
    document_storage: ({ status }) => this.#stored(status),
    awareness_update: ({ update }) => this.#cursors?.receive(bytes(update)),
    room_closed: ({ code }) => this.#closed(new RealtimeError(code)),
  };

  readonly #edited = (update: Uint8Array, origin: unknown, _doc: Y.Doc, transaction: Y.Transaction) => {
    if (origin === this) return;
    if (this.#persisted?.isOrigin(origin)) this.#exchange.doubt();
    else this.#exchange.edited(update, transaction);
  };

  readonly #clientChanged = (status: ConnectionStatus) => {
    if (!this.#detach) return;
    if (status === "disconnected") this.#become({ status, error: this.client.state.error });
    else if (this.status === "disconnected") this.#become({ status: "connecting", error: undefined });
  };

  readonly #docDestroyed = () => this.destroy();

  #start(): void {
    this.#become({ status: "connecting", error: undefined });
    if (this.#persisted?.loading) void this.#load(this.#persisted);
    else if (this.client.connection) this.#join();
  }

  async #load(persisted: Persisted): Promise<void> {
    const known = await persisted.load();
    this.#documentId ??= known.documentId;
    if (known.permission && !this.#state.permission) this.#become(access(known.permission));
    if (this.#detach && this.client.connection) this.#join();
  }

  #join(): void {
    const conversation = this.#exchange.begin();
    this.client.send("join_room", { room: this.room, state_vector: Y.encodeStateVector(this.doc) }, (answer) => {
      if (!this.#exchange.isCurrent(conversation)) return;
      if (answer instanceof RealtimeError) this.#refused(answer);
      else this.#entered(answer);
    });
  }

  #entered(answer: Joined): void {
    if (this.#documentId && this.#documentId !== answer.document_id) {
      this.#end("replaced", new RealtimeError("conflict", "the document was deleted, and another one has its name"));
      return;
    }
    this.#documentId = answer.document_id;
    this.#joined = true;
    const permission = answer.permission ?? "view";
    const rights = access(permission, answer.rights);
    void this.#persisted?.remember({ documentId: answer.document_id, permission });
    this.#become({ ...rights, status: "connected", storage: answer.storage, error: undefined });
    this.#exchange.merge(answer);
    this.#introduce();
    this.#cursors?.open(answer.awareness && bytes(answer.awareness));
  }

  #stored(storage: StorageStatus): void {
    this.#become({ storage });
    this.#exchange.storageChanged();
  }

  /** Says who sits here, where the application does not. */
  #introduce(): void {
    const own = this.awareness.getLocalState();
    const user = this.client.connection?.user;
    if (!this.#cursors || !own || !user || (own.user !== undefined && own.user !== this.#introduced)) return;
    this.#introduced = { ...user };
    this.awareness.setLocalStateField("user", this.#introduced);
  }

  #sendAwareness(update: Uint8Array): void {
    // A lost cursor is shown again by its next move or renewal.
    this.client.send("awareness_update", { room: this.room, update }, () => {});
  }

  #refused(error: RealtimeError): void {
    if (error.code === "disconnected") return;
    // A document comes into being when someone who may edit opens it: a viewer waits.
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

  /** Not in the room for now. */
  #pause(state: Partial<DocumentState>): void {
    this.#exchange.begin();
    this.#joined = false;
    this.#cursors?.close();
    this.#become({ ...state, synced: false });
  }

  #become(changes: Partial<DocumentState>): void {
    const before = this.#state;
    const { unsaved } = this.#exchange;
    const state = { ...before, ...changes, unsaved, saved: unsaved === 0 };
    // Whatever stood in the way has been overcome.
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

  #owner(): Owner {
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
      become: (changes) => this.#become(changes),
      join: () => this.#join(),
      refused: (error) => this.#refused(error),
    };
  }
}
