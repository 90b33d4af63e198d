// The connections of stock clients: frames, keep-alive, malformed messages, and clients that are too slow or too fast.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { WebSocket } from "ws";
import * as Y from "yjs";
import { sqlite } from "@realtime-server/harness/databases";
import { memory } from "@realtime-server/harness/process";
import { suiteDatabase, suiteServer } from "@realtime-server/harness/suite";
import { token } from "@realtime-server/harness/tokens";
import { pause, until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";
import { MAJORS, Raw, Stock, closeStock } from "./support/stock.mjs";

const MIB = 2 ** 20;
/** For how long a client is alone: `LONELY_MS=70000` is longer than two times the 30 s after which stock clients reconnect. */
const LONELY_MS = Number(process.env.LONELY_MS ?? 5_000);
/** Of an update; about as many as the kernel takes for a client that does not read. */
const VALUE_BYTES = 100_000;

const SYNC = { step_1: [0, 0], step_2: [0, 1], update: [0, 2] };
/** `content` with its length in front, which is short. */
const short = (content) => [content.length, ...content];
const isStep1 = (frame) => frame[0] === 0 && frame[1] === 0;
const isStep2 = (frame) => frame[0] === 0 && frame[1] === 1;
const isAwareness = (frame) => frame[0] === 1;

const closeAll = () => {
  closeStock();
  closeClients();
};

describe("the frames of stock clients", () => {
  const server = suiteServer({ env: { CORS_ALLOWED_ORIGINS: "https://app.example.com" } });
  afterEach(closeAll);

  const open = async (room, person) => {
    const raw = await Raw.open(server, room, person);
    raw.send(SYNC.step_1, short([0]));
    await until("it is synchronised", () => raw.frames.some(isStep2));
    return raw;
  };

  it("the first step gets two steps as two frames, and the states of the others as a third", async () => {
    const other = await Stock.open(server, "frames");
    other.awareness.setLocalStateField("cursor", 1);
    const native = await (await Client.connect(server)).join("frames");
    native.awareness;
    await until("it is seen", () => native.awareness.getStates().get(other.doc.clientID)?.cursor);
    const raw = await open("frames");
    await until("there are states", () => raw.frames.some(isAwareness));
    const [first, second, third] = raw.frames;
    assert.deepEqual([...first], [0, 0, 1, 0]);
    assert.deepEqual([...second], [0, 1, 2, 0, 0]);
    assert.ok(isAwareness(third));
  });

  it("a client that sends nothing is asked for what it has, and sent the document", async () => {
    const raw = await Raw.open(server, "silent");
    await until("it was asked", () => raw.frames.some(isStep1) && raw.frames.some(isStep2));
  });

  it("several messages in one frame are all answered, each in a frame of its own", async () => {
    const raw = await Raw.open(server, "several");
    raw.send(SYNC.step_1, short([0]), [102], short([7, 8, 9]), [3]);
    await until("all are answered", () => raw.frames.some(([kind]) => kind === 102) && raw.frames.some(isAwareness));
    assert.deepEqual([...raw.frames.find(([kind]) => kind === 102)], [102, 3, 7, 8, 9]);
    for (const frame of raw.frames) assert.ok([0, 1, 102].includes(frame[0]));
  });

  it("states are sent to who asks for them, also where there are none", async () => {
    const raw = await open("query");
    const before = raw.frames.length;
    raw.send([3]);
    await until("it is answered", () => raw.frames.slice(before).some(isAwareness));
  });

  it("unknown messages are ignored", async () => {
    const raw = await open("unknown");
    for (const unknown of [[4, 1, 2], [0, 9, 1], [99], [2, 0, 1, 65]]) raw.send(unknown);
    raw.send([102], short([1]));
    await until("it is served", () => raw.frames.some(([kind]) => kind === 102));
  });

  it("malformed messages are closed with 4400, and harm nobody else", async () => {
    const witness = await Stock.open(server, "malformed", { person: { user: "ben" } });
    const update = Y.encodeStateAsUpdate(witness.doc);
    for (const bytes of [
      [],
      [0],
      [0, 0, 5, 1],
      [...SYNC.step_1, ...short([1, 2])],
      [...SYNC.update, ...short([1, 2, 3, 4, 5, 6, 7])],
      [...SYNC.step_2, ...short([255, 255, 255])],
      [...SYNC.update, 200, 200, 200, 200, 15, 0],
      [1, ...short([1, 5, 1, 2, 0x7b, 0x5d])],
      [1, ...short([3])],
      [102, 9],
      [255],
    ]) {
      const raw = await open("malformed", { user: "eve" });
      raw.send(bytes);
      assert.deepEqual(await raw.closed(), [4400, "invalid"], JSON.stringify(bytes));
    }
    const raw = await open("malformed", { user: "eve" });
    raw.socket.send("text");
    assert.deepEqual(await raw.closed(), [4400, "invalid"]);
    assert.deepEqual(Y.encodeStateAsUpdate(witness.doc), update);
    const native = await (await Client.connect(server)).join("malformed");
    await native.edit(() => native.text.insert(0, "unharmed"));
    await until("the others go on", () => witness.content === "unharmed");
    assert.deepEqual(witness.closes, []);
  });

  it("updates that are too large are closed with 4413, whatever their size", async () => {
    for (const bytes of [2 * MIB + 1, 5 * MIB]) {
      const stock = await Stock.open(server, "large");
      stock.text.insert(0, "x".repeat(bytes));
      const [code] = await stock.closed();
      assert.equal(code, 4413);
      stock.close();
    }
  });

  it("awareness states that are too large are dropped, since stock clients send on what they receive", async () => {
    const [stock, viewer] = [
      await Stock.open(server, "states"),
      await Stock.open(server, "states", { person: { user: "ben" } }),
    ];
    stock.awareness.setLocalStateField("large", "x".repeat(100_000));
    stock.awareness.setLocalState({ small: true });
    await until("the next is seen", () => viewer.awareness.getStates().get(stock.doc.clientID)?.small);
    assert.deepEqual(stock.closes, []);
  });

  it("pages of other origins are refused, and requests that are no upgrade", async () => {
    const origin = (origin) => new Raw(server, `origins?token=${token()}`, { origin });
    assert.deepEqual(await origin("https://evil.example.com").closed(), [403, "refused"]);
    const allowed = origin("https://app.example.com");
    await until("it is open", () => allowed.socket.readyState === WebSocket.OPEN);
    assert.equal((await server.get("/yjs/origins")).status, 400);
  });
});

describe("the connections of stock clients", () => {
  const startServer = suiteDatabase(sqlite, closeAll);

  it("a client that is alone stays connected, since a message comes more often than it requires", async () => {
    const server = await startServer({ PING_INTERVAL_MS: LONELY_MS < 30_000 ? LONELY_MS / 10 : undefined });
    const stocks = [];
    for (const major of MAJORS) stocks.push(await Stock.open(server, `alone-${major}`, { major }));
    const raw = await Raw.open(server, "alone");
    await pause(LONELY_MS);
    for (const stock of stocks) assert.deepEqual([stock.connects, stock.closes], [1, []]);
    const gaps = raw.times.slice(1).map((time, at) => time - raw.times[at]);
    assert.ok(gaps.length >= 4 && Math.max(...gaps) < 20_000, JSON.stringify(gaps));
    assert.ok(raw.pings >= 3);
  });

  it("a client that does not answer pings is closed", async () => {
    const server = await startServer({ PING_INTERVAL_MS: 100, PING_TIMEOUT_MS: 300 });
    const alive = await Stock.open(server, "gone");
    const raw = new Raw(server, `gone?token=${token()}`, { autoPong: false });
    await raw.closed();
    assert.deepEqual(alive.closes, []);
  });

  it("no token is in the log", async () => {
    const server = await startServer({ LOG_LEVEL: "trace" });
    const given = token({ user: "ana" });
    await Stock.open(server, "logged", { token: given });
    await Stock.open(server, "logged", { token: null, protocols: [`bearer.${given}`] });
    await new Stock(server, "logged", { token: `${given}x` }).closed();
    assert.ok(server.log.includes("session of a stock client began"));
    assert.ok(!server.log.includes(given.slice(-30)), "a token was logged");
  });

  it("a client that is too fast is read more slowly: nothing is lost, and it stays connected", async () => {
    const server = await startServer({ UPDATES_PER_SECOND: 100, UPDATES_BURST: 50 });
    const stock = await Stock.open(server, "fast", { person: { user: "ana" } });
    const replica = await (await Client.connect(server, { person: { user: "ben" } })).join("fast");
    const began = performance.now();
    for (let number = 0; number < 250; number += 1) stock.text.insert(stock.text.length, `${number} `);
    await until("all have arrived", () => replica.content === stock.content);
    const took_ms = performance.now() - began;
    assert.ok(took_ms > 1_500, `250 updates at 100 a second took ${took_ms} ms`);
    assert.equal(replica.gaps, 0, "they came in order");
    assert.deepEqual(stock.closes, []);
  });

  const slow = { MEMORY_BYTES_PER_SECOND: 64 * MIB, MEMORY_BURST_BYTES: 1024 * MIB, COMMIT_INTERVAL_MS: 0 };

  /** Overwrites a value so often that the queue of a client which does not read is full. */
  const flood = async (replica, values = 400) => {
    for (let number = 1; number <= values; number += 1) {
      replica.map.set("value", { number, padding: "x".repeat(VALUE_BYTES) });
      await until("it is under way", () => replica.unacknowledged < 8);
    }
    await replica.saved();
  };

  it("a client that stops reading for a while costs little memory, and misses nothing", async () => {
    const server = await startServer({ ...slow, LAG_TIMEOUT_MS: 60_000 });
    const replica = await (await Client.connect(server, { person: { user: "ben" } })).join("slow");
    const stock = await Stock.open(server, "slow", { person: { user: "ana" } });
    await flood(replica, 100);
    await until("it follows", () => stock.doc.getMap("map").get("value")?.number === 100);
    const before = memory(server.pid);
    stock.provider.ws.pause();
    await flood(replica);
    const grown = memory(server.pid) - before;
    stock.text.insert(0, "meanwhile");
    await until("it can write all the time", () => replica.content === "meanwhile");
    stock.provider.ws.resume();
    await until("it has the newest", () => stock.doc.getMap("map").get("value").number === 400);
    assert.deepEqual([stock.connects, stock.closes], [1, []]);
    assert.ok(grown < 32 * MIB, `the server grew by ${(grown / MIB).toFixed(1)} MiB`);
  });

  it("a client that does not read at all is cut with 1013", async () => {
    const server = await startServer({ ...slow, LAG_TIMEOUT_MS: 500 });
    const replica = await (await Client.connect(server, { person: { user: "ben" } })).join("stalled");
    const raw = await Raw.open(server, "stalled");
    await until("it is synchronised", () => raw.frames.some(isStep2));
    raw.socket.pause();
    await flood(replica);
    await until("it was cut", async () => (await server.metric('realtime_sockets_cut_total{reason="lagging"}')) === 1);
    raw.socket.resume();
    const [code] = await raw.closed();
    // What the kernel had taken may be more than the client reads in time.
    assert.ok([1013, 1006].includes(code), `${code}`);
  });
});
