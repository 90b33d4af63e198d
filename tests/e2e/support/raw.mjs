// Single frames of Socket.IO over a WebSocket, for bytes that no library would send.

import WebSocket from "ws";
import { token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";

/** A WebSocket that speaks Engine.IO 4, one frame at a time. Pings are answered. */
export class RawSocket {
  /** Frames that were received: texts, or Buffers. */
  frames = [];
  closed = false;

  /** Opens the transport, without a namespace yet. */
  static async open(server, { path = "/socket.io/?EIO=4&transport=websocket", headers } = {}) {
    const raw = new RawSocket();
    raw.webSocket = new WebSocket(server.url.replace("http", "ws") + path, { headers });
    raw.webSocket.on("message", (data, isBinary) => {
      const frame = isBinary ? data : data.toString();
      if (frame === "2") raw.send("3");
      else raw.frames.push(frame);
    });
    raw.webSocket.on("error", () => {});
    raw.webSocket.on("close", () => (raw.closed = true));
    await raw.frame((text) => text.startsWith("0{"));
    return raw;
  }

  /** Opens the transport and connects to the main namespace. */
  static async connect(server, person) {
    const raw = await RawSocket.open(server);
    raw.send(`40${JSON.stringify({ token: token(person) })}`);
    await raw.frame((text) => text.startsWith("40{"));
    return raw;
  }

  /** Sends a frame: a text, or bytes. */
  send(frame) {
    if (this.webSocket.readyState === WebSocket.OPEN) this.webSocket.send(frame);
  }

  /** Waits for a text frame that matches. */
  frame(matches) {
    return until("the frame is there", () => this.frames.find((it) => typeof it === "string" && matches(it)));
  }

  close() {
    this.webSocket.terminate();
  }
}
