// Node's socket.io, with an application that behaves as the server under test where the transport can be seen: a token is
// required, the event `connection` follows, and requests are answered.

import { createServer } from "node:http";
import { once } from "node:events";
import { Server } from "socket.io";

/** The answer to `join_room` has two attachments, as that of an empty document. */
const JOINED = { ok: true, update: Buffer.of(0, 0), state_vector: Buffer.of(0) };

/** Starts it on a free port. `options` are those of socket.io. */
export async function startReference(options) {
  const http = createServer();
  const io = new Server(http, { serveClient: false, maxHttpBufferSize: 4 * 2 ** 20, ...options });
  io.use((socket, next) => next(socket.handshake.auth.token ? undefined : new Error("unauthorized")));
  io.on("connection", (socket) => {
    socket.emit("connection", {});
    socket.on("join_room", (request, ack) => ack(JOINED));
    socket.on("presence_list", (request, ack) => ack({ ok: true }));
    socket.onAny((event, ...parameters) => {
      if (["join_room", "presence_list"].includes(event)) return;
      const ack = parameters.at(-1);
      if (typeof ack === "function") ack({ ok: false });
      else socket.emit("request_error", {});
    });
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  return { url: `http://127.0.0.1:${http.address().port}`, stop: () => io.close() };
}
