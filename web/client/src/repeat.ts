import type { RealtimeClient } from "./client.js";
import { RealtimeError } from "./error.js";
import type { Requests } from "./protocol.js";
import type { WaitOptions } from "./wait.js";

/** The requests that the server carries out once, however often they are sent with the same `client_id`. */
type Repeatable = {
  [E in keyof Requests]: Requests[E]["payload"] extends { client_id?: string } ? E : never;
}[keyof Requests];

/** How often a request is sent after failures that can be retried. */
const ATTEMPTS_MAX = 5;

/**
 * Sends a request that creates something, once more after each loss of the connection, with the same `client_id`: it is carried
 * out once.
 *
 * @throws {RealtimeError} the error of the server; `disconnected`, if the client stops; `timeout`, after `timeoutMs` (default: none).
 */
export async function requestOnce<E extends Repeatable>(
  client: RealtimeClient,
  event: E,
  payload: Requests[E]["payload"],
  options: WaitOptions = {},
): Promise<Requests[E]["ack"]> {
  const once = { client_id: crypto.randomUUID(), ...payload };
  for (let attempt = 1; ; attempt += 1) {
    await client.whenConnected(options);
    try {
      return await client.request(event, once, options);
    } catch (error) {
      const isLost = error instanceof RealtimeError && (error.code === "disconnected" || error.code === "timeout");
      if (!isLost || attempt === ATTEMPTS_MAX || options.signal?.aborted) throw error;
    }
  }
}
