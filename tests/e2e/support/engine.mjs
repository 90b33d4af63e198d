// Engine.IO by single requests and frames, for conversations that no library would hold.

import WebSocket from "ws";
import { until } from "@realtime-server/harness/until";

/** The paths that open a connection. */
export const POLLING = "/socket.io/?EIO=4&transport=polling";
export const WEBSOCKET = "/socket.io/?EIO=4&transport=websocket";

/** The separator between the packets of one payload. */
export const SEPARATOR = "\x1e";

/** How long a poll may wait for a packet. */
const POLL_TIMEOUT_MS = 60_000;

/** One HTTP request: its status and its body. */
export async function exchange(url, options = {}) {
  const response = await fetch(url, { signal: AbortSignal.timeout(POLL_TIMEOUT_MS), ...options });
  return { status: response.status, body: await response.text() };
}

/** Opens a connection by polling. Returns its handshake, and the requests with its id. */
export async function openPolling(url) {
  const { body } = await exchange(url + POLLING);
  const handshake = JSON.parse(body.slice(1));
  const own = `${url}${POLLING}&sid=${handshake.sid}`;
  return {
    handshake,
    poll: () => exchange(own),
    post: (packets) => exchange(own, { method: "POST", body: packets }),
    /** Opens a WebSocket with the same id. */
    beside: () => openWebSocket(url, `${WEBSOCKET}&sid=${handshake.sid}`),
  };
}

/**
 * Opens a WebSocket and waits until it is open or refused. It answers no pings. `frames` are the texts and Buffers that it
 * received; `status` is the HTTP status of a refusal; `closed` is the code with which it was closed.
 */
export async function openWebSocket(url, path = WEBSOCKET, headers = {}) {
  const webSocket = new WebSocket(url.replace("http", "ws") + path, { headers });
  const socket = {
    webSocket,
    frames: [],
    status: undefined,
    closed: undefined,
    send: (...frames) => frames.forEach((frame) => webSocket.send(frame)),
    /** Waits for the frame that follows those that were taken before, and takes it. */
    async next() {
      await until("a frame comes", () => taken < socket.frames.length);
      return socket.frames[taken++];
    },
    /** Waits until it is closed, and returns the code. */
    close: () => until("it is closed", () => socket.closed),
    end: () => webSocket.terminate(),
  };
  let taken = 0;
  webSocket.on("message", (data, isBinary) => socket.frames.push(isBinary ? data : data.toString()));
  let opened = false;
  webSocket.on("open", () => (opened = true));
  webSocket.on("error", () => {});
  webSocket.on("close", (code) => (socket.closed = code));
  webSocket.on("unexpected-response", (request, { statusCode }) => {
    socket.status = statusCode;
    request.destroy();
  });
  await until("it is open or refused", () => opened || socket.status || socket.closed);
  return socket;
}
