// A client that stops reading costs bounded memory, slows nobody down and misses nothing.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as Y from "yjs";
import { sqlite } from "@realtime-server/harness/databases";
import { memory } from "@realtime-server/harness/process";
import { suiteDatabase } from "@realtime-server/harness/suite";
import { pause, until } from "@realtime-server/harness/until";
import { Client, checkError, closeClients } from "./support/client.mjs";
import { converged } from "./support/room.mjs";

const MIB = 2 ** 20;
const VALUE_BYTES = 25_000;
/** Values written before the laggard stops reading: they warm the server up, and give the figures for comparison. */
const VALUES_BEFORE = 600;
/** About 50 MB. */
const VALUES_MEANWHILE = 2_000;
/** Much less than the values that are written meanwhile, which would otherwise wait in memory. */
const MEMORY_GROWTH_MAX = 32 * MIB;
/** Latencies below this are the noise of a machine that runs the clients as well. */
const LATENCY_FLOOR_MS = 30;
/** The machine may run other programs: one quiet window of so many is enough. */
const WINDOWS = 3;
/** How many updates of the writer are under way at once. */
const WINDOW = 8;
const LARGE_VALUE_BYTES = MIB / 4;
/** More than may wait for one client. */
const COPIES = 20;
/** The server reads on later when 4,096 answers wait; besides, so much is under way in the room that it is busy. */
const UNREAD_ANSWERS_MAX = 10_000;
const UPDATES = 20_000;

/** Stops reading from the network, as a suspended laptop does; returns a function that starts it again. */
function freeze({ client }) {
  const { ws } = client.socket.io.engine.transport;
  ws.pause();
  return () => ws.resume();
}

// On SQLite alone: messages for a slow client wait in the memory of the server, and not in the database.
describe("a client that stops reading", () => {
  let server;
  const startServer = suiteDatabase(sqlite, closeClients);

  const start = async (env) => {
    // The writer waits for acks: with commits gathered as usual it would take its time.
    const usual = { UPDATES_PER_SECOND: 100_000, UPDATES_BURST: 1_000_000, COMMIT_INTERVAL_MS: 0 };
    server = await startServer({ ...usual, ...env });
    const join = async (user) => {
      const client = await Client.connect(server, { person: { user } });
      return { client, room: await client.join("slow") };
    };
    return { writer: await join("writer"), reader: await join("reader"), laggard: await join("laggard") };
  };

  /**
   * Overwrites one key with `values` large values, so that much is sent and the document stays small. Returns how long
   * each took to reach the reader, sorted, in ms.
   */
  const write = async ({ writer, reader }, values) => {
    const sent = [];
    const latencies = [];
    const observe = () => {
      const { number } = reader.room.map.get("value");
      for (let arrived = latencies.length; arrived <= number; arrived += 1) {
        latencies.push(performance.now() - sent[arrived]);
      }
    };
    reader.room.map.observe(observe);
    const padding = "x".repeat(VALUE_BYTES);
    for (let number = 0; number < values; number += 1) {
      sent[number] = performance.now();
      writer.room.map.set("value", { number, padding });
      while (writer.room.unacknowledged >= WINDOW || latencies.length < number - WINDOW) await pause(0);
    }
    await until("everything has reached the reader", () => latencies.length === values);
    reader.room.map.unobserve(observe);
    return latencies.sort((a, b) => a - b);
  };
  const p99 = (sorted) => sorted[Math.floor(sorted.length * 0.99)];

  it("costs little memory, does not slow the others down, and has the whole document in the end", async () => {
    const people = await start();
    const { writer, reader, laggard } = people;
    const seen = [];
    const isQuiet = ({ usual, meanwhile }) => meanwhile < Math.max(2 * usual, LATENCY_FLOOR_MS);
    while (seen.length < WINDOWS && !seen.some(isQuiet)) {
      const usual = p99(await write(people, VALUES_BEFORE));
      await converged([writer.room, reader.room, laggard.room]);
      const memory_before = memory(server.pid);
      let memory_most = 0;
      const watch = setInterval(() => (memory_most = Math.max(memory_most, memory(server.pid))), 20);
      const thaw = freeze(laggard);
      const meanwhile = p99(await write(people, VALUES_MEANWHILE));
      clearInterval(watch);
      thaw();
      const grown = memory_most - memory_before;
      console.log(
        `p99 ${usual.toFixed(1)} ms before, ${meanwhile.toFixed(1)} ms meanwhile; memory +${(grown / MIB).toFixed(1)} MiB`,
      );
      assert.ok(grown < MEMORY_GROWTH_MAX, `the server grew by ${(grown / MIB).toFixed(1)} MiB`);
      await converged([writer.room, reader.room, laggard.room], 60_000);
      seen.push({ usual, meanwhile });
    }
    assert.ok(seen.some(isQuiet), JSON.stringify(seen));
    assert.deepEqual([...writer.client.disconnects, ...reader.client.disconnects], []);
    const told = laggard.room.resyncs.length + laggard.client.disconnects.length;
    assert.ok(told > 0, "it was neither resynchronised nor cut, although it has missed updates");
    for (const { reason } of laggard.room.resyncs) assert.equal(reason, "lagging");
    assert.ok(!laggard.client.disconnects.includes("io server disconnect"), "after that it would not reconnect");
  });

  it("is cut after the timeout, and reconnects by itself", async () => {
    const people = await start({ LAG_TIMEOUT_MS: 500, AWARENESS_TIMEOUT_MS: 600_000 });
    const { writer, reader, laggard } = people;
    const seen = reader.room.awareness.getStates();
    const id = laggard.room.doc.clientID;
    laggard.room.awareness.setLocalState({ here: true });
    await until("the laggard is present", () => seen.has(id));
    const thaw = freeze(laggard);
    await write(people, VALUES_BEFORE);
    await until("the server has cut it", () => !seen.has(id));
    thaw();
    await until("it is present again", () => seen.has(id));
    await converged([writer.room, reader.room, laggard.room]);
    assert.ok(laggard.client.disconnects.length > 0);
  });

  it("catches up without being cut when it reads again in time", async () => {
    const people = await start({ LAG_TIMEOUT_MS: 60_000 });
    const { writer, reader, laggard } = people;
    const thaw = freeze(laggard);
    await write(people, VALUES_BEFORE);
    laggard.room.map.set("laggard", "typed while its network was stuck");
    thaw();
    await until("its edit is there", () => reader.room.map.has("laggard"));
    await converged([writer.room, reader.room, laggard.room]);
    assert.deepEqual(laggard.client.disconnects, []);
  });
});

