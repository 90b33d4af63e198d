// Cursors and selections, under the identity of the token. Section 4 of the protocol.

import assert from "node:assert/strict";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import * as encoding from "lib0/encoding";
import * as Y from "yjs";
import { sqlite } from "@realtime-server/harness/databases";
import { temporaryFolder } from "@realtime-server/harness/process";
import { Server } from "@realtime-server/harness/server";
import { suiteServer } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";

const TIMEOUT_MS = 1_500;
const MOVES = 1_000;

/** The bytes of an awareness update with these states: `[client id, clock, state]`. */
function awarenessUpdate(...states) {
  const encoder = encoding.createEncoder();
  encoding.writeVarUint(encoder, states.length);
  for (const [id, clock, state] of states) {
    encoding.writeVarUint(encoder, id);
    encoding.writeVarUint(encoder, clock);
    encoding.writeVarString(encoder, JSON.stringify(state));
  }
  return encoding.toUint8Array(encoder);
}

// On SQLite alone: cursors are held in memory and never stored.
describe("awareness", () => {
  const server = suiteServer();
  afterEach(closeClients);

  /** A client in a room that observes cursors. */
  const present = async (user, room, person = {}) => {
    const client = await Client.connect(server, { person: { user, name: `${user}'s name`, ...person } });
    const replica = await client.join(room);
    return { client, replica, id: replica.doc.clientID, states: replica.awareness.getStates() };
  };
  const show = ({ replica }, state) => replica.awareness.setLocalState(state);
  const sees = (viewer, shown, matches = () => true) =>
    until(`${shown.id} is seen`, () => {
      const state = viewer.states.get(shown.id);
      return state && matches(state) && state;
    });
  const misses = (viewer, gone) => until(`${gone.id} is gone`, () => !viewer.states.has(gone.id));

  it("a cursor reaches the others, with every field that its client set", async () => {
    const [ana, ben] = [await present("ana", "cursors"), await present("ben", "cursors")];
    show(ana, { cursor: { anchor: 3, head: 7 }, user: { color: "#123456" }, "with ünicode": [1, null, "x"] });
    const state = await sees(ben, ana);
    assert.deepEqual(state.cursor, { anchor: 3, head: 7 });
    assert.deepEqual(state["with ünicode"], [1, null, "x"]);
    assert.deepEqual(state.user, { id: "ana", name: "ana's name", color: "#123456" });
  });

  it("a forged identity is overwritten by the token's", async () => {
    const ana = await present("ana", "forged", { avatar_url: "https://example.org/ana.png" });
    const eve = await present("eve", "forged");
    const ben = await present("ben", "forged");
    const pose = {
      id: "ana",
      name: "Ana Li",
      avatar_url: "https://example.org/ana.png",
      color: "#ff0000",
      title: "boss",
    };
    show(eve, { user: pose });
    const posed = await sees(ben, eve);
    assert.deepEqual(posed.user, { id: "eve", name: "eve's name", color: "#ff0000", title: "boss" });
    show(ana, { user: { name: "someone" } });
    const { color, ...user } = (await sees(ben, ana)).user;
    assert.deepEqual(user, { id: "ana", name: "ana's name", avatar_url: "https://example.org/ana.png" });
    assert.equal(typeof color, "string");
  });

  it("a user that is not an object is replaced, and a missing one is added, with a colour", async () => {
    const [ana, ben] = [await present("ana", "replaced"), await present("ben", "replaced")];
    for (const [number, user] of ["Ana", 42, null, ["ana"], undefined].entries()) {
      show(ana, { user, number });
      const state = await sees(ben, ana, (it) => it.number === number);
      assert.equal(state.user.id, "ana", JSON.stringify(user));
      assert.equal(state.user.name, "ana's name");
      assert.equal(state.user.color, ana.client.welcome.user.color, "the server's stable choice");
    }
  });

  it("the client id of another session is dropped from an update, and the sender stays connected", async () => {
    const [ana, eve, ben] = [
      await present("ana", "foreign"),
      await present("eve", "foreign"),
      await present("ben", "foreign"),
    ];
    show(ana, { cursor: "ana's" });
    await sees(eve, ana);
    await sees(ben, ana);
    for (const forged of [{ cursor: "eve's" }, null]) {
      const update = awarenessUpdate([ana.id, 1_000, forged], [eve.id, 1_000, { cursor: "own" }]);
      await eve.client.ok("awareness_update", { room: "foreign", update });
      await sees(ben, eve, (state) => state.cursor === "own");
      assert.equal(ben.states.get(ana.id).cursor, "ana's");
      assert.equal(ana.states.get(ana.id).cursor, "ana's");
    }
    show(ana, { cursor: "moved" });
    await sees(ben, ana, (state) => state.cursor === "moved");
    assert.equal(eve.client.socket.connected, true);
  });

  it("a stale clock is dropped", async () => {
    const [ana, ben] = [await present("ana", "stale"), await present("ben", "stale")];
    const send = (clock, state) =>
      ana.client.ok("awareness_update", { room: "stale", update: awarenessUpdate([7_777, clock, state]) });
    await send(10, { number: 10 });
    await sees(ben, { id: 7_777 }, (state) => state.number === 10);
    await send(9, { number: 9 });
    await send(11, { number: 11, last: true });
    const state = await sees(ben, { id: 7_777 }, ({ last }) => last);
    assert.equal(state.number, 11);
    assert.equal(ben.replica.awareness.meta.get(7_777).clock, 11);
  });

  it("viewers have a cursor, although they may not edit", async () => {
    const ana = await present("ana", "viewers");
    const viewer = await present("vera", "viewers", { role: "viewer" });
    show(viewer, { cursor: 5 });
    assert.equal((await sees(ana, viewer)).user.id, "vera");
    const update = Y.encodeStateAsUpdate(new Y.Doc());
    assert.equal((await viewer.client.refusal("document_update", { room: "viewers", update })).code, "forbidden");
  });

  it("the ack of a join brings all cursors", async () => {
    const [ana, ben] = [await present("ana", "joiner"), await present("ben", "joiner")];
    show(ana, { cursor: "ana's" });
    show(ben, { cursor: "ben's" });
    await sees(ana, ben);
    await sees(ben, ana);
    const late = await present("late", "joiner");
    assert.equal(late.states.get(ana.id).cursor, "ana's");
    assert.equal(late.states.get(ben.id).cursor, "ben's");
    assert.equal(late.states.get(ana.id).user.id, "ana");
  });

  for (const [how, end] of [
    ["is disconnected", ({ client }) => client.socket.disconnect()],
    ["loses its network", ({ client }) => client.socket.io.engine.close()],
    ["leaves the room", ({ replica }) => replica.leave()],
    ["removes its own state", ({ replica }) => replica.awareness.setLocalState(null)],
  ]) {
    it(`when a client ${how}, its cursor is removed from all others at once`, async () => {
      const room = `removed: ${how}`;
      const [ana, ben, eve] = [await present("ana", room), await present("ben", room), await present("eve", room)];
      show(ana, { cursor: 1 });
      await sees(ben, ana);
      await sees(eve, ana);
      ana.client.socket.io.reconnection(false);
      await end(ana);
      await misses(ben, ana);
      await misses(eve, ana);
    });
  }

  it("a removal carries the last clock, so that the owner's next update shows the cursor again", async () => {
    const [ana, ben] = [await present("ana", "renewed"), await present("ben", "renewed")];
    for (let move = 0; move < 5; move += 1) show(ana, { move });
    await sees(ben, ana, ({ move }) => move === 4);
    const clock_before = ben.replica.awareness.meta.get(ana.id).clock;
    ana.client.socket.disconnect();
    await misses(ben, ana);
    assert.equal(ben.replica.awareness.meta.get(ana.id).clock, clock_before);
    ana.client.socket.connect();
    await sees(ben, ana, ({ move }) => move === 4);
  });

  it("many moves reach a receiver in few messages, with the newest state of each client", async () => {
    const people = [];
    for (const user of ["ana", "ben", "eve"]) people.push(await present(user, "moves"));
    const receiver = await present("joe", "moves");
    for (let move = 1; move <= MOVES; move += 1) for (const person of people) show(person, { move });
    for (const person of people) await sees(receiver, person, ({ move }) => move === MOVES);
    const messages = receiver.replica.awarenessReceived;
    assert.ok(messages < MOVES / 3, `${messages} messages for ${3 * MOVES} moves`);
  });

  it("an update that is too large is refused, and nobody sees it", async () => {
    const [ana, ben] = [await present("ana", "large"), await present("ben", "large")];
    const { awareness_bytes } = ana.client.welcome.limits;
    const update = awarenessUpdate([ana.id, 1, { padding: "x".repeat(awareness_bytes) }]);
    assert.equal((await ana.client.refusal("awareness_update", { room: "large", update })).code, "too_large");
    show(ana, { small: true });
    await sees(ben, ana, ({ small }) => small);
    assert.equal(ben.replica.awarenessReceived, 1);
  });

  it("a session has at most 16 client ids in a room; a further one is dropped", async () => {
    const [ana, ben] = [await present("ana", "ids"), await present("ben", "ids")];
    const ids = Array.from({ length: 20 }, (_, number) => 1_000 + number);
    const update = awarenessUpdate(...ids.slice(0, 15).map((id) => [id, 1, { id }]));
    await ana.client.ok("awareness_update", { room: "ids", update });
    for (const id of ids.slice(15)) {
      await ana.client.ok("awareness_update", { room: "ids", update: awarenessUpdate([id, 1, { id }]) });
    }
    await ana.client.ok("awareness_update", { room: "ids", update: awarenessUpdate([ids[0], 2, { last: true }]) });
    await sees(ben, { id: ids[0] }, ({ last }) => last);
    assert.equal(ben.states.size, 16);
  });

  it("two tabs of one person are two cursors of the same person", async () => {
    const [tab, other, ben] = [
      await present("ana", "tabs"),
      await present("ana", "tabs"),
      await present("ben", "tabs"),
    ];
    show(tab, { tab: 1 });
    show(other, { tab: 2 });
    assert.equal((await sees(ben, tab)).user.id, "ana");
    assert.equal((await sees(ben, other)).user.id, "ana");
    other.client.close();
    await misses(ben, other);
    assert.equal(ben.states.get(tab.id).tab, 1);
  });

  it("a client id beyond 32 bits is not rounded", async () => {
    const [ana, ben] = [await present("ana", "big"), await present("ben", "big")];
    const id = 2 ** 53 - 3;
    await ana.client.ok("awareness_update", { room: "big", update: awarenessUpdate([id, 1, { big: true }]) });
    await sees(ben, { id }, ({ big }) => big);
  });

  it("cursors of one room are not seen in another", async () => {
    const [ana, ben] = [await present("ana", "here"), await present("ben", "there")];
    show(ana, { cursor: 1 });
    const witness = await present("eve", "here");
    await sees(witness, ana);
    assert.equal(ben.replica.awarenessReceived, 0);
    assert.equal(ben.states.size, 0);
  });
});

