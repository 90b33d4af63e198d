// Stock clients of y-socket.io, beside native ones. Sections 3, 4 and 8 of the protocol.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { io } from "socket.io-client";
import * as Y from "yjs";
import { Awareness, encodeAwarenessUpdate } from "y-protocols/awareness";
import { databases } from "@realtime-server/harness/databases";
import { Network } from "@realtime-server/harness/network";
import { memory, temporaryFolder } from "@realtime-server/harness/process";
import { suiteDatabase, suiteServer } from "@realtime-server/harness/suite";
import { claims, sign, token } from "@realtime-server/harness/tokens";
import { pause, until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";
import { Caller } from "./support/http.mjs";
import { RawSocket } from "./support/raw.mjs";
import { converged } from "./support/room.mjs";
import { Bare, Stock, closeStock } from "./support/y-socket-io.mjs";

const MIB = 1024 * 1024;

/** The time within which a revocation takes effect, and what a busy machine may take to tell it. */
const EFFECT_MS = 2_000;
const TOLD_MS = 2_000;

/** Bytes that are no update of Yjs: with these, a client of y-socket.io ends the process of its own server. */
const JUNK = Uint8Array.of(7, 7, 7, 7, 7, 7, 7);

/** The reasons of a disconnect after which socket.io-client reconnects by itself. */
const BY_ITSELF = ["transport close", "transport error"];

/** Sockets in the native namespace of a shared connection. */
const others = [];

const closeAll = () => {
  for (const socket of others.splice(0)) socket.disconnect();
  closeStock();
  closeClients();
};

/** A native client that has joined a room. */
const native = async (server, user, room, person = {}) =>
  (await Client.connect(server, { person: { user, ...person } })).join(room);

const stock = (server, user, room, options = {}) =>
  Stock.open(server, room, { person: { user, ...options.person }, ...options });

/** The native namespace on the connection of a client. */
const beside = async (client, server, user) => {
  const socket = io(server.url, { auth: { token: token({ user }) }, forceNew: false }).connect();
  others.push(socket);
  await until("the native namespace is connected", () => socket.connected);
  assert.equal(socket.io, client.socket.io);
  return socket;
};

const sees = (states, id, matches = () => true) =>
  until(`${id} is seen`, () => {
    const state = states.get(id);
    return state && matches(state) && state;
  });

for (const database of databases) {
  describe(`clients of y-socket.io on ${database.name}`, () => {
    const start = suiteDatabase(database, closeAll);

    it("come back after a kill with what was typed meanwhile, and a newcomer sees all of it", async () => {
      const server = await start();
      const [ana, ben] = [await stock(server, "ana", "killed"), await native(server, "ben", "killed")];
      ana.type("before ");
      await until("Ben reads it", () => ben.content === "before ");
      await ben.edit(({ map }) => map.set("ben", "saved"));
      await server.kill9();
      await until("both have noticed", () => !ana.socket.connected && !ben.settled);
      ana.type("while away");
      await server.launch();
      await until("Ana is back", () => ana.provider.synced);
      await until("Ben is back", () => ben.settled);
      await converged([ana, ben]);
      assert.equal(ben.content, "before while away");
      assert.ok(BY_ITSELF.includes(ana.disconnects[0]));
      // The protocol of y-socket.io has no acks, but an ack of Ben's says that all before it is durable.
      await ben.edit(({ map }) => map.set("ben", "saved again"));
      await server.kill9();
      await server.launch();
      const cleo = await native(server, "cleo", "killed");
      assert.equal(cleo.content, "before while away");
      assert.equal(cleo.map.get("ben"), "saved again");
    });
  });
}

// The rest on SQLite alone: a door reaches the database through its room only.
describe("clients of y-socket.io", () => {
  const server = suiteServer({ env: { JWT_LEEWAY_MS: 0, TOKEN_GRACE_MS: 500, ROOM_IDLE_MS: 100 } });
  afterEach(closeAll);

  it("edit one document with native clients, and either sees the other's cursor under the name of the token", async () => {
    const [ana, ben] = [await stock(server, "ana", "mixed"), await native(server, "ben", "mixed")];
    const [seenByAna, seenByBen] = [ana.awareness.getStates(), ben.awareness.getStates()];
    ana.type("Ana was here. ");
    await ben.edit(({ text }) => text.insert(0, "Ben was here. "));
    await converged([ana, ben]);
    ana.awareness.setLocalState({ cursor: 3, user: { id: "ben", name: "Ben" } });
    ben.awareness.setLocalState({ cursor: 7 });
    const shown = await sees(seenByBen, ana.doc.clientID, ({ cursor }) => cursor === 3);
    assert.deepEqual([shown.user.id, shown.user.name], ["ana", "ana's name"]);
    const other = await sees(seenByAna, ben.doc.clientID, ({ cursor }) => cursor === 7);
    assert.deepEqual([other.user.id, other.user.name], ["ben", "ben's name"]);
    const cleo = await stock(server, "cleo", "mixed");
    await converged([ana, ben, cleo]);
    await sees(cleo.awareness.getStates(), ben.doc.clientID, ({ cursor }) => cursor === 7);
    ana.close();
    await until("Ana's cursor is gone", () => !seenByBen.has(ana.doc.clientID));
  });

  it("run as in the documentation", async () => {
    const page = readFileSync(new URL("../../docs/stock-clients.md", import.meta.url), "utf8");
    const [, program] = /`socket\.mjs`:\n\n```js\n(.*?)```\n/s.exec(page);
    const address = '"http://localhost:3001"';
    assert.ok(program.includes(address));
    const folder = temporaryFolder();
    symlinkSync(fileURLToPath(new URL("node_modules", import.meta.url)), join(folder, "node_modules"));
    writeFileSync(join(folder, "socket.mjs"), program.replace(address, JSON.stringify(server.url)));
    const { stdout } = await promisify(execFile)("node", ["socket.mjs"], { cwd: folder, timeout: 60_000 });
    assert.deepEqual(stdout.trim().split("\n").sort(), ["Ana wrote this.", "Ben wrote this."]);
  });

  it("get packets as Node's socket.io writes them", async () => {
    const raw = await RawSocket.open(server);
    const auth = JSON.stringify({ token: token() });
    raw.send('40/yjs|a,{"token":"nonsense"}');
    await raw.frame((text) => text === '44/yjs|a,{"message":"unauthorized"}');
    raw.send(`40/yjs|a,${auth}`);
    await raw.frame((text) => text.startsWith('40/yjs|a,{"sid":"'));
    const before = raw.frames.length;
    raw.send('451-/yjs|a,0["sync-step-1",{"_placeholder":true,"num":0}]');
    raw.send(Buffer.of(0));
    await until("the server asks", () => raw.frames.length === before + 4);
    assert.deepEqual(raw.frames.slice(before), [
      '461-/yjs|a,0[{"_placeholder":true,"num":0}]',
      Buffer.of(0, 0),
      '451-/yjs|a,0["sync-step-1",{"_placeholder":true,"num":0}]',
      Buffer.of(0),
    ]);
    raw.send('461-/yjs|a,0[{"_placeholder":true,"num":0}]');
    raw.send(Buffer.of(0, 0));
    // A second CONNECT is ignored, and so are acks that nobody expects.
    raw.send(`40/yjs|a,${auth}`);
    raw.send('461-/yjs|a,0[{"_placeholder":true,"num":0}]');
    raw.send(Buffer.of(0, 0));
    raw.send("41/yjs|a,");
    raw.send(`40/yjs|b,${auth}`);
    await raw.frame((text) => text.startsWith('40/yjs|b,{"sid":"'));
    assert.equal(raw.frames.length, before + 5);
    // An event in a namespace that was left is a violation of the protocol, as in the namespace "/".
    raw.send('42/yjs|a,["sync-update"]');
    await until("it is closed", () => raw.closed);
  });

  it("say that they are synchronised when they have the document, and not before", async () => {
    const ben = await native(server, "ben", "synced");
    await ben.edit(({ text }) => text.insert(0, "x".repeat(300_000)));
    const ana = new Stock(server, "synced", { person: { user: "ana" } });
    let lengthWhenSynced;
    ana.provider.on("synced", () => (lengthWhenSynced ??= ana.text.length));
    await until("Ana is synchronised", () => lengthWhenSynced !== undefined);
    assert.equal(lengthWhenSynced, 300_000);
  });

  it("share one connection with one another and with a native client, each with a token of its own", async () => {
    const shared = { forceNew: false };
    const one = await stock(server, "ana", "shared one", shared);
    const [first, second] = [await native(server, "ben", "shared one"), await native(server, "ben", "shared two")];
    const two = await stock(server, "ana", "shared two", { ...shared, person: { role: "viewer" } });
    const socket = await beside(one, server, "ana");
    assert.equal(one.socket.io, two.socket.io);
    one.type("one");
    two.type("two");
    await until("Ben reads the first", () => first.content === "one");
    await until("a viewer is told", () =>
      two.told.some(([event, { error }]) => event === "request_error" && error.code === "forbidden"),
    );
    assert.equal(second.content, "");
    const joined = await socket.timeout(10_000).emitWithAck("join_room", "shared one");
    assert.equal(joined.ok, true);
    // A namespace ends, and the others stay.
    one.close();
    await second.edit(({ map }) => map.set("still", "there"));
    await until("the second is alive", () => two.map.get("still") === "there");
    const { users } = await socket.timeout(10_000).emitWithAck("presence_list", { room: "shared two" });
    assert.deepEqual(users.map(({ user }) => user.id).sort(), ["ana", "ben"]);
  });

  it("are refused with a code", async () => {
    const refused = (options, room = "refusals") => Stock.refused(server, room, options);
    assert.equal(await refused({ token: "nonsense" }), "unauthorized");
    assert.equal(await refused({ token: "" }), "unauthorized");
    assert.equal(await refused({ person: { ttl_s: -10 } }), "token_expired");
    assert.equal(await refused({ token: sign(claims(), "another secret of the same length…") }), "unauthorized");
    assert.equal(await refused({ person: { documents: { refusals: "none" } } }), "forbidden");
    assert.equal(await refused({ person: { role: "viewer" } }, "not yet there"), "not_found");
    assert.equal(await refused({}, "x".repeat(256)), "invalid");
    assert.equal(await refused({}), "accepted");
    const { users } = await (await Client.connect(server)).ok("presence_list", { room: "not yet there" });
    assert.deepEqual(users, []);
  });

  it("see and are seen as viewers, but their edits are dropped", async () => {
    const ben = await native(server, "ben", "viewed");
    const seen = ben.awareness.getStates();
    await ben.edit(({ text }) => text.insert(0, "to be read"));
    const eve = await stock(server, "eve", "viewed", { person: { role: "viewer" } });
    await converged([eve, ben]);
    assert.deepEqual(eve.told, []);
    eve.awareness.setLocalState({ reads: true });
    await sees(seen, eve.doc.clientID, ({ reads }) => reads);
    eve.text.insert(0, "not ");
    await until("she is told", () => eve.told.length > 0);
    const [[event, { event: of, error }]] = eve.told;
    assert.deepEqual([event, of, error.code], ["request_error", "sync-update", "forbidden"]);
    await ben.edit(({ map }) => map.set("later", true));
    await until("she hears more", () => eve.map.get("later"));
    // What the server asks for after a reconnect is dropped too.
    eve.breakTransport();
    await until("she is back", () => eve.disconnects.length > 0 && eve.provider.synced);
    await ben.sync();
    assert.equal(ben.content, "to be read");
  });

  it("are present like others, in the room and in the team", async () => {
    const ben = await Client.connect(server, { person: { user: "ben", team: "presence" } });
    await ben.join("present");
    const ana = await stock(server, "ana", "present", { person: { team: "presence" } });
    const list = async (payload) => (await ben.ok("presence_list", payload)).users.map(({ user }) => user.id).sort();
    await until("Ana is in the room", async () => (await list({ room: "present" })).join() === "ana,ben");
    const { users } = await ben.ok("presence_list", {});
    assert.deepEqual(users.find(({ user }) => user.id === "ana").rooms, ["present"]);
    ana.close();
    await until("Ana has left the room", async () => (await list({ room: "present" })).join() === "ben");
  });

  it("are ended by a revocation within two seconds, and are refused afterwards", async () => {
    const platform = new Caller(server, { user: "platform", role: "service" });
    const ana = await stock(server, "ana", "revoked", { person: { sid: "the laptop" } });
    const ben = await stock(server, "ben", "revoked");
    await platform.ok("POST", "sessions/revoke", { sid: "the laptop" });
    await until("Ana's session ends", () => ana.disconnects.length > 0, EFFECT_MS + TOLD_MS);
    assert.deepEqual(ana.told, [["session_ended", { code: "session_revoked" }]]);
    assert.deepEqual(ana.disconnects, ["io server disconnect"]);
    ana.provider.connect();
    await until("she is refused", () => ana.refusals.length > 0);
    assert.deepEqual(ana.refusals, ["session_revoked"]);
    ben.type("alive");
    assert.equal((await native(server, "cleo", "revoked")).text.length >= 0, true);
    assert.equal(ben.socket.connected, true);
  });

  it("are told when their token expires, and connect again with a fresh one", async () => {
    let ttl_s = 1;
    const ana = await stock(server, "ana", "expired", { token: () => token({ user: "ana", ttl_s }) });
    await until("she is told before", () => ana.told.some(([event]) => event === "token_expiring"));
    await until("her session ends", () => ana.disconnects.length > 0);
    assert.deepEqual(ana.told.at(-1), ["session_ended", { code: "token_expired" }]);
    assert.deepEqual(ana.disconnects, ["io server disconnect"]);
    ana.type("typed meanwhile");
    ttl_s = 3600;
    ana.provider.connect();
    await until("she is back", () => ana.provider.synced);
    const ben = await native(server, "ben", "expired");
    await until("nothing is lost", () => ben.content === "typed meanwhile");
  });

  it("leave a document that is deleted, and are told so", async () => {
    const admin = new Caller(server, { user: "admin", role: "admin" });
    const ana = await stock(server, "ana", "deleted");
    ana.type("gone soon");
    await admin.ok("DELETE", "documents/deleted");
    await until("the room is closed", () => ana.disconnects.length > 0);
    assert.deepEqual(ana.told.at(-1), ["room_closed", { room: "deleted", code: "not_found" }]);
    assert.deepEqual(ana.disconnects, ["io server disconnect"]);
  });

  it("lose nothing that is typed while they have no network", async () => {
    const network = await Network.to(server);
    const ana = await Stock.open(network, "offline", { person: { user: "ana" } });
    const ben = await native(server, "ben", "offline");
    ana.type("online ");
    await until("Ben reads it", () => ben.content === "online ");
    network.cut();
    await until("Ana has noticed", () => !ana.socket.connected);
    ana.type("offline ");
    await ben.edit(({ map }) => map.set("meanwhile", true));
    network.mend();
    await converged([ana, ben]);
    await until("it is there", () => ben.content === "online offline ");
    assert.equal(ana.map.get("meanwhile"), true);
    network.close();
  });

  it("remove nobody's cursor when they lose their connection and reconnect", async () => {
    const [ana, ben, cleo] = [
      await stock(server, "ana", "cursors"),
      await native(server, "ben", "cursors"),
      await stock(server, "cleo", "cursors"),
    ];
    const states = [ana, ben, cleo].map(({ awareness }) => awareness.getStates());
    for (const [n, { awareness }] of [ana, ben, cleo].entries()) awareness.setLocalState({ cursor: n });
    for (const seen of states) for (const { doc } of [ana, ben, cleo]) await sees(seen, doc.clientID);
    const lost = [];
    for (const watcher of [ben, cleo]) {
      watcher.awareness.on("change", ({ removed }) => lost.push(...removed.filter((id) => id !== ana.doc.clientID)));
    }
    ana.breakTransport();
    await until("Ana is back", () => ana.disconnects.length > 0 && ana.provider.synced);
    ana.awareness.setLocalState({ cursor: "back" });
    for (const seen of states.slice(1)) await sees(seen, ana.doc.clientID, ({ cursor }) => cursor === "back");
    ben.awareness.setLocalState({ cursor: "moved" });
    await sees(states[2], ben.doc.clientID, ({ cursor }) => cursor === "moved");
    await sees(states[0], ben.doc.clientID, ({ cursor }) => cursor === "moved");
    assert.deepEqual(lost, []);
  });

  it("are shown again at once when they are back", async () => {
    const [ana, ben] = [await stock(server, "ana", "back"), await native(server, "ben", "back")];
    const seen = ben.awareness.getStates();
    ana.awareness.setLocalState({ cursor: "as it was" });
    await sees(seen, ana.doc.clientID, ({ cursor }) => cursor === "as it was");
    ana.breakTransport();
    await until("she is gone", () => !seen.has(ana.doc.clientID));
    const began = performance.now();
    await sees(seen, ana.doc.clientID, ({ cursor }) => cursor === "as it was");
    // By itself, a client renews its state every 15 s.
    assert.ok(performance.now() - began < 10_000);
  });

  it("do not show a cursor again that is gone, by sending it on late", async () => {
    const room = "echoes";
    const [ben, ana] = [await native(server, "ben", room), await Client.connect(server, { person: { user: "ana" } })];
    const eve = await Bare.connect(server, room, { person: { user: "eve" } });
    const echoes = [];
    eve.socket.on("awareness-update", (update) => echoes.push(new Uint8Array(update)));
    const replica = await ana.join(room);
    replica.awareness.setLocalState({ cursor: 1 });
    const seen = ben.awareness.getStates();
    await sees(seen, replica.doc.clientID);
    await until("Eve has it", () => echoes.length > 0);
    const [echo] = echoes;
    ana.close();
    await until("Ana is gone", () => !seen.has(replica.doc.clientID));
    eve.socket.emit("awareness-update", echo);
    // The state that follows shows that the echo was handled.
    const own = new Y.Doc();
    const awareness = new Awareness(own);
    awareness.setLocalState({ cursor: 2 });
    eve.socket.emit("awareness-update", encodeAwarenessUpdate(awareness, [own.clientID]));
    await sees(seen, own.clientID);
    // Whoever saw her leave would not see it, but a newcomer would, and under another name.
    const cleo = await native(server, "cleo", room);
    const shown = [...cleo.awareness.getStates().keys()];
    assert.ok(shown.includes(own.clientID) && !shown.includes(replica.doc.clientID));
    awareness.destroy();
  });

  it("harm nobody by malformed bytes, and are cut if they send many", async () => {
    const room = "malformed";
    const [ana, ben] = [await stock(server, "ana", room), await native(server, "ben", room)];
    const eve = await Bare.connect(server, room, { person: { user: "eve" } });
    const events = ["sync-update", "awareness-update", "sync-step-1", "anything"];
    const payloads = [[JUNK], [], ["text"], [null], [{}], [[1, 2]], [JUNK, JUNK], [Buffer.alloc(0)], [12]];
    for (const event of events) for (const payload of payloads) eve.socket.emit(event, ...payload);
    await until("she is told", () => eve.told.length > 0);
    for (const [event, { error }] of eve.told) assert.deepEqual([event, error.code], ["request_error", "invalid"]);
    const { error } = await eve.socket.timeout(10_000).emitWithAck("anything", {});
    assert.equal(error.code, "invalid");
    assert.deepEqual(eve.disconnects, []);
    for (let n = 0; n < 40; n += 1) eve.socket.emit("sync-update", JUNK);
    await until("she is cut", () => eve.disconnects.length > 0);
    assert.ok(BY_ITSELF.includes(eve.disconnects[0]));
    ana.type("unharmed");
    await converged([ana, ben]);
    assert.equal(ben.content, "unharmed");
    assert.equal(server.alive, true);
  });

  it("need not answer the server: what they send is taken, and nothing is lost", async () => {
    const room = "silent";
    const ben = await native(server, "ben", room);
    const eve = await Bare.connect(server, room, { person: { user: "eve" } });
    const doc = await eve.sync();
    doc.on("update", (update) => eve.socket.emit("sync-update", update));
    doc.getText("text").insert(0, "typed");
    await until("Ben reads it", () => ben.content === "typed");
    await until("she was asked", () => eve.asked.length === 1);
    await ben.edit(({ text }) => text.insert(0, "not "));
    await pause(300);
    assert.equal(eve.asked.length, 1, "she was asked once");
    // A late answer counts, once; others are ignored.
    const late = new Y.Doc();
    late.getMap("map").set("late", true);
    eve.asked[0].answer(Y.encodeStateAsUpdate(late, new Uint8Array(eve.asked[0].stateVector)));
    await until("it is there", () => ben.map.get("late"));
  });

  it("are asked for what an update of theirs depends on, less and less often", async () => {
    const room = "pending";
    const ben = await native(server, "ben", room);
    const eve = await Bare.connect(server, room, { person: { user: "eve" } });
    const doc = await eve.sync();
    const updates = [];
    doc.on("update", (update) => updates.push(update));
    for (const word of ["one ", "two ", "three"]) doc.getText("text").insert(doc.getText("text").length, word);
    await until("she was asked", () => eve.asked.length === 1);
    eve.asked[0].answer(Uint8Array.of(0, 0));
    eve.socket.emit("sync-update", updates[1]);
    for (let asked = 2; asked < 5; asked += 1) {
      await until("she is asked", () => eve.asked.length === asked);
      // An answer that brings nothing new does not help.
      eve.asked.at(-1).answer(updates[2]);
    }
    assert.equal(ben.content, "");
    await until("she is asked again", () => eve.asked.length === 5);
    const { stateVector, answer } = eve.asked.at(-1);
    answer(Y.encodeStateAsUpdate(doc, new Uint8Array(stateVector)));
    await until("all of it is there", () => ben.content === "one two three");
    const asked = eve.asked.length;
    await pause(2_000);
    assert.equal(eve.asked.length, asked, "she is asked no more");
  });

  it("leave nobody without an update when many join and type at once", async () => {
    for (let round = 0; round < 3; round += 1) {
      const room = `rush ${round}`;
      const all = Array.from({ length: 16 }, (_, n) => new Stock(server, room, { person: { user: `${n % 8}` } }));
      // Each types before it is connected, and goes on while the others synchronise.
      for (const [n, client] of all.entries()) client.map.set(`early ${n}`, n);
      await until("some are there", () => all.some(({ provider }) => provider.synced));
      for (const [n, client] of all.entries()) client.map.set(`late ${n}`, n);
      await until("all are there", () => all.every(({ map }) => map.size === 32));
      await converged(all);
      for (const client of all) client.close();
    }
  });
});

describe("limits of clients of y-socket.io", () => {
  const start = suiteDatabase(databases[0], closeAll);

  it("those that type too fast are read more slowly, and lose nothing", async () => {
    const server = await start({ UPDATES_PER_SECOND: 50, UPDATES_BURST: 50 });
    const [ana, ben] = [await stock(server, "ana", "fast"), await native(server, "ben", "fast")];
    const began = performance.now();
    ana.type("x".repeat(300));
    await until("all of it is there", () => ben.content.length === 300, 60_000);
    const took_s = (performance.now() - began) / 1_000;
    assert.ok(took_s > 4, `250 updates beyond the burst took ${took_s} s`);
    await converged([ana, ben]);
    assert.deepEqual(ana.disconnects, []);
  });

  it("a namespace that is left and entered again renews no budget", async () => {
    const server = await start({ UPDATES_PER_SECOND: 10, UPDATES_BURST: 20 });
    const raw = await RawSocket.open(server);
    const doc = new Y.Doc();
    const updates = [];
    doc.on("update", (update) => updates.push(Buffer.from(update)));
    for (let n = 0; n < 200; n += 1) doc.getText("text").insert(n, "x");
    const ben = await native(server, "ben", "turns");
    const began = performance.now();
    const accepted = () =>
      raw.frames.filter((frame) => typeof frame === "string" && frame.startsWith("40/yjs|turns,")).length;
    for (let turn = 0; turn < 10; turn += 1) {
      raw.send(`40/yjs|turns,${JSON.stringify({ token: token({ user: "eve" }) })}`);
      await until("it is accepted", () => accepted() === turn + 1, 60_000);
      for (const update of updates.slice(turn * 10, turn * 10 + 10)) {
        raw.send('451-/yjs|turns,["sync-update",{"_placeholder":true,"num":0}]');
        raw.send(update);
      }
      raw.send("41/yjs|turns,");
    }
    await until("the last is there", () => ben.content.length === 100, 60_000);
    const took_s = (performance.now() - began) / 1_000;
    assert.ok(took_s > 6, `100 updates took ${took_s} s: 20 at once, and 10 a second`);
    raw.close();
  });

  it("namespaces count among the rooms of a connection", async () => {
    const server = await start({ ROOMS_PER_SOCKET: 3 });
    const shared = { forceNew: false };
    const one = await stock(server, "ana", "one", shared);
    await stock(server, "ana", "two", shared);
    const socket = await beside(one, server, "ana");
    const join = (room) => socket.timeout(10_000).emitWithAck("join_room", room);
    assert.equal((await join("three")).ok, true);
    assert.equal((await join("four")).error.code, "too_many_rooms");
    assert.equal(await Stock.refused(server, "five", { ...shared, person: { user: "ana" } }), "too_many_rooms");
    one.close();
    await until("there is room again", async () => (await join("four")).ok);
  });

  it("namespaces by the thousand cost little memory, for strangers and for others", async () => {
    const server = await start({ CONNECTS_PER_MINUTE: 100_000, SOCKETS_PER_USER: 100_000 });
    const flood = async (room, auth) => {
      for (let round = 0; round < 200; round += 1) {
        const raw = await RawSocket.open(server);
        for (let n = 0; n < 100; n += 1) raw.send(`40/yjs|${room} ${round} ${n},${JSON.stringify(auth)}`);
        await until("it is closed", () => raw.closed);
        raw.close();
      }
    };
    await flood("warm", { token: "nonsense" });
    const before = memory(server.pid);
    await flood("stranger", { token: "nonsense" });
    await flood("viewer", { token: token({ role: "viewer" }) });
    const grown = memory(server.pid) - before;
    assert.ok(grown < 10 * MIB, `the server grew by ${(grown / MIB).toFixed(1)} MiB`);
    await until("no room is open", async () => (await server.metric("realtime_rooms")) === 0);
  });

  it("one that reads slowly gets all that it has missed, and stays connected", async () => {
    const server = await start({ SOCKET_QUEUE_BYTES_MAX: 65_536, LAG_TIMEOUT_MS: 60_000 });
    const [ana, ben] = [await stock(server, "ana", "slow"), await native(server, "ben", "slow")];
    const { _socket: tcp } = ana.socket.io.engine.transport.ws;
    tcp.pause();
    const padding = "x".repeat(100_000);
    for (let n = 0; n < 100; n += 1) await ben.edit(({ map }) => map.set("value", `${n} ${padding}`));
    tcp.resume();
    await converged([ana, ben]);
    assert.deepEqual(ana.disconnects, []);
    assert.equal(ana.doc.store.pendingStructs, null);
  });
});
