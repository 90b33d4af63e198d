/**
 * The classes of `@hocuspocus/provider` on a Realtime Server: an application that uses them changes the import, and the address and
 * the token in the constructor.
 *
 * ```ts
 * import { HocuspocusProvider } from "@realtime-server/client/hocuspocus";
 * const provider = new HocuspocusProvider({ url: "wss://realtime.example.com", name: "article-42", document, token: fetchToken });
 * ```
 *
 * `provider.provider` and `provider.client` are those of this package, with all that the original classes do not have. Absent are
 * stateless messages, and the events `message` and `outgoingMessage`, because the wire protocol is another one.
 *
 * @module
 */
import { ObservableV2 } from "lib0/observable";
import type { Awareness } from "y-protocols/awareness";
import type * as Y from "yjs";
import type { RealtimeClient } from "./client.js";
import type { ConnectionStatus } from "./connection.js";
import { DocumentProvider } from "./document.js";
import type { RealtimeError } from "./error.js";
import { HocuspocusProviderWebsocket, closeEvent, type CloseEvent, type HocuspocusToken } from "./hocuspocus-socket.js";
import type { DocumentState } from "./state.js";
import { isListenedTo, reportUnheard } from "./unheard.js";

export { HocuspocusProviderWebsocket, type CloseEvent, type HocuspocusToken } from "./hocuspocus-socket.js";
export type { HocuspocusProviderWebsocketConfiguration } from "./hocuspocus-socket.js";

/** Whether the user may edit. */
export type AuthorizedScope = "read-write" | "readonly";

/** The awareness states as a list. */
export type StatesArray = ({ clientId: number } & Record<string, unknown>)[];

/** The events of a provider. */
export type HocuspocusProviderEvents = {
  open: (data: { event: Event }) => void;
  connect: () => void;
  /** The document is open. */
  authenticated: (data: { scope: AuthorizedScope }) => void;
  /** The server refuses the token or the document for good: `reason` is the code of the error, such as `forbidden`. */
  authenticationFailed: (data: { reason: string }) => void;
  status: (data: { status: ConnectionStatus }) => void;
  /** The document has everything that the server has. */
  synced: (data: { state: boolean }) => void;
  /** The number of edits that are not saved. */
  unsyncedChanges: (data: { number: number }) => void;
  close: (data: { event: CloseEvent }) => void;
  disconnect: (data: { event: CloseEvent }) => void;
  destroy: () => void;
  awarenessUpdate: (data: { states: StatesArray }) => void;
  awarenessChange: (data: { states: StatesArray }) => void;
};

/** The options that are called like the events: `onSynced` for `synced`. */
type Handlers = { [E in keyof HocuspocusProviderEvents as `on${Capitalize<E>}`]?: HocuspocusProviderEvents[E] };

/** The configuration of a provider: `url`, or a `websocketProvider` that several documents share. */
export interface HocuspocusProviderConfiguration extends Handlers {
  /** The name of the document. */
  name: string;
  /** The origin of the server, without a path: `wss://…` or `https://…`. Default: the origin of the page. */
  url?: string | undefined;
  websocketProvider?: HocuspocusProviderWebsocket | undefined;
  /** Default: a new one. */
  document?: Y.Doc | undefined;
  /** Null: cursors are neither sent nor received. Default: a new one. */
  awareness?: Awareness | null | undefined;
  /** A token, or a function that returns one. A function can return a new token before the old one expires. */
  token?: HocuspocusToken;
  /** Whether to connect at once, without a `websocketProvider`. Default: true. */
  autoConnect?: boolean | undefined;
}

/** A document with the properties, methods and events of the provider of Hocuspocus. */
export class HocuspocusProvider {
  readonly configuration: HocuspocusProviderConfiguration & { websocketProvider: HocuspocusProviderWebsocket };
  readonly document: Y.Doc;
  readonly awareness: Awareness | null;
  /** The provider of this package. */
  readonly provider: DocumentProvider;
  isAuthenticated = false;
  authorizedScope: AuthorizedScope | undefined;

  readonly #events = new ObservableV2<HocuspocusProviderEvents>();
  readonly #ownsSocket: boolean;
  #state: DocumentState;

