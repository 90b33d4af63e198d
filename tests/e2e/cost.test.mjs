// The cost of an update is estimated before it is applied, so that one editor cannot stall the process.
//
// While a client sends updates that would keep an unprotected server busy for seconds, others type in another room as
// before, and the attacked document opens as fast as before.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import * as Y from "yjs";
import { sqlite } from "@realtime-server/harness/databases";
import { memory, processorSeconds } from "@realtime-server/harness/process";
import { suiteDatabase, suiteServer } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";
import { text, update } from "./support/blocks.mjs";
import { Calm } from "./support/calm.mjs";
import { Client, checkError, closeClients } from "./support/client.mjs";
import { BASE, alternateDeletions, chains, crowds, fewAtATime, longText, pairs, strangers } from "./support/costly.mjs";
import { newcomer } from "./support/view.mjs";

const MIB = 2 ** 20;
/** Error codes with which an attack may be refused. */
const REFUSALS = ["too_large", "rate_limited", "overloaded"];
/** The machine may run other programs: one quiet window of so many is enough. What an attack does, it does in all of them. */
const WINDOWS = 5;
/** The first one is short, and not compared with what is usual beside as many bytes that are not updates. */
const FIRST_WINDOW_MS = 500;
/** Latencies below these, or below so many times those of a server that nobody attacks, are the noise of the machine. */
const HEALTH_MAX_MS = 20;
const TYPING_FLOOR_MS = 20;
const NOISE = 5;
/** By how much an attack may delay the opening of its document, which takes a slow machine longer in any case. */
const REOPENING_MAX_MS = 100;
const MEMORY_BUDGET = 128 * MIB;
const KEYSTROKES = 60;
/** The deletions of so many clocks, every second one, are about a megabyte. */
const HELD_CLOCKS = 2 * 200_000;
/** The budget is an estimate, and the allocator keeps some. */
const MEMORY_GROWTH_MAX = 2 * MEMORY_BUDGET;

const ATTACKS = {
  ...crowds(4_000, 2_000),
  ...pairs(7_500, 3_750),
  ...chains(4_000, 2_000),
  "many elements at one place, a few at a time": fewAtATime(7_500, 100, 60),
  "the deletion of every second of a million characters": [longText(MIB), alternateDeletions(BASE, 0, MIB)],
};

