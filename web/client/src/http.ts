import { RealtimeError } from "./error.js";
import type { ErrorCode } from "./error.js";
import type { ErrorPayload } from "./protocol.js";
import { NO_TIMEOUT_MS, abortable, type WaitOptions } from "./wait.js";

/** A request of the server's HTTP API. */
export interface HttpRequest extends WaitOptions {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** The segments of the path behind `/api/v1`, not encoded. */
  path: readonly string[];
  query?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** Sent as JSON. */
  body?: object;
}

/** What the requests need. */
export interface HttpOptions {
  /** The origin of the server; undefined: that of the page. */
  origin: string | undefined;
  /** The token of the session; `another`: a new one, because that was not accepted. */
  token: (which: "present" | "another") => string | Promise<string>;
  timeoutMs: number;
}

/** The server's HTTP API under `/api/v1`, with the token of the session. */
export class Http {
  readonly #options: HttpOptions;

  constructor(options: HttpOptions) {
    this.#options = options;
  }

  /**
   * Sends a request and returns the JSON of the answer. If the server does not accept the token, it is sent once more with a new one.
   *
   * @throws {RealtimeError} the error of the server; `disconnected`, if it cannot be reached; `timeout`; `token_unavailable`;
   * `invalid`, if there is no address. An aborted signal: its reason.
   */
  request(request: HttpRequest): Promise<unknown> {
    return abortable(this.#authorized(request), request.signal);
  }

  async #authorized(request: HttpRequest): Promise<unknown> {
    const address = this.#address(request);
    const token = await this.#options.token("present");
    try {
      return await this.#send(address, token, request);
    } catch (error) {
      const isRefused = error instanceof RealtimeError && TOKEN_CODES.includes(error.code);
      if (!isRefused || request.signal?.aborted) throw error;
      return this.#send(address, await this.#options.token("another"), request);
    }
  }

  #address({ path, query = {} }: HttpRequest): URL {
    const origin = this.#options.origin ?? (typeof location === "undefined" ? undefined : location.origin);
    if (!origin) throw new RealtimeError("invalid", "outside of a page the client needs an address", { field: "url" });
    // A URL removes these segments, also if they are encoded.
    if (path.some((segment) => segment === "." || segment === "..")) {
      throw new RealtimeError("invalid", "a room of this name has no address", { field: "room" });
    }
    const address = new URL(`/api/v1/${path.map(encodeURIComponent).join("/")}`, origin);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) address.searchParams.set(name, String(value));
    }
    return address;
  }

  async #send(address: URL, token: string, { method, body, signal, timeoutMs }: HttpRequest): Promise<unknown> {
    const ended = new AbortController();
    const abort = () => ended.abort(signal?.reason);
    signal?.addEventListener("abort", abort);
    const timer = setTimeout(
      () => ended.abort(new RealtimeError("timeout")),
      Math.min(timeoutMs ?? this.#options.timeoutMs, NO_TIMEOUT_MS),
    );
    try {
      const headers: Record<string, string> = { authorization: `Bearer ${token}` };
      if (body) headers["content-type"] = "application/json";
      const sent = body ? { body: JSON.stringify(body) } : {};
      const response = await fetch(address, { method, headers, ...sent, cache: "no-store", signal: ended.signal });
      return readAnswer(response, await response.text());
    } catch (cause) {
      if (ended.signal.aborted) throw ended.signal.reason;
      if (cause instanceof RealtimeError) throw cause;
      throw new RealtimeError("disconnected", "the server cannot be reached", { cause });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
  }
}

const TOKEN_CODES: readonly ErrorCode[] = ["unauthorized", "token_expired"];

/** The code for a status without an error object, which a proxy has sent rather than the server. */
const CODES: Readonly<Record<number, ErrorCode>> = {
  401: "unauthorized",
  403: "forbidden",
  404: "not_found",
  409: "conflict",
  413: "too_large",
  429: "rate_limited",
};

function readAnswer({ ok, status }: Response, text: string): unknown {
  const body = parse(text);
  if (ok && typeof body === "object" && body !== null) return body;
  if (isFailure(body)) throw RealtimeError.fromPayload(body.error);
  const code = CODES[status] ?? (ok || status < 500 ? "invalid" : "disconnected");
  throw new RealtimeError(code, `the answer was not one of the server: status ${status}`);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isFailure(body: unknown): body is { error: ErrorPayload } {
  if (typeof body !== "object" || body === null || !("error" in body)) return false;
  const { error } = body;
  return typeof error === "object" && error !== null && "code" in error && typeof error.code === "string";
}
