import type { BackoffOptions } from "./backoff.js";
import type { RealtimeError } from "./error.js";
import type { Connection } from "./protocol.js";
import type { TokenSource } from "./token.js";

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
  /**
   * Whether the browser asks before it closes the page while a document has edits that are not saved. Default: false. With a copy in
   * the browser they would not be lost, and are sent when the document is opened again.
   */
  preventUnsavedChanges?: boolean;
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
  /** A room was joined: from now on its events arrive. */
  joined: (room: string) => void;
  /** There is a new problem: `state.error` is another error than before. */
  error: (error: RealtimeError) => void;
};
