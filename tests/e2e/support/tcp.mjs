// TCP connections to the server, for requests that no HTTP client would send.

import { once } from "node:events";
import { connect } from "node:net";
import { until } from "@realtime-server/harness/until";

/** A TCP connection. What was received is text; nothing is answered by itself. */
export class Tcp {
  static #open = new Set();
  text = "";
  closed = false;

  /** Connects to the server; `reads: false` reads nothing of what it sends. */
  static async open(server, { reads = true } = {}) {
    const tcp = new Tcp();
    tcp.socket = connect(server.port, "127.0.0.1");
    Tcp.#open.add(tcp);
    if (reads) tcp.socket.on("data", (bytes) => (tcp.text += bytes));
    else tcp.socket.pause();
    tcp.socket.on("error", () => (tcp.closed = true));
    for (const end of ["end", "close"]) tcp.socket.on(end, () => (tcp.closed = true));
    await Promise.race([once(tcp.socket, "connect"), once(tcp.socket, "close")]).catch(() => {});
    return tcp;
  }

  /** Closes all connections. */
  static closeAll() {
    for (const tcp of Tcp.#open) tcp.socket.destroy();
    Tcp.#open.clear();
  }

  /** Sends text or bytes, as far as the connection is open. */
  send(bytes) {
    if (!this.socket.destroyed) this.socket.write(bytes);
  }

  /** Sends a GET request, and waits for its answer. */
  async get(path, headers = {}) {
    const lines = Object.entries({ host: "x", ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
    const before = this.text.length;
    this.send(`GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`);
    await until("the answer is there", () => this.closed || this.text.indexOf("\r\n\r\n", before) > 0);
    return this.text.slice(before);
  }

  /** Waits until the server has closed the connection. */
  end() {
    return until("the connection is closed", () => this.closed, 30_000);
  }
}
