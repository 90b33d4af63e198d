// The provider of Hocuspocus beside native clients: several documents on one connection, each with its token, and writes
// that are acknowledged once they are durable. Section 8 of the protocol.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { WebSocket } from "ws";
import * as Y from "yjs";
import { databases, sqlite } from "@realtime-server/harness/databases";
import { suiteDatabase, suiteServer } from "@realtime-server/harness/suite";
import { token } from "@realtime-server/harness/tokens";
import { pause, until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";
import { Caller } from "./support/http.mjs";
import { HOCUSPOCUS_MAJORS, Hocuspocus, Raw, Socket, closeStock } from "./support/stock.mjs";

/** More documents than a person may have sessions. */
const DOCUMENTS = 30;
const HELD_MS = 500;
/** Less than the time after which every client is sent a message. */
const SOON_MS = 10_000;
/** See yjs-transport.test.mjs. */
const LONELY_MS = Number(process.env.LONELY_MS ?? 5_000);

const closeAll = () => {
  closeStock();
  closeClients();
};
const shown = (awareness, { clientID }) => awareness.getStates().get(clientID);
/** `text` with its length in front, as bytes. */
const short = (text) => [Buffer.byteLength(text), ...Buffer.from(text)];
const auth = (room, given) => {
  const bytes = Buffer.from(given);
  return [...short(room), 2, 0, (bytes.length & 127) | 128, bytes.length >> 7, ...bytes];
};

for (const database of databases) {
  describe(`Hocuspocus on ${database.name}`, () => {
    const startServer = suiteDatabase(database, closeAll);

    for (const major of HOCUSPOCUS_MAJORS) {
      it(`provider ${major} and a native client converge, and see each other's cursors`, async () => {
        const server = await startServer();
        const stock = await Hocuspocus.open(server, "both", { major, person: { user: "ana" } });
        assert.equal(stock.provider.authorizedScope, "read-write");
        const replica = await (await Client.connect(server, { person: { user: "ben" } })).join("both");
        stock.text.insert(0, "from the stock client ");
        await until("the native client has it", () => replica.content === "from the stock client ");
        await replica.edit(() => replica.text.insert(0, "native "));
        await until("the stock client has it", () => stock.content === "native from the stock client ");
        replica.awareness.setLocalState({ cursor: 3 });
        stock.awareness.setLocalStateField("cursor", 7);
        const bens = await until("Ben is seen", () => shown(stock.awareness, replica.doc));
        await until("Ana is seen", () => shown(replica.awareness, stock.doc)?.cursor === 7);
        assert.deepEqual([bens.cursor, bens.user.name], [3, "ben's name"]);
        assert.equal(shown(replica.awareness, stock.doc).user.id, "ana");
      });

      it(`what provider ${major} counts as synchronised survives a kill`, async () => {
        const server = await startServer();
        const stock = await Hocuspocus.open(server, "killed", { major });
        await stock.saved();
        for (const word of ["one ", "two ", "three "]) stock.text.insert(stock.text.length, word);
        assert.equal(stock.provider.unsyncedChanges, 3);
        await stock.saved();
        stock.close();
        await server.kill9();
        await server.launch();
        const again = await Hocuspocus.open(server, "killed", { major });
        assert.equal(again.content, "one two three ");
        await again.saved();
      });
    }

    it("what was written while the server was killed counts as synchronised once all of it is durable", async () => {
      const server = await startServer();
      for (const [round, major] of [3, 4, 3, 4, 3, 4].entries()) {
        const room = `killed ${round}`;
        const stock = await Hocuspocus.open(server, room, { major });
        for (let letter = 0; letter < 20; letter += 1) stock.text.insert(letter, "a");
        await server.kill9();
        // Provider 4 gathers what is written at once: each letter is to be a write of its own.
        for (let letter = 0; letter < 20; letter += 1) {
          stock.text.insert(letter, "b");
          await pause(2);
        }
        await server.launch();
        await until("it has connected again", () => stock.provider.synced && stock.socket.connects > 1);
        await stock.saved();
        await server.kill9();
        const { content } = stock;
        stock.close();
        await server.launch();
        const newcomer = await Client.connect(server);
        assert.equal((await newcomer.join(room)).content, content);
      }
    });

    it("writes are counted as synchronised once they are durable, and not before", async () => {
      const server = await startServer();
      const stock = await Hocuspocus.open(server, "held", { person: { user: "ana" } });
      const other = await Hocuspocus.open(server, "held", { person: { user: "ben" } });
      stock.text.insert(0, "saved ");
      await stock.saved();
      const release = await database.hold(server.env.DATABASE_URL);
      stock.text.insert(0, "not ");
      await until("it is relayed", () => other.content === "not saved ");
      await pause(HELD_MS);
      assert.equal(stock.provider.unsyncedChanges, 1);
      await release();
      await stock.saved();
    });
  });
}

describe("Hocuspocus", () => {
  const server = suiteServer({ env: { JWT_LEEWAY_MS: 0, TOKEN_GRACE_MS: 0 } });
  afterEach(closeAll);

  const native = async (room, person) => (await Client.connect(server, { person })).join(room);
  /** A connection that documents share. */
  const shared = (options) => Object.assign(new Socket(server, options), { isShared: true });

  it("a connection has many documents, also more than a person may have sessions", async () => {
    const socket = shared();
    const given = token({ user: "ana" });
    const rooms = Array.from({ length: DOCUMENTS }, (_, number) => `many-${number}`);
    const all = await Promise.all(rooms.map((room) => Hocuspocus.open(server, room, { socket, token: given })));
    for (const [number, one] of all.entries()) one.text.insert(0, `${number}`);
    for (const one of all) await one.saved();
    assert.equal(socket.connects, 1);
    assert.equal((await native("many-29", { user: "ben" })).content, "29");
  });

  for (const major of HOCUSPOCUS_MAJORS) {
    it(`a denied document leaves the others of provider ${major} alone, and a fresh token opens it`, async () => {
      const socket = shared({ major });
      const fine = await Hocuspocus.open(server, `fine-${major}`, { socket });
      for (const [given, reason] of [
        ["", "unauthorized"],
        ["no-token", "unauthorized"],
        [token({ ttl_s: -60 }), "token_expired"],
        [token({ role: "nobody" }), "forbidden"],
      ]) {
        const one = new Hocuspocus(server, `denied-${major}`, { socket, token: given });
        assert.equal(await one.denied(), reason);
        one.close();
      }
      const viewer = new Hocuspocus(server, `absent-${major}`, { socket, person: { role: "viewer" } });
      assert.equal(await viewer.denied(), "not_found");
      await Hocuspocus.open(server, `denied-${major}`, { socket });
      fine.text.insert(0, "fine");
      await fine.saved();
      assert.deepEqual([socket.connects, socket.closes, fine.denials], [1, [], []]);
    });
  }

  it("a viewer has a read-only document: its edits are not applied, and counted as that", async () => {
    const writer = await Hocuspocus.open(server, "viewed", { person: { user: "ana" } });
    writer.text.insert(0, "text that is deleted");
    writer.text.delete(4, 16);
    const viewer = await Hocuspocus.open(server, "viewed", { person: { user: "vera", role: "viewer" } });
    assert.equal(viewer.provider.authorizedScope, "readonly");
    await viewer.saved();
    viewer.awareness.setLocalStateField("cursor", 1);
    await until("it is seen", () => shown(writer.awareness, viewer.doc)?.cursor);
    viewer.text.insert(0, "not ");
    viewer.awareness.setLocalStateField("cursor", 2);
    await until("the edit was handled", () => shown(writer.awareness, viewer.doc)?.cursor === 2);
    assert.equal(viewer.provider.unsyncedChanges, 1);
    assert.equal(writer.content, "text");
    writer.text.insert(4, " goes on");
    await until("it still receives", () => viewer.content === "not text goes on");
  });

  it("an update that is too large is not applied, and counted as that", async () => {
    const stock = await Hocuspocus.open(server, "large");
    await stock.saved();
    stock.text.insert(0, "x".repeat(2 * 2 ** 20 + 1));
    stock.awareness.setLocalStateField("after", true);
    const replica = await native("large", { user: "ben" });
    replica.awareness;
    await until("it was handled", () => shown(replica.awareness, stock.doc)?.after);
    assert.equal(stock.provider.unsyncedChanges, 1);
    assert.equal(replica.content, "");
  });

  it("a write that depends on a lost one counts once the server has both", async () => {
    const stock = await Hocuspocus.open(server, "pending");
    await stock.saved();
    const { webSocket } = stock.socket.provider;
    const send = webSocket.send;
    webSocket.send = () => {};
    stock.text.insert(0, "lost ");
    // The frame that was lost is not acknowledged.
    stock.provider.unsyncedChanges = 0;
    webSocket.send = send;
    stock.text.insert(5, "and found");
    await stock.saved();
    assert.equal((await native("pending", { user: "ben" })).content, "lost and found");
  });

  it("what was written offline is there after it has connected again, and counted", async () => {
    const stock = await Hocuspocus.open(server, "offline", { person: { user: "ana" } });
    await stock.saved();
    const replica = await native("offline", { user: "ben" });
    stock.socket.provider.disconnect();
    stock.text.insert(0, "offline ");
    await replica.edit(() => replica.text.insert(0, "online "));
    // The provider ignores the wish to connect while its connection is closing.
    await until("it is disconnected", () => stock.socket.provider.status === "disconnected");
    stock.socket.provider.connect();
    await until("both have both", () => stock.content === replica.content && stock.content.length === 15);
    await stock.saved();
  });

  for (const major of HOCUSPOCUS_MAJORS) {
    it(`cursors of provider ${major} are seen at once, also after everybody has connected again`, async () => {
      const open = (user) => Hocuspocus.open(server, `again-${major}`, { major, person: { user } });
      const all = [await open("ana"), await open("ben"), await open("cleo")];
      const began = performance.now();
      // A state that was never set has the clock zero, which nobody takes.
      await until("all see all", () => all.every(({ awareness }) => awareness.getStates().size === 3));
      for (const { awareness } of all) awareness.setLocalStateField("cursor", 1);
      const cursors = ({ awareness }) => [...awareness.getStates().values()].filter(({ cursor }) => cursor).length;
      await until("all see all cursors", () => all.every((one) => cursors(one) === 3));
      for (const { socket } of all) socket.provider.webSocket.terminate();
      await until("they are back", () => all.every(({ socket, provider }) => socket.connects === 2 && provider.synced));
      await until("all see all cursors again", () => all.every((one) => cursors(one) === 3));
      // By itself a client renews its state after 15 s.
      assert.ok(performance.now() - began < 10_000);
    });
  }

  it("a document is closed and opened again on the same connection", async () => {
    const socket = shared();
    const other = await native("reopened", { user: "ben" });
    const states = other.awareness.getStates();
    for (const word of ["one", "two"]) {
      const one = await Hocuspocus.open(server, "reopened", { socket });
      one.text.insert(0, word);
      one.awareness.setLocalStateField("word", word);
      await one.saved();
      await until("it is seen", () => states.get(one.doc.clientID));
      one.close();
      await until("it has gone", () => !states.get(one.doc.clientID));
    }
    assert.equal(other.content, "twoone");
  });

  it("two providers of one connection open the same document, with addresses of their own", async () => {
    const socket = shared();
    const given = token({ user: "ana" });
    const open = () => Hocuspocus.open(server, "twice", { socket, token: given, sessionAwareness: true });
    const [one, two] = [await open(), await open()];
    one.text.insert(0, "both");
    await until("the other has it", () => two.content === "both");
    await one.saved();
    const plain = await Hocuspocus.open(server, "twice", { person: { user: "ben" } });
    plain.text.insert(4, " and more");
    await until("all have it", () => [one, two].every(({ content }) => content === "both and more"));
  });

  it("the name of a document is taken as it is", async () => {
    for (const name of ["folder/page one", "50%2F", "café?"]) {
      const stock = await Hocuspocus.open(server, name);
      stock.text.insert(0, name);
      assert.equal((await (async () => (await stock.saved(), native(name, { user: "ben" })))()).content, name);
    }
    const stock = new Hocuspocus(server, " ");
    assert.equal(await stock.denied(), "invalid");
  });

  it("a revoked session is told so within two seconds, and another of the same connection goes on", async () => {
    const socket = shared();
    const stock = await Hocuspocus.open(server, "revoked", { socket, person: { user: "ana", sid: "laptop" } });
    const other = await Hocuspocus.open(server, "kept", { socket, person: { user: "ana", sid: "phone" } });
    const platform = new Caller(server, { user: "platform", role: "service" });
    await platform.ok("POST", "sessions/revoke", { sid: "laptop" });
    assert.equal(await stock.denied(), "session_revoked");
    other.text.insert(0, "kept");
    await other.saved();
    assert.deepEqual([socket.connects, other.denials], [1, []]);
  });

  it("a deleted document is told so", async () => {
    const stock = await Hocuspocus.open(server, "deleted", { person: { user: "ana" } });
    await new Caller(server, { user: "ana" }).ok("DELETE", "documents/deleted");
    assert.equal(await stock.denied(), "not_found");
  });

  for (const major of HOCUSPOCUS_MAJORS) {
    it(`provider ${major} is asked for a fresh token, and goes on after the first has expired`, async () => {
      let asked = 0;
      const fresh = () => token({ user: "ana", ttl_s: (asked += 1) === 1 ? 2 : 3600 });
      const stock = await Hocuspocus.open(server, `renewed-${major}`, { major, token: fresh });
      await until("it was asked", () => asked === 2);
      // The first token expires.
      await pause(3_000);
      stock.text.insert(0, "still here");
      await stock.saved();
      assert.deepEqual([stock.socket.connects, stock.denials], [1, []]);
    });
  }

  it("a token that is not renewed ends its document", async () => {
    const stock = await Hocuspocus.open(server, "expired", { person: { ttl_s: 2 } });
    assert.equal(await stock.denied(), "token_expired");
  });

  it("malformed frames are closed with 4400, and harm nobody else", async () => {
    const witness = await Hocuspocus.open(server, "malformed", { person: { user: "ben" } });
    const update = Y.encodeStateAsUpdate(witness.doc);
    const room = short("malformed");
    for (const bytes of [
      [],
      [0],
      [3, 97],
      [1, 255, 0],
      room,
      [...room, 0],
      [...room, 0, 0, 9],
      [...room, 6, 1, 65],
      [...room, 1, 2, 9],
    ]) {
      const raw = new Raw(server, "", { door: "hocuspocus" });
      await until("it is open", () => raw.socket.readyState === WebSocket.OPEN);
      raw.send(auth("malformed", token({ user: "eve" })));
      await until("it is authenticated", () => raw.frames.length > 0, SOON_MS);
      raw.send(bytes);
      assert.deepEqual(await raw.closed(), [4400, "invalid"], JSON.stringify(bytes));
    }
    const raw = new Raw(server, "", { door: "hocuspocus" });
    await until("it is open", () => raw.socket.readyState === WebSocket.OPEN);
    raw.send([10]);
    raw.send(auth("malformed", token({ user: "eve" })));
    await until("a pong is no message", () => raw.frames.length > 0, SOON_MS);
    // An update that is none is not applied, and never acknowledged as applied.
    raw.send(room, [0, 2], [3, 1, 2, 3]);
    await until("it is refused", () => raw.frames.some((frame) => frame.at(-2) === 8 && frame.at(-1) === 0));
    assert.deepEqual(Y.encodeStateAsUpdate(witness.doc), update);
    assert.deepEqual([witness.denials, witness.socket.closes], [[], []]);
  });

  it("a session counts in presence", async () => {
    const ben = await Client.connect(server, { person: { user: "ben", team: "counted" } });
    await ben.join("counted");
    const entry = async () =>
      (await ben.ok("presence_list", { room: "counted" })).users.find(({ user }) => user.id === "ana");
    const stock = await Hocuspocus.open(server, "counted", { person: { user: "ana", team: "counted" } });
    assert.deepEqual((await until("Ana is there", entry)).rooms, ["counted"]);
    stock.close();
    await until("Ana has gone", async () => !(await entry()));
  });
});

describe("connections of Hocuspocus", () => {
  const startServer = suiteDatabase(sqlite, closeAll);

  it("a client that is alone stays connected", async () => {
    const server = await startServer({ PING_INTERVAL_MS: LONELY_MS < 30_000 ? LONELY_MS / 10 : undefined });
    const all = [];
    for (const major of HOCUSPOCUS_MAJORS) all.push(await Hocuspocus.open(server, `alone-${major}`, { major }));
    const raw = new Raw(server, "", { door: "hocuspocus" });
    await until("it is open", () => raw.socket.readyState === WebSocket.OPEN);
    raw.send(auth("alone", token()));
    await pause(LONELY_MS);
    for (const { socket } of all) assert.deepEqual([socket.connects, socket.closes], [1, []]);
    assert.ok(raw.frames.length >= 4, `${raw.frames.length} frames`);
  });

  it("a connection that shows no token is closed", async () => {
    const server = await startServer({ CONNECT_TIMEOUT_MS: 300 });
    const raw = new Raw(server, "", { door: "hocuspocus" });
    assert.deepEqual(await raw.closed(), [4401, "unauthorized"]);
  });

  it("the stop of a server moves its clients to the next one", async () => {
    const server = await startServer();
    const stock = await Hocuspocus.open(server, "stopped");
    stock.text.insert(0, "written");
    await stock.saved();
    assert.equal((await server.stop()).code, 0);
    await until("it was told", () => stock.socket.closes.some(([code]) => code === 1012));
    stock.text.insert(0, "meanwhile ");
    await server.launch();
    await until("it is back", () => stock.provider.isAuthenticated && stock.provider.synced);
    await stock.saved();
    const again = await Hocuspocus.open(server, "stopped");
    assert.equal(again.content, "meanwhile written");
  });
});
