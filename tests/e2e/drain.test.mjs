// A stop with many clients: they move to the next server by themselves, and evenly. SQLite only: nothing of it is in the
// database.

import assert from "node:assert/strict";
import { connect, createServer } from "node:net";
import { after, describe, it } from "node:test";
import { io } from "socket.io-client";
import { sqlite } from "@realtime-server/harness/databases";
import { suiteServer } from "@realtime-server/harness/suite";
import { token } from "@realtime-server/harness/tokens";
import { next, until } from "@realtime-server/harness/until";

const CLIENTS = 2_000;
const BACK_WITHIN_MS = 15_000;

describe("a stop with many clients", () => {
  const [old, young] = [suiteServer({ database: sqlite }), suiteServer({ database: sqlite })];
  const sockets = [];
  let balancer;
  after(() => {
    for (const socket of sockets) socket.disconnect();
    balancer?.close();
  });

  it("moves them to the next server within 15 s, less than a fifth of them in any second", async () => {
    const target = { port: old.port };
    balancer = await balance(target);
    const moves = { left: [], back: [] };
    for (let number = 0; number < CLIENTS; number += 1) {
      const socket = io(`http://127.0.0.1:${balancer.address().port}`, {
        auth: (answer) => answer({ token: token({ user: `user-${number}` }) }),
        transports: ["websocket"],
        forceNew: true,
      });
      sockets.push(socket);
      socket.on("disconnect", () => moves.left.push(performance.now()));
      if (number % 50 === 49)
        await until("they are connected", () => sockets.every(({ connected }) => connected), 60_000);
    }
    for (const socket of sockets) socket.on("connect", () => moves.back.push(performance.now()));
    const began = performance.now();
    const stopping = old.stop();
    // As a load balancer does once the old server is not ready.
    target.port = young.port;
    await until("all are back", () => moves.back.length >= CLIENTS, 60_000, 20);
    const took_ms = Math.max(...moves.back) - began;
    assert.equal((await stopping).code, 0);
    assert.ok(took_ms < BACK_WITHIN_MS, `the last one was back after ${took_ms} ms`);
    assert.equal(moves.left.length, CLIENTS, "a client was moved more than once");
    for (const [what, times] of Object.entries(moves)) {
      const share = busiestSecond(times) / CLIENTS;
      assert.ok(share < 0.2, `${what}: ${(share * 100).toFixed(1)} % in one second`);
    }
  });
});

/** The most of `times`, in milliseconds, that lie within one second. */
function busiestSecond(times) {
  const sorted = times.toSorted((a, b) => a - b);
  const counts = sorted.map((from, place) => sorted.findLastIndex((time) => time < from + 1_000) - place + 1);
  return Math.max(...counts);
}

/** A TCP proxy to the server whose port is `target.port` when a client connects. */
async function balance(target) {
  const server = createServer((client) => {
    const upstream = connect(target.port, "127.0.0.1");
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ]) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
      one.pipe(other);
    }
  });
  server.listen(0, "127.0.0.1");
  await next(server, "listening");
  return server;
}