  /** @throws {RealtimeError} `conflict`, if the socket has another provider of this name; `invalid`, if `url` has a path. */
  constructor(configuration: HocuspocusProviderConfiguration) {
    const { url, autoConnect, token, name } = configuration;
    this.#ownsSocket = !configuration.websocketProvider;
    const socket = configuration.websocketProvider ?? new HocuspocusProviderWebsocket({ url, autoConnect, token });
    this.configuration = { ...configuration, websocketProvider: socket };
    for (const [option, handler] of Object.entries(configuration)) {
      const event = /^on([A-Z])(\w+)$/.exec(option);
      if (event?.[1] && event[2] && typeof handler === "function") {
        this.on((event[1].toLowerCase() + event[2]) as keyof HocuspocusProviderEvents, handler as () => void);
      }
    }
    this.provider = new DocumentProvider(socket.client, name, {
      doc: configuration.document,
      awareness: configuration.awareness,
    });
    this.document = this.provider.doc;
    this.awareness = configuration.awareness === null ? null : this.provider.awareness;
    this.#state = this.provider.state;
    this.provider.on("change", this.#changed);
    this.awareness?.on("update", this.#awarenessUpdated);
    this.awareness?.on("change", this.#awarenessChanged);
    socket.attach(this.#socketListener, token);
  }

  /** The client of this package. */
  get client(): RealtimeClient {
    return this.provider.client;
  }

  /** Whether the document has everything that the server has. */
  get isSynced(): boolean {
    return this.provider.synced;
  }

  /** As `isSynced`. */
  get synced(): boolean {
    return this.provider.synced;
  }

  /** The number of edits that are not saved: acknowledged by the server as durable, and visible to everybody. */
  get unsyncedChanges(): number {
    return this.provider.unsaved;
  }

  /** Whether there are edits that are not saved. */
  get hasUnsyncedChanges(): boolean {
    return !this.provider.saved;
  }

  /** Whether the provider is in the document's room, or tries to join it while there is a connection. */
  get isAttached(): boolean {
    return this.provider.status !== "disconnected";
  }

  on<E extends keyof HocuspocusProviderEvents>(event: E, listener: HocuspocusProviderEvents[E]): this {
    this.#events.on(event, listener);
    return this;
  }

  off<E extends keyof HocuspocusProviderEvents>(event: E, listener: HocuspocusProviderEvents[E]): this {
    this.#events.off(event, listener);
    return this;
  }

  /** Sets a field of the own awareness state. @throws if the configuration has `awareness: null`. */
  setAwarenessField(key: string, value: unknown): void {
    if (!this.awareness) throw new Error(`the field ${key} cannot be set: the configuration has awareness: null`);
    this.awareness.setLocalStateField(key, value);
  }

  /** Connects, if the socket is not shared, and joins the room. */
  connect(): Promise<void> {
    if (this.#ownsSocket) this.client.connect();
    this.provider.connect();
    return Promise.resolve();
  }

  /** Leaves the room, and ends the connection if it is not shared. The document stays usable. */
  disconnect(): void {
    if (this.#ownsSocket) this.client.disconnect();
    else this.provider.disconnect();
  }

  /** Joins the room. */
  attach(): void {
    this.provider.connect();
  }

  /** Leaves the room. */
  detach(): void {
    this.provider.disconnect();
  }

  /** Leaves the room for good, and ends the connection if it is not shared. `document` is not destroyed. */
  destroy(): void {
    this.#events.emit("destroy", []);
    this.awareness?.off("update", this.#awarenessUpdated);
    this.awareness?.off("change", this.#awarenessChanged);
    this.provider.off("change", this.#changed);
    this.provider.destroy();
    const { websocketProvider } = this.configuration;
    websocketProvider.detach(this.#socketListener);
    if (this.#ownsSocket) websocketProvider.destroy();
    this.#events.destroy();
  }

  readonly #socketListener = {
    status: (status: ConnectionStatus) => {
      this.#events.emit("status", [{ status }]);
      if (status !== "connected") return;
      this.#events.emit("open", [{ event: new Event("open") }]);
      this.#events.emit("connect", []);
    },
    closed: (event: CloseEvent) => {
      this.#events.emit("close", [{ event }]);
      this.#events.emit("disconnect", [{ event }]);
    },
  };

  readonly #changed = (state: DocumentState) => {
    const before = this.#state;
    this.#state = state;
    const scope = state.readOnly ? "readonly" : "read-write";
    if (state.status === "connected" && (!this.isAuthenticated || scope !== this.authorizedScope)) {
      this.isAuthenticated = true;
      this.authorizedScope = scope;
      this.#events.emit("authenticated", [{ scope }]);
    }
    if (state.status !== "connected") this.isAuthenticated = false;
    if (state.unsaved !== before.unsaved) this.#events.emit("unsyncedChanges", [{ number: state.unsaved }]);
    if (state.synced && !before.synced) this.#events.emit("synced", [{ state: true }]);
    if (state.status === "disconnected" && state.error && state.error !== before.error) this.#refused(state.error);
  };

  #refused(error: RealtimeError): void {
    const isHeard = () => isListenedTo(this.#events, "authenticationFailed", "status", "close", "disconnect");
    reportUnheard(`The document ${this.configuration.name}`, error, isHeard);
    this.#events.emit("authenticationFailed", [{ reason: error.code }]);
    if (!this.client.state.error) this.#socketListener.closed(closeEvent(error));
  }

  readonly #awarenessUpdated = () => this.#events.emit("awarenessUpdate", [{ states: this.#states() }]);

  readonly #awarenessChanged = () => this.#events.emit("awarenessChange", [{ states: this.#states() }]);

  #states(): StatesArray {
    return [...(this.awareness?.getStates() ?? [])].map(([clientId, state]) => ({ clientId, ...state }));
  }
}
