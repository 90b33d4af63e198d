import { SERVER_ERROR_CODES, type ErrorPayload, type ServerErrorCode } from "./protocol.js";

/**
 * The code of an error: one of the server, or one of this client. `disconnected`: there is no connection, or it was lost before
 * the answer. `timeout`: there was no answer in time. `token_unavailable`: the application could not get a token, for example
 * without a network.
 */
export type ErrorCode = ServerErrorCode | "disconnected" | "timeout" | "token_unavailable";

const RETRYABLE: readonly ErrorCode[] = [
  "token_expired",
  "rate_limited",
  "too_many_connections",
  "storage_unavailable",
  "overloaded",
  "draining",
  "disconnected",
  "timeout",
  "token_unavailable",
];

const MEANING: Record<ErrorCode, string> = {
  unauthorized: "the server does not accept the token",
  token_expired: "the token has expired",
  session_revoked: "the session was revoked",
  forbidden: "the token does not allow this",
  not_found: "the document does not exist, or the token does not allow reading it",
  conflict: "the request is not possible in the present state",
  invalid: "the request is malformed",
  too_large: "the request is too large",
  rate_limited: "too many requests",
  too_many_rooms: "too many documents are open on this connection",
  too_many_connections: "too many connections are open",
  storage_unavailable: "the server cannot reach its database",
  overloaded: "the server is overloaded",
  draining: "the server is stopping",
  internal: "the server failed",
  disconnected: "there is no connection to the server",
  timeout: "the server did not answer in time",
  token_unavailable: "the application could not get a token",
};

/** An error with a code that a program can branch on. */
export class RealtimeError extends Error {
  override readonly name = "RealtimeError";
  readonly code: ErrorCode;
  /** Whether the same request may succeed later. */
  readonly retryable: boolean;
  /** After how many milliseconds to try again, if the server sent that. */
  readonly retryAfterMs: number | undefined;
  /** The field of the request that the server refused, if the code is `invalid`. */
  readonly field: string | undefined;

  constructor(code: ErrorCode, message: string = MEANING[code], options: RealtimeErrorOptions = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.retryable = options.retryable ?? RETRYABLE.includes(code);
    this.retryAfterMs = options.retryAfterMs;
    this.field = options.field;
  }

  /** Makes the error from an acknowledgement. */
  static fromPayload(payload: ErrorPayload): RealtimeError {
    const { code, message, retryable, retry_after_ms: retryAfterMs, field } = payload;
    return new RealtimeError(code, message, { retryable, retryAfterMs, field });
  }

  /** Makes the error of a failed connect. Its message is a code if the server refused; otherwise the server was not reached. */
  static fromConnectError(error: Error): RealtimeError {
    if (isServerCode(error.message)) return new RealtimeError(error.message);
    return new RealtimeError("disconnected", "the server cannot be reached", { cause: error });
  }
}

/** The properties of an error besides its code and message. */
export interface RealtimeErrorOptions {
  retryable?: boolean | undefined;
  retryAfterMs?: number | undefined;
  field?: string | undefined;
  cause?: unknown;
}

function isServerCode(code: string): code is ServerErrorCode {
  return (SERVER_ERROR_CODES as readonly string[]).includes(code);
}
