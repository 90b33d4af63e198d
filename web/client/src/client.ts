import { ObservableV2 } from "lib0/observable";
import { io, type Socket } from "socket.io-client";
import { Backoff, type BackoffOptions } from "./backoff.js";
import { RealtimeError } from "./error.js";
import type { Ack, Connection, Requests, ServerEvents } from "./protocol.js";
import { Renewal } from "./renewal.js";
import { onWake } from "./wake.js";

/**
 * Gives the token for the next connection or renewal, fetched or made anew each time.
 *
 * Whatever it throws is tried again with back-off, except a `RealtimeError` that is not retryable: throw
 * `new RealtimeError("unauthorized")` where nobody is signed in, and the client stops trying.
 */
export type TokenSource = (reason: "connect" | "renew") => string | Promise<string>;

/** How to reach the server. */
export interface RealtimeClientOptions {
  /** Where the server is, such as `https://realtime.example.com`. Default: where the page came from. */
  url?: string | undefined;
  /** Gives tokens. */
  token: TokenSource;
  /** Which transports to try, in this order. Default: WebSocket, then HTTP polling. */
  transports?: ("websocket" | "polling")[];
  /** Whether to connect at once. Default: true. */
  autoConnect?: boolean;
  /** The waits between attempts. Default: up to 1 s first, doubling, at most 30 s, with jitter. */
  backoff?: BackoffOptions;
  /** How long a request may take, in milliseconds, unless it says otherwise. Default: 15,000. */
  requestTimeoutMs?: number;
}

/**
 * `connected`: there is a session. `connecting`: there is none, and the client is trying or waiting to try again.
 * `disconnected`: nobody is trying; the application has to call `connect`.
 */
export type ConnectionStatus = "connecting" | "connected" | "disconnected";

/** How the connection is. A new object for every change, never altered. */
export interface ConnectionState {
  readonly status: ConnectionStatus;
  /** Who one is to the server, and what it allows, while connected. */
  readonly connection: Connection | undefined;
  /** Why there is no connection, where one was tried. */
  readonly error: RealtimeError | undefined;
  /** When the next attempt is due, in milliseconds since 1970. */
  readonly retryAt: number | undefined;
}

/** What a client tells. */
export type RealtimeClientEvents = {
  /** The state is another one. */
  change: (state: ConnectionState) => void;
  /** The status changed. */
  status: (status: ConnectionStatus) => void;
};

/** What a room's user is told by its client. */
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

/** How long an attempt may take until the server has said `connection`. */
const ATTEMPT_TIMEOUT_MS = 15_000;

/** A connection that lasted as long as this was a good one: the next waits are short again. */
const STABLE_MS = 5_000;

/** The token is renewed when it has no more than this left. The server reminds at the same time. */
const RENEW_BEFORE_MS = 60_000;

/** The longest time that a timer takes: in effect, no limit. */
const NO_TIMEOUT_MS = 2 ** 31 - 1;

/**
 * A connection to the server, kept up: it comes back by itself after failures, brings a fresh token each time, and renews the
 * token before it expires. What uses it goes on working while the server is away.
 */
export class RealtimeClient extends ObservableV2<RealtimeClientEvents> {
  readonly #options: RealtimeClientOptions;
  readonly #socket: Socket;
  readonly #backoff: Backoff;
  readonly #rooms = new Map<string, RoomListener>();
  readonly #endWake: () => void;
  #state: ConnectionState = { status: "disconnected", connection: undefined, error: undefined, retryAt: undefined };
  /** Counts attempts, so that what belongs to an older one is recognised. */
  #attempt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #connectedAt = 0;
  #attemptedAt = 0;
  #isTrying = false;
  /** What keeps the session's token fresh, while there is a session. */
  #renewal: Renewal | undefined;
  #endedWith: RealtimeError | undefined;
  #freshTokenTried = false;

  /** @throws {RealtimeError} `invalid`, where the address has a path: Socket.IO would take it for a namespace. */
  constructor(options: RealtimeClientOptions) {
    super();
    if (options.url && new URL(options.url).pathname !== "/") {
      throw new RealtimeError("invalid", "the address is to be an origin, without a path", { field: "url" });
    }
    this.#options = options;
    this.#backoff = new Backoff(options.backoff);
    const settings = {
      transports: options.transports ?? ["websocket", "polling"],
      tryAllTransports: true,
      autoConnect: false,
      // This class decides when to try again.
      reconnection: false,
      forceNew: true,
      timeout: ATTEMPT_TIMEOUT_MS,
    };
    this.#socket = options.url ? io(options.url, settings) : io(settings);
    this.#listen();
    this.#endWake = onWake(() => this.#wake());
    if (options.autoConnect ?? true) this.connect();
  }

