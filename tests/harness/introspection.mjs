// The main service's token introspection (RFC 7662) at an address of this machine.

import { createServer } from "node:http";

/** A service that answers whether tokens are active: all of them, until they are ended. */
export class Introspection {
  /** Each request: `{ authorization, token }`. */
  requests = [];
  /** While set, every answer has this status and no content that is of use. */
  failing = undefined;
  /** While set, every answer waits for this promise. */
  waiting = undefined;

  #ended = new Set();
  #http;

  /** Starts serving. */
  static serve() {
    const service = new Introspection();
    service.#http = createServer((request, response) => service.#answer(request, response));
    service.#http.unref();
    return new Promise((resolve) => service.#http.listen(0, "127.0.0.1", () => resolve(service)));
  }

  async #answer(request, response) {
    let body = "";
    for await (const chunk of request) body += chunk;
    const { authorization } = request.headers;
    const token = new URLSearchParams(body).get("token");
    this.requests.push({ method: request.method, path: request.url, authorization, token });
    await this.waiting;
    response.statusCode = this.failing ?? 200;
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(this.failing ? { error: "busy" } : { active: !this.#ended.has(token), sub: "x" }));
  }

  get url() {
    return `http://127.0.0.1:${this.#http.address().port}/introspect`;
  }

  /** From now on the token is not active. */
  end(token) {
    this.#ended.add(token);
  }

  /** How often was asked about a token. */
  asked(token) {
    return this.requests.filter((request) => request.token === token).length;
  }

  close() {
    this.#http.close();
    this.#http.closeAllConnections();
  }
}
