import { RealtimeClient } from "./client.js";
import type { ConnectionState, ConnectionStatus, RealtimeClientOptions } from "./connection.js";
import { RealtimeError, type ErrorCode } from "./error.js";

/** A token, or a function that returns one. */
export type HocuspocusToken = string | (() => string | Promise<string>) | null | undefined;

/** Why a connection ended. */
export interface CloseEvent {
  /** 1000: the application ended it. 1006: it was lost. 4401: the token was refused. 4403: a right is missing. */
  code: number;
  /** The code of the error. */
  reason: string;
}

/** The configuration of a connection that several documents share. */
export interface HocuspocusProviderWebsocketConfiguration extends Omit<
  RealtimeClientOptions,
  "url" | "token" | "autoConnect"
> {
  /** The origin of the server, without a path: `wss://…` or `https://…`. Default: the origin of the page. */
  url?: string | undefined;
  /** Default: the token of the first document. All documents of a connection have the same. */
  token?: HocuspocusToken;
  /** Whether to connect with the first document. Default: true. */
  autoConnect?: boolean | undefined;
}

/** What a provider is told about the connection. */
interface SocketListener {
  status(status: ConnectionStatus): void;
  closed(event: CloseEvent): void;
}

/** A connection that several documents share. */
export class HocuspocusProviderWebsocket {
  /** The client of this package. */
  readonly client: RealtimeClient;
  readonly #listeners = new Set<SocketListener>();
  readonly #autoConnect: boolean;
  #token: HocuspocusToken;
  #status: ConnectionStatus = "disconnected";

  /** @throws {RealtimeError} `invalid`, if `url` has a path. */
  constructor({ url, token, autoConnect, ...options }: HocuspocusProviderWebsocketConfiguration) {
    this.#token = token;
    this.#autoConnect = autoConnect ?? true;
    const origin = url?.replace(/^ws/, "http");
    this.client = new RealtimeClient({ ...options, url: origin, token: () => this.#nextToken(), autoConnect: false });
    this.client.on("change", this.#changed);
  }

  get status(): ConnectionStatus {
    return this.client.status;
  }

  connect(): void {
    this.client.connect();
  }

  disconnect(): void {
    this.client.disconnect();
  }

  destroy(): void {
    this.client.destroy();
    this.#listeners.clear();
  }

  /** @internal */
  attach(listener: SocketListener, token: HocuspocusToken): void {
    this.#listeners.add(listener);
    this.#token ??= token;
    if (this.#autoConnect && this.#listeners.size === 1) this.client.connect();
  }

  /** @internal */
  detach(listener: SocketListener): void {
    this.#listeners.delete(listener);
  }

  #nextToken(): string | Promise<string> {
    const token = typeof this.#token === "function" ? this.#token() : this.#token;
    if (!token) throw new RealtimeError("unauthorized", "the configuration has no token");
    return token;
  }

  readonly #changed = ({ status, error }: ConnectionState) => {
    const before = this.#status;
    if (status === before) return;
    this.#status = status;
    for (const listener of [...this.#listeners]) {
      listener.status(status);
      if (before === "connected" || status === "disconnected") listener.closed(closeEvent(error));
    }
  };
}

const REFUSED: readonly ErrorCode[] = ["unauthorized", "token_expired", "session_revoked"];

/** The event of a connection that ended because of that error. */
export function closeEvent(error: RealtimeError | undefined): CloseEvent {
  if (!error) return { code: 1000, reason: "" };
  const refused = error.code === "forbidden" ? 4403 : 1006;
  return { code: REFUSED.includes(error.code) ? 4401 : refused, reason: error.code };
}
