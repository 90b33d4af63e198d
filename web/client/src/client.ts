import { ObservableV2 } from "lib0/observable";
import { io, type Socket } from "socket.io-client";
import { ActivityFeed, type ActivityQuery } from "./activity.js";
import { Backoff } from "./backoff.js";
import { Channels } from "./channels.js";
import type { ConnectionState, ConnectionStatus, RealtimeClientEvents, RealtimeClientOptions } from "./connection.js";
import { Documents } from "./documents.js";
import { RealtimeError } from "./error.js";
import { Http } from "./http.js";
import { Notifications } from "./notifications.js";
import { Presence } from "./presence.js";
import type { Ack, Connection, Requests, ServerEvents } from "./protocol.js";
import { Renewal } from "./renewal.js";
import { Rooms, type RoomListener } from "./rooms.js";
import { Threads } from "./threads.js";
import { Tokens, isAboutTheToken } from "./token.js";
import { Unanswered } from "./unanswered.js";
import { isListenedTo, reportUnheard } from "./unheard.js";
import { NO_TIMEOUT_MS, Waiters, abortable, type WaitOptions } from "./wait.js";
import { onWake } from "./wake.js";
import { Workflow } from "./workflow.js";

const DISCONNECTED = { status: "disconnected", connection: undefined, error: undefined, retryAt: undefined } as const;

/** How long an attempt to connect may take until the server sends `connection`, in milliseconds. */
const ATTEMPT_TIMEOUT_MS = 15_000;
const REQUEST_TIMEOUT_MS = 15_000;

/** A connection that lasted this long counts as a success: the next waits are short again. */
const STABLE_MS = 5_000;

/** After a wake-up a token that expires in less than this is renewed. The server sends `token_expiring` as long before. */
const RENEW_BEFORE_MS = 60_000;

/**
 * A connection to the server that lasts: after a failure it reconnects by itself, with a new token each time, and it renews the
 * token before it expires. Documents that use it can be edited while there is no connection.
 *
 * If the client stops because of an error, and nobody listens to it (to `change`, `status` or `error`, here or at a document, or by
 * a promise that waits), the error is written to the console.
 */
export class RealtimeClient extends ObservableV2<RealtimeClientEvents> {
  /** The documents of the team: list, create, rename, remove, restore. */
  readonly documents: Documents;
  /** Who of the team is present. */
  readonly presence = new Presence(this);
  /** The notifications of this user. */
  readonly notifications = new Notifications(this);
  readonly #http: Http;
  readonly #options: RealtimeClientOptions;
  readonly #socket: Socket;
  readonly #backoff: Backoff;
  readonly #tokens: Tokens;
  readonly #rooms = new Rooms();
  readonly #channels = new Channels();
  readonly #waiters = new Waiters();
  readonly #endWake: () => void;
  #state: ConnectionState = { ...DISCONNECTED, slow: false };
  readonly #unanswered = new Unanswered(() => this.#setState(this.#state));
  /** The number of the current attempt, by which late results of earlier ones are recognised and ignored. */
  #attempt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #connectedAt = 0;
  #attemptedAt = 0;
  #isTrying = false;
  /** Renews the token of the session, while there is one. */
  #renewal: Renewal | undefined;
  /** Why the server ended the session, if it has said so. */
  #endedWith: RealtimeError | undefined;
  /** Whether another token was already tried because the server did not accept the first one. */
  #isSecondToken = false;
  #isDestroyed = false;

