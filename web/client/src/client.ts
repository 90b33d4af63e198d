import { ObservableV2 } from "lib0/observable";
import { io, type Socket } from "socket.io-client";
import { Backoff, type BackoffOptions } from "./backoff.js";
import { RealtimeError } from "./error.js";
import type { Ack, Connection, Requests, ServerEvents } from "./protocol.js";
import { Renewal } from "./renewal.js";
import { Unanswered } from "./unanswered.js";
import { onWake } from "./wake.js";

/**
 * Returns the token for the next connection or renewal: a new token with each call, not one from a cache.
 *
 * If it throws, it is called again after a growing wait, unless the error is a `RealtimeError` that is not retryable: throw
 * `new RealtimeError("unauthorized")` if nobody is signed in, and the client stops trying.
 */
export type TokenSource = (reason: "connect" | "renew") => string | Promise<string>;

/** How to reach the server. */
export interface RealtimeClientOptions {
  /** The origin of the server, such as `https://realtime.example.com`, without a path. Default: the origin of the page. */
  url?: string | undefined;
  /** The source of the tokens. */
  token: TokenSource;
  /** Which transports to try, in this order. Default: WebSocket, then HTTP polling. */
  transports?: ("websocket" | "polling")[];
  /** Whether to connect at once. Default: true. */
  autoConnect?: boolean;
  /** The waits between attempts. Default: up to 1 s at first, doubled each time, at most 30 s, with jitter. */
  backoff?: BackoffOptions;
  /** How long a request without a timeout of its own may take, in milliseconds. Default: 15,000. */
  requestTimeoutMs?: number;
}

/**
 * `connected`: there is a session. `connecting`: there is none, and the client is trying or waiting to try again.
 * `disconnected`: the client does not try; the application has to call `connect`.
 */
export type ConnectionStatus = "connecting" | "connected" | "disconnected";

/** The state of the connection. Every change makes a new object; an object never changes. */
export interface ConnectionState {
  readonly status: ConnectionStatus;
  /** The user, the rights and the limits of the session, while connected. */
  readonly connection: Connection | undefined;
  /** Why there is no connection, if an attempt failed or a connection was lost. */
  readonly error: RealtimeError | undefined;
  /** When the next attempt is due, in milliseconds since 1970, while the client waits for it. */
  readonly retryAt: number | undefined;
  /** Whether the server has left a request, or the attempt to connect, unanswered for more than 5 s. */
  readonly slow: boolean;
}

/** The events of a client. */
export type RealtimeClientEvents = {
  /** The state changed. */
  change: (state: ConnectionState) => void;
  /** The status changed. */
  status: (status: ConnectionStatus) => void;
};

/** What a client calls to inform the provider of a room. */
export interface RoomListener {
  connected(): void;
  disconnected(): void;
  /** The token was renewed, and rights may have changed. */
  renewed(): void;
  received<E extends RoomEvent>(event: E, payload: ServerEvents[E]): void;
}

const ROOM_EVENTS = [
  "document_update",
  "document_resync",
  "document_storage",
  "awareness_update",
  "room_closed",
] as const;

/** The events that belong to a room. */
export type RoomEvent = (typeof ROOM_EVENTS)[number];

const DISCONNECTED = { status: "disconnected", connection: undefined, error: undefined, retryAt: undefined } as const;

/** How long an attempt to connect may take until the server sends `connection`, and a call of the token source. */
const ATTEMPT_TIMEOUT_MS = 15_000;

/** A connection that lasted this long counts as a success: the next waits are short again. */
const STABLE_MS = 5_000;

/** After a wake-up a token that expires in less than this is renewed. The server sends `token_expiring` as long before. */
const RENEW_BEFORE_MS = 60_000;

/** The longest delay that a timer accepts, 24 days: in effect, no timeout. */
const NO_TIMEOUT_MS = 2 ** 31 - 1;

/**
 * A connection to the server that lasts: after a failure it reconnects by itself, with a new token each time, and it renews the
 * token before it expires. Documents that use it can be edited while there is no connection.
 */
export class RealtimeClient extends ObservableV2<RealtimeClientEvents> {
  readonly #options: RealtimeClientOptions;
  readonly #socket: Socket;
  readonly #backoff: Backoff;
  readonly #rooms = new Map<string, RoomListener>();
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

  /** @throws {RealtimeError} `invalid`, if `url` has a path: Socket.IO would interpret it as a namespace. */
  constructor(options: RealtimeClientOptions) {
    super();
    if (options.url && new URL(options.url).pathname !== "/") {
      throw new RealtimeError("invalid", "the address must be an origin, without a path", { field: "url" });
    }
    this.#options = options;
    this.#backoff = new Backoff(options.backoff);
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
    this.#stop(undefined);
    this.#endWake();
    this.#socket.removeAllListeners();
    super.destroy();
  }

