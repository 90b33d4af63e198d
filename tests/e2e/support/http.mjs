// Requests to the HTTP API as one person makes them.

import assert from "node:assert/strict";
import { token } from "@realtime-server/harness/tokens";
import { checkError } from "./client.mjs";

/** The requests of one person; paths are below `/api/v1`. */
export class Caller {
  constructor(server, person) {
    this.server = server;
    this.token = token(person);
  }

  /** Sends a request; its status, and the answer. `body` is sent as JSON, a text as it is. */
  async send(method, path, body, headers = {}) {
    const response = await fetch(`${this.server.url}/api/v1/${path}`, {
      method,
      headers: { authorization: `Bearer ${this.token}`, ...headers },
      body: typeof body === "string" ? body : body && JSON.stringify(body),
      signal: AbortSignal.timeout(60_000),
    });
    assert.equal(response.headers.get("cache-control"), "no-store");
    return { status: response.status, body: await response.json() };
  }

  /** A request that has to succeed; its answer. */
  async ok(method, path, body, headers) {
    const answer = await this.send(method, path, body, headers);
    assert.ok(answer.status === 200 || answer.status === 201, `${method} ${path}: ${JSON.stringify(answer)}`);
    return answer.body;
  }

  /** A request that has to be refused; its error, with the status. */
  async refusal(method, path, body, headers) {
    const { status, body: answer } = await this.send(method, path, body, headers);
    return { status, ...checkError(answer.error) };
  }
}
