// A network between a client and a server that a test can cut.

import { connect, createServer } from "node:net";

/** Passes TCP connections on to a server, until it is cut. */
export class Network {
  #target;
  #listener;
  #sockets = new Set();
  /** For each connection, what stops the server's half of it. */
  #answers = new Set();
  #isDown = false;

  /** A network that leads to `server`. */
  static async to(server) {
    const network = new Network();
    network.#target = server;
    network.#listener = createServer((near) => network.#pass(near));
    await new Promise((resolve) => network.#listener.listen(0, "127.0.0.1", resolve));
    network.#listener.unref();
    return network;
  }

  /** The server's address through this network. */
  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Breaks all connections and leads new ones to `server`. */
  lead(server) {
    this.#target = server;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** The port of this network. */
  get port() {
    return this.#listener.address().port;
  }

  /** Breaks all connections and lets no new ones through. */
  cut() {
    this.#isDown = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** From now on nothing that the server sends arrives; what the clients send does. Ends with the connections. */
  loseAnswers() {
    for (const end of this.#answers) end();
  }

  /** Lets connections through again. */
  mend() {
    this.#isDown = false;
  }

  /** Cuts it for good. */
  close() {
    this.cut();
    this.#listener.close();
  }

  #pass(near) {
    if (this.#isDown) return near.destroy();
    const far = connect(this.#target.port, "127.0.0.1");
    const lose = () => {
      far.unpipe(near);
      far.resume();
    };
    this.#answers.add(lose);
    near.on("close", () => this.#answers.delete(lose));
    for (const [one, other] of [
      [near, far],
      [far, near],
    ]) {
      this.#sockets.add(one);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        this.#sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  }
}
