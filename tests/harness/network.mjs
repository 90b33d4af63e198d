// A network between a client and a server that a test can cut.

import { connect, createServer } from "node:net";

/** Passes TCP connections on to a server, until it is cut. */
export class Network {
  #target;
  #listener;
  #sockets = new Set();
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
    return `http://127.0.0.1:${this.#listener.address().port}`;
  }

  /** Breaks all connections and lets no new ones through. */
  cut() {
    this.#isDown = true;
    for (const socket of this.#sockets) socket.destroy();
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
