// Published signing keys (JWKS, RFC 7517) at an address of this machine.

import { createServer } from "node:http";

/** A key set that is served over HTTP. */
export class KeySet {
  /** The number of requests for the keys. */
  fetches = 0;
  /** While true, the address answers 503. */
  down = false;

  #keys = new Map();
  #http;

  /** Starts serving an empty set. */
  static serve() {
    const set = new KeySet();
    set.#http = createServer((_, response) => {
      set.fetches += 1;
      response.statusCode = set.down ? 503 : 200;
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ keys: [...set.#keys.values()] }));
    });
    set.#http.unref();
    return new Promise((resolve) => set.#http.listen(0, "127.0.0.1", () => resolve(set)));
  }

  get url() {
    return `http://127.0.0.1:${this.#http.address().port}/.well-known/jwks.json`;
  }

  /** Adds a public key (a KeyObject) under the name `kid`. */
  publish(kid, publicKey, algorithm) {
    this.#keys.set(kid, { ...publicKey.export({ format: "jwk" }), kid, alg: algorithm, use: "sig" });
  }

  /** Removes a key. */
  withdraw(kid) {
    this.#keys.delete(kid);
  }

  close() {
    this.#http.close();
    this.#http.closeAllConnections();
  }
}