describe("a cursor that is not renewed", () => {
  const server = suiteServer({ database: sqlite, env: { AWARENESS_TIMEOUT_MS: TIMEOUT_MS } });
  afterEach(closeClients);

  it("is removed, while a renewed one stays", async () => {
    const enter = async (user) => (await Client.connect(server, { person: { user } })).join("swept");
    const [ana, ben, eve] = [await enter("ana"), await enter("ben"), await enter("eve")];
    const states = eve.awareness.getStates();
    const began = Date.now();
    ana.awareness.setLocalState({ cursor: "forgotten" });
    ben.awareness.setLocalState({ cursor: "kept" });
    await until("both are seen", () => states.has(ana.doc.clientID) && states.has(ben.doc.clientID));
    const renewing = setInterval(() => ben.awareness.setLocalState({ cursor: "kept" }), TIMEOUT_MS / 5);
    try {
      await until("the cursor that is not renewed is removed", () => !states.has(ana.doc.clientID));
      assert.ok(Date.now() - began > TIMEOUT_MS / 2, "not before its time");
      assert.equal(states.get(ben.doc.clientID).cursor, "kept");
      ana.awareness.setLocalState({ cursor: "back" });
      await until("a renewal shows it again", () => states.get(ana.doc.clientID)?.cursor === "back");
    } finally {
      clearInterval(renewing);
    }
  });
});