  /**
   * Sends a request and waits for its answer.
   *
   * @param timeoutMs How long to wait, in milliseconds; `Infinity` for as long as the connection lasts.
   * @throws {RealtimeError} the error that the server answered with, `disconnected` or `timeout`.
   */
  request<E extends keyof Requests>(
    event: E,
    payload: Requests[E]["payload"],
    timeoutMs?: number,
  ): Promise<Requests[E]["ack"]> {
    return new Promise((resolve, reject) => {
      this.send(
        event,
        payload,
        (answer) => (answer instanceof RealtimeError ? reject(answer) : resolve(answer)),
        timeoutMs,
      );
    });
  }

  /**
   * Sends a request and calls `answered` with its answer. These calls keep the order in which answers and events arrive; promises
   * do not.
   */
  send<E extends keyof Requests>(
    event: E,
    payload: Requests[E]["payload"],
    answered: (answer: Requests[E]["ack"] | RealtimeError) => void,
    timeoutMs: number = this.#options.requestTimeoutMs ?? 15_000,
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
    if (this.#rooms.has(room))
      throw new RealtimeError("conflict", `the document ${room} is already open on this client`);
    this.#rooms.set(room, listener);
    return () => {
      if (this.#rooms.get(room) === listener) this.#rooms.delete(room);
    };
  }

  #listen(): void {
    const socket = this.#socket;
    socket.on("connection", (connection: Connection) => this.#connected(connection));
    socket.on("connect_error", (error: Error) => this.#failed(RealtimeError.fromConnectError(error)));
    socket.on("disconnect", () => this.#lost());
    socket.on("token_expiring", (event: ServerEvents["token_expiring"]) =>
      this.#renewal?.expiring(Date.parse(event.expires_at)),
    );
    socket.on(
      "session_ended",
      ({ code }: ServerEvents["session_ended"]) => (this.#endedWith = new RealtimeError(code)),
    );
    for (const event of ROOM_EVENTS) {
      socket.on(event, (payload: ServerEvents[typeof event]) =>
        this.#rooms.get(payload.room)?.received(event, payload),
      );
    }
  }

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
      const token = await this.#token("connect");
      if (attempt !== this.#attempt) return;
      this.#socket.auth = { token };
      this.#socket.connect();
      this.#timer = setTimeout(() => this.#failed(new RealtimeError("timeout")), ATTEMPT_TIMEOUT_MS);
    } catch (error) {
      if (attempt === this.#attempt) this.#failed(tokenError(error));
    }
  }

  #token(reason: "connect" | "renew"): Promise<string> {
    return new Promise((resolve, reject) => {
      const late = new RealtimeError("timeout", "the application did not provide a token in time");
      const timer = setTimeout(() => reject(late), ATTEMPT_TIMEOUT_MS);
      Promise.resolve()
        .then(() => this.#options.token(reason))
        .then(resolve, reject)
        .finally(() => clearTimeout(timer));
    });
  }

  #connected(connection: Connection): void {
    clearTimeout(this.#timer);
    this.#isTrying = false;
    this.#connectedAt = Date.now();
    this.#renewal = new Renewal(
      { renew: () => this.#renew(), replaceSession: () => this.#reconnect() },
      this.#options.backoff,
    );
    this.#isSecondToken = false;
    this.#unanswered.clear();
    this.#setState({ status: "connected", connection, error: undefined, retryAt: undefined });
    for (const room of [...this.#rooms.values()]) room.connected();
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
    for (const room of [...this.#rooms.values()]) room.disconnected();
  }

  #wake(): void {
    const { status, retryAt, connection } = this.#state;
    if (status === "connecting" && retryAt && Date.now() - this.#attemptedAt > 1_000) void this.#try();
    else if (connection && Date.parse(connection.session.expires_at) - Date.now() < RENEW_BEFORE_MS)
      this.#renewal?.now();
  }

  async #renew(): Promise<void> {
    const { expires_at, rights } = await this.request("token_refresh", { token: await this.#token("renew") });
    const { connection } = this.#state;
    if (!connection) return;
    const session = { ...connection.session, expires_at };
    this.#setState({ ...this.#state, connection: { ...connection, session, rights } });
    for (const room of [...this.#rooms.values()]) room.renewed();
  }

  #reconnect(): void {
    this.#stop(undefined);
    this.connect();
  }

  #setState(state: Omit<ConnectionState, "slow">): void {
    const before = this.#state.status;
    this.#state = { ...state, slow: this.#unanswered.isSlow };
    if (state.status !== before) this.emit("status", [state.status]);
    this.emit("change", [this.#state]);
  }
}

function isAboutTheToken({ code }: RealtimeError): boolean {
  return code === "unauthorized" || code === "token_expired";
}

function tokenError(cause: unknown): RealtimeError {
  if (cause instanceof RealtimeError) return cause;
  return new RealtimeError("unauthorized", "the application could not provide a token", { retryable: true, cause });
}