  /** How the connection is. */
  get state(): ConnectionState {
    return this.#state;
  }

  /** The status alone. */
  get status(): ConnectionStatus {
    return this.#state.status;
  }

  /** What the server said at the start of the session, while connected. */
  get connection(): Connection | undefined {
    return this.#state.connection;
  }

  /** The socket below, for events that this package does not know. Leave connecting to the client. */
  get socket(): Socket {
    return this.#socket;
  }

  /** Connects, and stays connected until told otherwise. Where the client waits for its next attempt, it tries at once. */
  connect(): void {
    if (this.#state.connection || this.#isTrying) return;
    this.#backoff.reset();
    this.#freshTokenTried = false;
    void this.#try();
  }

  /** Ends the connection. Documents stay usable, and are synchronised after the next `connect`. */
  disconnect(): void {
    this.#stop(undefined);
  }

  /** Ends the connection and all that belongs to it, for good. */
  override destroy(): void {
    this.#stop(undefined);
    this.#endWake();
    this.#socket.removeAllListeners();
    super.destroy();
  }

  /**
   * Makes a request and waits for its answer.
   *
   * @param timeoutMs How long to wait; `Infinity` for as long as the connection lasts.
   * @throws {RealtimeError} what the server answered, or `disconnected`, or `timeout`.
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

  /** Makes a request; `answered` is called in the order in which answers and events arrive, which a promise does not keep. */
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
    within.emit(event, payload, (failure: Error | null, ack?: Ack<Requests[E]["ack"]>) => {
      if (failure || !ack) answered(new RealtimeError(this.#socket.connected ? "timeout" : "disconnected"));
      else answered(ack.ok ? ack : RealtimeError.fromPayload(ack.error));
    });
  }

  /**
   * Gives a room's events to one listener; returns what ends that. For `DocumentProvider`.
   *
   * @throws {RealtimeError} `conflict`, where the room has a listener already.
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
    clearTimeout(this.#timer);
    this.#become({ ...this.#state, status: "connecting", retryAt: undefined });
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
      const late = new RealtimeError("timeout", "the application gave no token in time");
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
      { renew: () => this.#renew(), becomeAnother: () => this.#reconnect() },
      this.#options.backoff,
    );
    this.#freshTokenTried = false;
    this.#become({ status: "connected", connection, error: undefined, retryAt: undefined });
    for (const room of [...this.#rooms.values()]) room.connected();
  }

  /** An attempt was refused or got nowhere. */
  #failed(error: RealtimeError): void {
    if (!this.#isTrying) return;
    this.#isTrying = false;
    this.#socket.disconnect();
    if (isAboutTheToken(error) && !this.#freshTokenTried) {
      // It may have expired on the way, or the keys changed: worth one more, at once.
      this.#freshTokenTried = true;
      void this.#try();
    } else if (error.retryable) {
      this.#wait(error);
    } else {
      this.#stop(error);
    }
  }

  /** The connection, or an attempt, came to its end without our doing. */
  #lost(): void {
    // The transport may open, and break before the session begins.
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
    const wait = Math.max(this.#backoff.next(), error.retryAfterMs ?? 0);
    this.#timer = setTimeout(() => void this.#try(), wait);
    this.#become({ status: "connecting", connection: undefined, error, retryAt: Date.now() + wait });
  }

  #stop(error: RealtimeError | undefined): void {
    this.#attempt += 1;
    this.#isTrying = false;
    clearTimeout(this.#timer);
    this.#dropConnection();
    this.#become({ status: "disconnected", connection: undefined, error, retryAt: undefined });
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
    this.#become({ ...this.#state, connection: { ...connection, session, rights } });
    for (const room of [...this.#rooms.values()]) room.renewed();
  }

  #reconnect(): void {
    this.#stop(undefined);
    this.connect();
  }

  #become(state: ConnectionState): void {
    const before = this.#state.status;
    this.#state = state;
    if (state.status !== before) this.emit("status", [state.status]);
    this.emit("change", [state]);
  }
}

function isAboutTheToken({ code }: RealtimeError): boolean {
  return code === "unauthorized" || code === "token_expired";
}

function tokenError(cause: unknown): RealtimeError {
  if (cause instanceof RealtimeError) return cause;
  return new RealtimeError("unauthorized", "the application could not give a token", { retryable: true, cause });
}
