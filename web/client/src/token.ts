import { RealtimeError } from "./error.js";
import type { Connection } from "./protocol.js";

/** For what a token is needed: `connect` for an attempt to connect, `renew` for a session whose token expires, `request` for HTTP. */
export type TokenReason = "connect" | "renew" | "request";

/**
 * Returns the token for the next connection, renewal or HTTP request: a new token with each call, not one from a cache.
 *
 * If it throws, as `fetch` does without a network, the error is `token_unavailable`, and it is called again after a growing wait. It
 * can throw a `RealtimeError` of its own: throw `new RealtimeError("unauthorized")` if nobody is signed in, and the client stops
 * trying.
 */
export type TokenSource = (reason: TokenReason) => string | Promise<string>;

/** How long a call of the token source may take, in milliseconds. */
export const TOKEN_TIMEOUT_MS = 15_000;

/** The token of a session is used for an HTTP request if it is valid for so many milliseconds at least. */
const TOKEN_VALID_MS = 5_000;

/** The tokens of a client. */
export class Tokens {
  readonly #source: TokenSource;
  #last: string | undefined;

  constructor(source: TokenSource) {
    this.#source = source;
  }

  /** The token for an HTTP request: that of the session if it is valid for a while, otherwise a new one. */
  forRequest(which: "present" | "another", connection: Connection | undefined): string | Promise<string> {
    const isValid = connection && Date.parse(connection.session.expires_at) - Date.now() > TOKEN_VALID_MS;
    return which === "present" && isValid && this.#last !== undefined ? this.#last : this.next("request");
  }

  /**
   * Asks the application for a new token.
   *
   * @throws {RealtimeError} the application's own one, or `token_unavailable`: the application failed, returned no text, or took
   * longer than 15 s.
   */
  async next(reason: TokenReason): Promise<string> {
    const token: unknown = await this.#ask(reason);
    if (typeof token !== "string" || token === "") {
      throw new RealtimeError("token_unavailable", "the application's token function returned no token");
    }
    this.#last = token;
    return token;
  }

  #ask(reason: TokenReason): Promise<string> {
    return new Promise((resolve, reject) => {
      const late = () => reject(new RealtimeError("token_unavailable", "the application took too long to get a token"));
      const timer = setTimeout(late, TOKEN_TIMEOUT_MS);
      Promise.resolve()
        .then(() => this.#source(reason))
        .then(resolve, (cause: unknown) => reject(unavailable(cause)))
        .finally(() => clearTimeout(timer));
    });
  }
}

function unavailable(cause: unknown): RealtimeError {
  if (cause instanceof RealtimeError) return cause;
  const reason = cause instanceof Error ? `: ${cause.message}` : "";
  return new RealtimeError("token_unavailable", `the application could not get a token${reason}`, { cause });
}

/** Whether another token might help. */
export function isAboutTheToken({ code }: RealtimeError): boolean {
  return code === "unauthorized" || code === "token_expired";
}