describe("updates that cost much processor time", () => {
  const unlimited = { UPDATES_PER_SECOND: 100_000, UPDATES_BURST: 1_000_000, REQUESTS_PER_SECOND: 10_000 };
  // Some tests wait for the ack of each keystroke: with commits gathered as usual they would take their time.
  const server = suiteServer({ env: { ...unlimited, ROOM_IDLE_MS: 50, COMMIT_INTERVAL_MS: 0 } });
  let calm;
  let idle;
  let attacks = 0;

  before(async () => {
    calm = await Calm.set(server);
    idle = await calm.measure();
  });
  after(closeClients);

  const connect = () => Client.connect(server, { person: { user: `eve-${(attacks += 1)}` } });
  const send = async (eve, room, bytes) => {
    const ack = await eve.socket.timeout(60_000).emitWithAck("document_update", { room, update: bytes });
    if (!ack.ok) assert.ok(REFUSALS.includes(checkError(ack.error).code), ack.error.code);
    return ack.ok ? "ok" : ack.error.code;
  };
  /** How long a document takes to open that is not in memory, in ms: the best of a few times. */
  const reopening = async (room) => {
    const times = [];
    const visitor = await connect();
    for (let time = 0; time < 3; time += 1) {
      await until("only the calm room is in memory", async () => (await server.metric("realtime_rooms")) === 1);
      const began = performance.now();
      await visitor.ok("join_room", room);
      times.push(performance.now() - began);
      await visitor.ok("leave_room", { room });
    }
    visitor.close();
    return Math.min(...times);
  };

  for (const [attack, [first, ...more]] of Object.entries(ATTACKS)) {
    it(`${attack}: others are not disturbed, and the document opens as before`, async () => {
      const seen = [];
      while (seen.length < WINDOWS && !seen.some(quiet)) {
        const isFirst = seen.length === 0;
        const rooms = [0, 1].map((number) => `attack ${attacks} ${number}`);
        const builder = await connect();
        for (const room of rooms) await builder.ok("join_room", room);
        for (const room of rooms) await send(builder, room, first);
        builder.close();
        const before_ms = await reopening(rooms[0]);
        const eve = await connect();
        for (const room of rooms) await eve.ok("join_room", room);
        const sendJunk = () => {
          // As many bytes that are not updates: the time that this process takes to send them is not the server's.
          const junk = more.map((bytes) => new Uint8Array(bytes.length).fill(0xff));
          return Promise.all(
            rooms.flatMap((room) => junk.map((update) => eve.request("document_update", { room, update }))),
          );
        };
        const usual = isFirst ? undefined : await calm.measure(sendJunk);
        const cpu_before = processorSeconds(server.pid);
        const sendAll = () => Promise.all(rooms.flatMap((room) => more.map((bytes) => send(eve, room, bytes))));
        const { result, ...meanwhile } = await calm.measure(sendAll, isFirst ? FIRST_WINDOW_MS : undefined);
        const cpu_s = processorSeconds(server.pid) - cpu_before;
        eve.close();
        const reopening_ms = (await reopening(rooms[0])) - before_ms;
        seen.push({ idle, usual, meanwhile, cpu_s, before_ms, reopening_ms, result: counted(result) });
      }
      const { usual, meanwhile, cpu_s, reopening_ms, result } = seen.at(-1);
      const figures =
        `${result}; health p99 ${meanwhile.health_ms.toFixed(1)} ms, typing p99 ${meanwhile.typing_ms.toFixed(1)} ms` +
        `${usual ? ` (usually ${usual.health_ms.toFixed(1)}, ${usual.typing_ms.toFixed(1)})` : ""}, ` +
        `${cpu_s.toFixed(2)} s of processor time, ` +
        `reopening ${reopening_ms > 0 ? "+" : ""}${reopening_ms.toFixed(0)} ms`;
      console.log(`${attack}: ${figures}`);
      assert.ok(quiet(seen.at(-1)), figures);
      assert.ok(await calm.unharmed(), "an update of the calm room was refused");
    });
  }

  it("deletions of characters that are not typed yet do not make typing them slower", async () => {
    const client = await connect();
    const victim = await client.join("victim");
    const type = async (characters) => {
      const began = processorSeconds(server.pid);
      for (const character of characters) await victim.edit(({ text }) => text.insert(text.length, character));
      return processorSeconds(server.pid) - began;
    };
    await victim.edit(({ text }) => text.insert(0, "before "));
    const usual_s = await type("k".repeat(KEYSTROKES));
    const eve = await connect();
    await eve.ok("join_room", "victim");
    const clock = Y.getState(victim.doc.store, victim.doc.clientID);
    const result = await send(eve, "victim", alternateDeletions(victim.doc.clientID, clock + 1, clock + HELD_CLOCKS));
    const held_s = await type("k".repeat(KEYSTROKES));
    console.log(`${result}; ${KEYSTROKES} keystrokes take ${held_s.toFixed(2)} s, usually ${usual_s.toFixed(2)} s`);
    assert.ok(held_s < 2 * usual_s + 0.2, `${held_s} s of processor time instead of ${usual_s} s`);
    assert.deepEqual(victim.refusals, []);
  });

  it("large edits at one place, as ordinary editing makes them, are accepted", async () => {
    const editor = await connect();
    await editor.ok("join_room", "honest");
    const accepted = async (bytes) => editor.ok("document_update", { room: "honest", update: bytes });
    const whole = new Y.Doc();
    // Two hundred people have written offline, each at the start of the same empty text.
    const writers = Array.from({ length: 200 }, () => new Y.Doc());
    writers.forEach((doc, at) => doc.getText("text").insert(0, `writer ${at} writes a sentence. `));
    Y.applyUpdate(whole, Y.mergeUpdates(writers.map((doc) => Y.encodeStateAsUpdate(doc))));
    await accepted(Y.encodeStateAsUpdate(whole));
    const edits = (change) => {
      const before = Y.encodeStateVector(whole);
      whole.transact(() => change(whole.getText("text")));
      return accepted(Y.encodeStateAsUpdate(whole, before));
    };
    const words = "word ".repeat(20_000);
    await edits((text) => text.insert(0, words));
    // Every fifth word is replaced, as by a search in an editor.
    await edits((text) => {
      for (let at = words.length - 25; at >= 0; at -= 25) {
        text.delete(at, 4);
        text.insert(at, "term");
      }
    });
    await edits((text) => text.format(0, 50_000, { bold: true }));
    await edits((text) => text.delete(0, text.length));
    await edits((text) => text.insert(0, "all anew"));
    assert.equal((await newcomer(server, "honest")).content, "all anew");
  });
});