/** A wall clock that can be set, for one process: libfaketime reads from a file how far it is off. */
class WallClock {
  #file = join(temporaryFolder(), "clock");

  constructor() {
    this.set("+0");
  }

  /** Sets it, as `+60s` or `-1h` from the true time. */
  set(offset) {
    writeFileSync(this.#file, offset);
  }

  get env() {
    const libraries = readdirSync("/usr/lib").map((folder) => `/usr/lib/${folder}/faketime/libfaketimeMT.so.1`);
    return {
      LD_PRELOAD:
        libraries.find((library) => existsSync(library)) ?? assert.fail("Debian: apt-get install libfaketime"),
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
    };
  }
}

describe("a cursor on a machine whose wall clock is changed", () => {
  afterEach(closeClients);

  it("is removed after its timeout, neither earlier nor later", async () => {
    const clock = new WallClock();
    const env = { AWARENESS_TIMEOUT_MS: TIMEOUT_MS, ...clock.env };
    const server = await Server.start({ database: sqlite, env });
    const date = async () => Date.parse((await server.get("/health")).headers.get("date"));
    const enter = async (user) => (await Client.connect(server, { person: { user } })).join("set");
    const [ana, ben, eve] = [await enter("ana"), await enter("ben"), await enter("eve")];
    const states = eve.awareness.getStates();
    const renewing = setInterval(() => ben.awareness.setLocalState({ cursor: "kept" }), TIMEOUT_MS / 5);
    try {
      for (const offset of ["+60s", "-1h"]) {
        const began = performance.now();
        ana.awareness.setLocalState({ cursor: offset });
        await until("both are seen", () => states.has(ana.doc.clientID) && states.has(ben.doc.clientID));
        clock.set(offset);
        // The date in HTTP responses never goes back.
        await until("the server's clock is ahead", async () => (await date()) - Date.now() > 30_000);
        await until("the cursor that is not renewed is removed", () => !states.has(ana.doc.clientID));
        assert.ok(performance.now() - began > TIMEOUT_MS / 2, `${offset}: not before its time`);
        assert.equal(states.get(ben.doc.clientID)?.cursor, "kept", offset);
      }
    } finally {
      clearInterval(renewing);
      await server.stop();
    }
  });
});