describe("a client that goes on sending and reads no answers", () => {
  const start = suiteDatabase(sqlite, closeClients);

  it("is no longer read from, and gets all answers when it reads again", async () => {
    const env = { UPDATES_PER_SECOND: 100_000, UPDATES_BURST: 1_000_000, COMMIT_INTERVAL_MS: 0 };
    const server = await start({ ...env, LAG_TIMEOUT_MS: 60_000 });
    const writer = await (await Client.connect(server, { person: { user: "writer" } })).join("unread");
    const client = await Client.connect(server, { person: { user: "mute" } });
    await client.join("unread");
    const metric = (name) => server.metric(name);
    const thaw = freeze({ client });
    const large = "x".repeat(LARGE_VALUE_BYTES);
    await until(
      "the kernel accepts no more bytes for the client",
      async () => {
        await writer.edit(({ map }) => map.set("large", large));
        return (await metric("realtime_sockets_lagging")) === 1;
      },
      30_000,
      0,
    );
    const received = () => metric("realtime_updates_received_total");
    const before = await received();
    const [copies, acks] = [[], []];
    const state_vector = Y.encodeStateVector(new Y.Doc());
    for (let copy = 0; copy < COPIES; copy += 1) {
      copies.push(client.request("document_sync", { room: "unread", state_vector }));
    }
    const nothing_new = Y.encodeStateAsUpdate(new Y.Doc());
    for (let sent = 0; sent < UPDATES; sent += 1) {
      acks.push(client.request("document_update", { room: "unread", update: nothing_new }));
      if (sent % 100 === 0) await pause(0);
    }
    let [seen, last] = [0, -1];
    await until(
      "no more is read",
      async () => {
        [seen, last] = [(await received()) - before, seen];
        return seen > 0 && seen === last;
      },
      30_000,
      500,
    );
    assert.ok(seen < UNREAD_ANSWERS_MAX, `${seen} of ${UPDATES} updates are read, and their answers wait`);
    thaw();
    for (const ack of await Promise.all(acks)) assert.ok(ack.ok, JSON.stringify(ack.error));
    const refused = (await Promise.all(copies)).filter(({ ok }) => !ok);
    assert.ok(refused.length > 0, "no copy of the document was refused, although so many wait");
    for (const { error } of refused) assert.equal(checkError(error).code, "overloaded");
    assert.deepEqual(client.disconnects, []);
  });
});