describe("updates that cost much memory", () => {
  const start = suiteDatabase(sqlite, closeClients);

  const elements = (count) => {
    const one = text({ root: "text" }, "x");
    return update([{ client: BASE, clock: 0, blocks: Array.from({ length: count }, () => one) }]);
  };
  const large = elements(Math.floor((2 * MIB - 100) / 9));
  const ATTACKS = {
    "24 MiB in twelve rooms": Array.from({ length: 12 }, () => large),
    "a million clients with one element each": Array.from({ length: 8 }, (_, at) => strangers(1e9 + at * 1e6, 125_000)),
  };

  for (const [attack, updates] of Object.entries(ATTACKS)) {
    it(`${attack} stay within the memory budget of the process, and others continue to work`, async () => {
      const server = await start({ MEMORY_BYTES_MAX: MEMORY_BUDGET });
      const calm = await Calm.set(server);
      const eve = await Client.connect(server, { person: { user: "eve" } });
      const memory_before = memory(server.pid);
      const results = {};
      for (const [number, bytes] of updates.entries()) {
        const room = `room ${number}`;
        const joined = await eve.request("join_room", room);
        const ack = joined.ok ? await eve.request("document_update", { room, update: bytes }) : joined;
        const result = ack.ok ? "ok" : checkError(ack.error).code;
        if (!ack.ok) assert.ok(REFUSALS.includes(result), result);
        results[result] = (results[result] ?? 0) + 1;
      }
      const grown = memory(server.pid, "VmHWM") - memory_before;
      const bytes = updates.reduce((sum, { length }) => sum + length, 0);
      const figures = `${(grown / MIB).toFixed(0)} MiB for ${(bytes / MIB).toFixed(1)} MiB`;
      console.log(`${attack}: ${figures}; ${JSON.stringify(results)}`);
      assert.ok(grown < MEMORY_GROWTH_MAX, figures);
      await calm.measure();
      assert.ok(await calm.unharmed(), "an update of the calm room was refused");
    });
  }
});

/** The number of answers of each kind, as text. */
function counted(answers) {
  const counts = {};
  for (const answer of answers) counts[answer] = (counts[answer] ?? 0) + 1;
  return JSON.stringify(counts);
}

/** Whether the latencies in a window are within their limits. */
function quiet({ idle, usual = { health_ms: 0, typing_ms: 0 }, meanwhile, before_ms, reopening_ms }) {
  return (
    meanwhile.health_ms < Math.max(HEALTH_MAX_MS, NOISE * idle.health_ms, 2 * usual.health_ms) &&
    meanwhile.typing_ms < Math.max(TYPING_FLOOR_MS, NOISE * idle.typing_ms, 2 * usual.typing_ms) &&
    reopening_ms < Math.max(REOPENING_MAX_MS, before_ms, NOISE * idle.typing_ms)
  );
}