  /** @throws {RealtimeError} `invalid`, if `url` has a path: Socket.IO would interpret it as a namespace. */
  constructor(options: RealtimeClientOptions) {
    super();
    if (options.url && new URL(options.url).pathname !== "/") {
      throw new RealtimeError("invalid", "the address must be an origin, without a path", { field: "url" });
    }
    this.#options = options;
    this.#backoff = new Backoff(options.backoff);
    this.#tokens = new Tokens(options.token);
    const timeoutMs = options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS;
    this.#http = new Http({
      origin: options.url,
      token: (which) => this.#tokens.forRequest(which, this.#state.connection),
      timeoutMs,
    });
    this.documents = new Documents(this, this.#http);
    const settings = {
      transports: options.transports ?? ["websocket", "polling"],
      tryAllTransports: true,
      autoConnect: false,
      // This class decides when to reconnect.
      reconnection: false,
      forceNew: true,
      timeout: ATTEMPT_TIMEOUT_MS,
    };
    this.#socket = options.url ? io(options.url, settings) : io(settings);
    this.#listen();
    this.#endWake = onWake(() => this.#wake());
    if (options.autoConnect ?? true) this.connect();
  }

  /** The state of the connection. */
  get state(): ConnectionState {
    return this.#state;
  }

  /** The status of the connection: `state.status`. */
  get status(): ConnectionStatus {
    return this.#state.status;
  }

  /** What the server sent at the start of the session, while connected: `state.connection`. */
  get connection(): Connection | undefined {
    return this.#state.connection;
  }

  /** Whether the browser asks before it closes the page with unsaved edits: the option `preventUnsavedChanges`. */
  get preventsUnsavedChanges(): boolean {
    return this.#options.preventUnsavedChanges ?? false;
  }

  /** The underlying socket, for events that this package does not know. Do not connect or disconnect it directly. */
  get socket(): Socket {
    return this.#socket;
  }

  /** Connects, and keeps connected until `disconnect`. If the client is waiting for its next attempt, it tries at once. */
  connect(): void {
    if (this.#state.connection || this.#isTrying) return;
    this.#backoff.reset();
    this.#isSecondToken = false;
    void this.#try();
  }

  /** Ends the connection. Documents stay usable, and are synchronised after the next `connect`. */
  disconnect(): void {
    this.#stop(undefined);
  }

  /** Ends the connection for good, and removes all listeners. */
  override destroy(): void {
    this.#isDestroyed = true;
    this.#stop(undefined);
    this.#endWake();
    this.#socket.removeAllListeners();
    this.#channels.destroy();
    super.destroy();
  }

  /**
   * Waits until there is a session. It does not connect: see `connect`.
   *
   * @throws {RealtimeError} the error because of which the client has stopped, such as `unauthorized`; `timeout`; `disconnected`, if
   * the client was destroyed. Errors after which the client tries again are waited out.
   */
  whenConnected(options?: WaitOptions): Promise<Connection> {
    const check = () => {
      const { status, connection, error } = this.#state;
      if (this.#isDestroyed) throw new RealtimeError("disconnected", "the client was destroyed", { retryable: false });
      if (status === "disconnected" && error) throw error;
      return connection;
    };
    return this.#waiters.until({ check, missed: "not connected", problem: () => this.#state.error }, options);
  }

  /**
   * Calls `listener` with the payload of each event of that name, until the returned function is called. `ServerEvents` has the
   * names and the payloads. Events with an `event_id` that were sent while there was no connection come after the reconnect, before
   * `connection`, unless they are too many or older than seven days: then `connection.recovered` is false.
   */
  subscribe<E extends keyof ServerEvents>(event: E, listener: (payload: ServerEvents[E]) => void): () => void {
    return this.#channels.subscribe(event, listener);
  }

  /** What happened in the team, or a part of it, as a live list. */
  activity(query: ActivityQuery = {}): ActivityFeed {
    return new ActivityFeed(this, query);
  }

  /** The threads of comments on a document, as a live list. Open the document as well: its events go to those who have joined it. */
  threads(room: string): Threads {
    return new Threads(this, room);
  }

  /** Where a document stands in its workflow, as a live value. */
  workflow(room: string): Workflow {
    return new Workflow(this, this.#http, room);
  }

  /**
   * Sends a request and waits for its answer.
   *
   * @param options How long to wait, by default 15 s; `timeoutMs: Infinity` for as long as the connection lasts. A number is
   * `timeoutMs`. A request whose signal is aborted may have been executed.
   * @throws {RealtimeError} the error that the server answered with, `disconnected` or `timeout`.
   */
  request<E extends keyof Requests>(
    event: E,
    payload: Requests[E]["payload"],
    options: WaitOptions | number = {},
  ): Promise<Requests[E]["ack"]> {
    const { signal, timeoutMs } =
      typeof options === "number" ? { timeoutMs: options } : { signal: undefined, ...options };
    const answered = new Promise<Requests[E]["ack"]>((resolve, reject) => {
      this.send(
        event,
        payload,
        (answer) => (answer instanceof RealtimeError ? reject(answer) : resolve(answer)),
        timeoutMs,
      );
    });
    return abortable(answered, signal);
  }

  /**
   * Sends a request and calls `answered` with its answer. These calls keep the order in which answers and events arrive; promises
   * do not.
   */
  send<E extends keyof Requests>(
    event: E,
    payload: Requests[E]["payload"],
    answered: (answer: Requests[E]["ack"] | RealtimeError) => void,
    timeoutMs: number = this.#options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS,
  ): void {
    if (!this.#state.connection) {
      answered(new RealtimeError("disconnected"));
      return;
    }
    const within = this.#socket.timeout(Math.min(timeoutMs, NO_TIMEOUT_MS));
    const ended = this.#unanswered.sent();
    within.emit(event, payload, (failure: Error | null, ack?: Ack<Requests[E]["ack"]>) => {
      ended(ack || !this.#socket.connected ? "answered" : "given up");
      if (failure || !ack) answered(new RealtimeError(this.#socket.connected ? "timeout" : "disconnected"));
      else answered(ack.ok ? ack : RealtimeError.fromPayload(ack.error));
    });
  }

  /**
   * Passes the events of a room to a listener until the returned function is called. For `DocumentProvider`.
   *
   * @throws {RealtimeError} `conflict`, if the room already has a listener.
   */
  attach(room: string, listener: RoomListener): () => void {
    return this.#rooms.attach(room, listener);
  }

  #listen(): void {
    const socket = this.#socket;
    socket.on("connect_error", (error: Error) => this.#failed(RealtimeError.fromConnectError(error)));
    socket.on("disconnect", () => this.#lost());
    socket.onAny((event: keyof ServerEvents, payload: ServerEvents[typeof event]) => this.#received(event, payload));
  }

  /** Takes an event of the server: for this client first, then for its documents, then for those who have subscribed. */
  #received<E extends keyof ServerEvents>(event: E, payload: ServerEvents[E]): void {
    if (Object.hasOwn(this.#on, event)) (this.#on[event] as (payload: ServerEvents[E]) => void)(payload);
    this.#rooms.received(event, payload);
    this.#channels.received(event, payload);
  }

  readonly #on: { [E in keyof ServerEvents]?: (payload: ServerEvents[E]) => void } = {
    connection: (connection) => this.#connected(connection),
    token_expiring: ({ expires_at }) => this.#renewal?.expiring(Date.parse(expires_at)),
    session_ended: ({ code }) => (this.#endedWith = new RealtimeError(code)),
  };

  async #try(): Promise<void> {
    const attempt = ++this.#attempt;
    this.#attemptedAt = Date.now();
    this.#isTrying = true;
    this.#endedWith = undefined;
    this.#unanswered.clear();
    this.#unanswered.sent();
    clearTimeout(this.#timer);
    this.#setState({ ...this.#state, status: "connecting", retryAt: undefined });
    try {
      const token = await this.#tokens.next("connect");
      if (attempt !== this.#attempt) return;
      const since = this.#channels.lastEventId;
      this.#socket.auth = { token, ...(since !== undefined && { since }) };
      this.#socket.connect();
      this.#timer = setTimeout(() => this.#failed(new RealtimeError("timeout")), ATTEMPT_TIMEOUT_MS);
    } catch (error) {
      if (attempt === this.#attempt) this.#failed(error as RealtimeError);
    }
  }

  #connected(connection: Connection): void {
    clearTimeout(this.#timer);
    this.#isTrying = false;
    this.#connectedAt = Date.now();
    this.#channels.connected(connection.last_event_id);
    this.#renewal = new Renewal(
      { renew: () => this.#renew(), replaceSession: () => this.#reconnect() },
      this.#options.backoff,
    );
    this.#isSecondToken = false;
    this.#unanswered.clear();
    this.#setState({ status: "connected", connection, error: undefined, retryAt: undefined });
    this.#rooms.connected();
  }

  /** An attempt to connect failed. */
  #failed(error: RealtimeError): void {
    if (!this.#isTrying) return;
    this.#isTrying = false;
    this.#socket.disconnect();
    if (isAboutTheToken(error) && !this.#isSecondToken) {
      // The token may have expired on the way, or the keys may have changed, so one more token is tried at once.
      this.#isSecondToken = true;
      void this.#try();
    } else if (error.retryable) {
      this.#wait(error);
    } else {
      this.#stop(error);
    }
  }

  /** The connection was lost, or an attempt to connect ended, although this client did not disconnect. */
  #lost(): void {
    // The transport may open and then fail before the session begins.
    if (!this.#state.connection) {
      this.#failed(new RealtimeError("disconnected"));
      return;
    }
    if (Date.now() - this.#connectedAt > STABLE_MS) this.#backoff.reset();
    const error = this.#endedWith ?? new RealtimeError("disconnected");
    this.#dropConnection();
    if (error.code === "token_expired") void this.#try();
    else if (error.retryable) this.#wait(error);
    else this.#stop(error);
  }

  #wait(error: RealtimeError): void {
    clearTimeout(this.#timer);
    this.#unanswered.clear();
    const wait = Math.max(this.#backoff.next(), error.retryAfterMs ?? 0);
    this.#timer = setTimeout(() => void this.#try(), wait);
    this.#setState({ status: "connecting", connection: undefined, error, retryAt: Date.now() + wait });
  }

  #stop(error: RealtimeError | undefined): void {
    this.#attempt += 1;
    this.#isTrying = false;
    clearTimeout(this.#timer);
    this.#unanswered.clear();
    this.#dropConnection();
    this.#setState({ ...DISCONNECTED, error });
    this.#socket.disconnect();
  }

  #dropConnection(): void {
    if (!this.#state.connection) return;
    this.#renewal?.end();
    this.#renewal = undefined;
    this.#state = { ...this.#state, connection: undefined };
    this.#rooms.disconnected();
  }

  #wake(): void {
    const { status, retryAt, connection } = this.#state;
    if (status === "connecting" && retryAt && Date.now() - this.#attemptedAt > 1_000) void this.#try();
    else if (connection && Date.parse(connection.session.expires_at) - Date.now() < RENEW_BEFORE_MS)
      this.#renewal?.now();
  }

  async #renew(): Promise<void> {
    const { expires_at, rights } = await this.request("token_refresh", { token: await this.#tokens.next("renew") });
    const { connection } = this.#state;
    if (!connection) return;
    const session = { ...connection.session, expires_at };
    this.#setState({ ...this.#state, connection: { ...connection, session, rights } });
    this.#rooms.renewed();
  }

  #reconnect(): void {
    this.#stop(undefined);
    this.connect();
  }

  #setState(state: Omit<ConnectionState, "slow">): void {
    const before = this.#state;
    this.#state = { ...state, slow: this.#unanswered.isSlow };
    const { status, error } = state;
    if (status !== before.status) {
      if (status === "disconnected" && error) {
        const isHeard = () => isListenedTo(this, "change", "status", "error") || this.#rooms.isHeard;
        reportUnheard("The client has stopped", error, isHeard);
      }
      this.#rooms.statusChanged(status);
      this.emit("status", [status]);
    }
    if (error && error !== before.error) this.emit("error", [error]);
    this.emit("change", [this.#state]);
    this.#waiters.changed();
  }
}
