// Stock clients of y-websocket beside native ones: the same documents, rights, presence and durability. Section 8 of the
// protocol. What only the transport is about is in yjs-transport.test.mjs.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import * as Y from "yjs";
import { databases, sqlite } from "@realtime-server/harness/databases";
import { suiteDatabase, suiteServer } from "@realtime-server/harness/suite";
import { token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";
import { Caller } from "./support/http.mjs";
import { converged } from "./support/room.mjs";
import { MAJORS, Stock, closeStock } from "./support/stock.mjs";

/** The time within which a revocation takes effect, and what a busy machine may take to tell it. */
const REVOKED_MS = 4_000;
/** Longer than the room of a document stays open without members, in these tests. */
const ROOM_IDLE_MS = 100;

const closeAll = () => {
  closeStock();
  closeClients();
};
/** The state of one client in an awareness. */
const shown = (awareness, { clientID }) => awareness.getStates().get(clientID);

for (const database of databases) {
  describe(`y-websocket on ${database.name}`, () => {
    const startServer = suiteDatabase(database, closeAll);

    for (const major of MAJORS) {
      it(`a client of y-websocket ${major} and a native one converge, and see each other's cursors`, async () => {
        const server = await startServer();
        const stock = await Stock.open(server, "both", { major, person: { user: "ana" } });
        const native = await Client.connect(server, { person: { user: "ben" } });
        stock.text.insert(0, "from the stock client ");
        const replica = await native.join("both");
        await until("the native client has it", () => replica.content === "from the stock client ");
        await replica.edit(() => replica.text.insert(0, "native "));
        await until("the stock client has it", () => stock.content === "native from the stock client ");
        replica.awareness.setLocalState({ cursor: 3 });
        stock.awareness.setLocalStateField("cursor", 7);
        const bens = await until("Ben is seen", () => shown(stock.awareness, replica.doc));
        await until("Ana is seen", () => shown(replica.awareness, stock.doc)?.cursor === 7);
        assert.deepEqual([bens.cursor, bens.user.name], [3, "ben's name"]);
        assert.equal(shown(replica.awareness, stock.doc).user.id, "ana");
        stock.close();
        await until("Ana is gone", () => !shown(replica.awareness, stock.doc));
      });

      it(`edits of y-websocket ${major} are there for a newcomer after the server was killed, and it goes on`, async () => {
        const server = await startServer();
        const stock = await Stock.open(server, "killed", { major });
        const native = await Client.connect(server);
        const replica = await native.join("killed");
        for (const word of ["one ", "two ", "three "]) stock.text.insert(stock.text.length, word);
        await until("they were relayed", () => replica.content === "one two three ");
        // The ack says that everything is durable that the document had before.
        await replica.edit(() => replica.text.insert(0, "zero "));
        await server.kill9();
        stock.text.insert(stock.text.length, "meanwhile ");
        native.close();
        await server.launch();
        const newcomer = await (await Client.connect(server)).join("killed");
        await until("the newcomer has all", () => newcomer.content === "zero one two three meanwhile ");
        await until("the client is back", () => stock.provider.synced && stock.connects === 2);
        stock.text.insert(stock.text.length, "after");
        await until("it goes on", () => newcomer.content.endsWith("meanwhile after"));
      });
    }

    it("edits of a client that has left alone are there when the document is loaded again", async () => {
      const server = await startServer({ ROOM_IDLE_MS });
      const [stock, other] = [await Stock.open(server, "left"), await Stock.open(server, "left")];
      stock.text.insert(0, "kept");
      await until("it has arrived", () => other.content === "kept");
      for (const one of [stock, other]) one.close();
      await until("the room is closed", async () => (await server.metric("realtime_rooms")) === 0);
      const again = await Stock.open(server, "left");
      assert.equal(again.content, "kept");
    });
  });
}

describe("y-websocket", () => {
  const server = suiteServer({ env: { JWT_LEEWAY_MS: 0, TOKEN_GRACE_MS: 0 } });
  afterEach(closeAll);

  const native = async (room, person) => {
    const client = await Client.connect(server, { person });
    return client.join(room);
  };

  it("clients of both majors, and native ones, edit at the same time and converge", async () => {
    const people = [];
    for (const major of MAJORS)
      people.push(await Stock.open(server, "crowd", { major, person: { user: `s${major}` } }));
    const replicas = [await native("crowd", { user: "n1" }), await native("crowd", { user: "n2" })];
    const all = [...people, ...replicas];
    for (let round = 0; round < 20; round += 1)
      for (const one of all) one.text.insert(Math.floor(one.text.length / 2), `${round}`);
    const done = ({ content }) => content.length === replicas[0].content.length && content.length > 100;
    await until("all have everything", () => all.every(done) && new Set(all.map((one) => one.content)).size === 1);
    await converged(replicas);
  });

  it("the name of a room is decoded once, and may hold slashes, spaces and other letters", async () => {
    for (const [written, name] of [
      ["folder/page one", "folder/page one"],
      ["folder%2Fencoded", "folder/encoded"],
      ["caf%C3%A9%3F", "café?"],
      ["percent%2525", "percent%25"],
    ]) {
      const stock = await Stock.open(server, written);
      stock.text.insert(0, name);
      const replica = await native(name);
      await until(`${name} is the same document`, () => replica.content === name);
    }
  });

  it("a token is taken from the query, or from a subprotocol, with or without others", async () => {
    const given = token({ user: "ana" });
    for (const protocols of [[given], [`bearer.${given}`], ["yjs", `bearer.${given}`], [given, "yjs"]]) {
      const stock = await Stock.open(server, "protocols", { token: null, protocols });
      const chosen = protocols.find((offered) => offered === "yjs") ?? protocols[0];
      assert.equal(stock.provider.ws.protocol, chosen);
      stock.close();
    }
  });

  for (const major of MAJORS) {
    it(`y-websocket ${major} is refused after the upgrade, with a code that says why`, async () => {
      const refused = async (options) => {
        const stock = new Stock(server, options.room ?? "refused", { major, ...options });
        const close = await stock.closed();
        stock.close();
        return close;
      };
      assert.deepEqual(await refused({ token: null }), [4401, "unauthorized"]);
      assert.deepEqual(await refused({ token: "no-token" }), [4401, "unauthorized"]);
      assert.deepEqual(await refused({ person: { ttl_s: -60 } }), [4401, "token_expired"]);
      assert.deepEqual(await refused({ person: { role: "nobody" } }), [4403, "forbidden"]);
      assert.deepEqual(await refused({ person: { documents: { "ref*": "none" } } }), [4403, "forbidden"]);
      assert.deepEqual(await refused({ room: "a,b" }), [4400, "invalid"]);
      const viewer = { person: { user: "vera", role: "viewer" } };
      assert.deepEqual(await refused({ room: `absent-${major}`, ...viewer }), [4404, "not_found"]);
    });
  }

  it("y-websocket 3 stops after a refusal, since the same token would be refused again", async () => {
    const stock = new Stock(server, "stops", { token: null });
    await stock.closed();
    assert.equal(stock.provider.shouldConnect, false);
  });

  it("a viewer sees edits and cursors, is seen, and its edits are dropped", async () => {
    const writer = await Stock.open(server, "viewed", { person: { user: "ana" } });
    writer.text.insert(0, "text");
    const viewer = await Stock.open(server, "viewed", { person: { user: "vera", role: "viewer" } });
    await until("it sees the text", () => viewer.content === "text");
    viewer.text.insert(0, "not ");
    viewer.awareness.setLocalStateField("cursor", 1);
    // Messages are handled in order, so the edit was as well.
    const seen = await until(
      "it is seen",
      () => shown(writer.awareness, viewer.doc)?.cursor && shown(writer.awareness, viewer.doc),
    );
    assert.equal(seen.user.name, "vera's name");
    writer.text.insert(4, " goes on");
    await until("it still receives", () => viewer.content === "not text goes on");
    assert.equal(writer.content, "text goes on");
    assert.equal((await native("viewed", { user: "ben" })).content, "text goes on");
    assert.deepEqual(viewer.closes, []);
  });

  it("nobody poses as another: names are the token's, and states of foreign ids are dropped", async () => {
    const victim = await native("posing", { user: "ben" });
    victim.awareness.setLocalState({ cursor: 1, user: { name: "Ben" } });
    const viewer = await native("posing", { user: "cleo" });
    const states = viewer.awareness;
    const forger = await Stock.open(server, "posing", { person: { user: "eve" } });
    await until("Ben is seen", () => shown(forger.awareness, victim.doc));
    const { clientID } = victim.doc;
    forger.awareness.states.set(clientID, { cursor: 666, user: { id: "ben", name: "Ben" } });
    forger.awareness.meta.set(clientID, { clock: 1_000, lastUpdated: Date.now() });
    forger.awareness.emit("update", [{ added: [], updated: [clientID], removed: [] }, "local"]);
    forger.awareness.setLocalState({ user: { id: "ben", name: "Ben", avatar_url: "https://example.org/ben.png" } });
    const eves = await until("Eve is seen", () => shown(states, forger.doc));
    assert.deepEqual({ ...eves.user, color: undefined }, { id: "eve", name: "eve's name", color: undefined });
    assert.equal(shown(states, victim.doc).cursor, 1);
    forger.close();
    await until("Eve is gone", () => !shown(states, forger.doc));
    assert.equal(shown(states, victim.doc).cursor, 1);
  });

  it("a session counts in presence: its person is online, in the room, until it has gone", async () => {
    const ben = await Client.connect(server, { person: { user: "ben", team: "counted" } });
    await ben.join("counted");
    const entry = async () =>
      (await ben.ok("presence_list", { room: "counted" })).users.find(({ user }) => user.id === "ana");
    const stock = await Stock.open(server, "counted", { person: { user: "ana", team: "counted" } });
    const { status, rooms } = await until("Ana is there", entry);
    assert.deepEqual([status, rooms], ["online", ["counted"]]);
    stock.close();
    await until("Ana has gone", async () => !(await entry()));
  });

  it("teams are apart: the same room of another team is another document", async () => {
    const ours = await Stock.open(server, "same", { person: { team: "one" } });
    ours.text.insert(0, "ours");
    const theirs = await Stock.open(server, "same", { person: { team: "two" } });
    theirs.text.insert(0, "theirs");
    const again = await Stock.open(server, "same", { person: { team: "one" } });
    assert.deepEqual([again.content, theirs.content], ["ours", "theirs"]);
  });

  it("a revoked session is closed with 4401 within two seconds", async () => {
    const stock = await Stock.open(server, "revoked", { person: { user: "ana", sid: "laptop" } });
    const other = await Stock.open(server, "revoked", { person: { user: "ana", sid: "phone" } });
    const platform = new Caller(server, { user: "platform", role: "service" });
    const began = performance.now();
    await platform.ok("POST", "sessions/revoke", { sid: "laptop" });
    assert.deepEqual(await stock.closed(), [4401, "session_revoked"]);
    assert.ok(performance.now() - began < REVOKED_MS);
    assert.deepEqual(other.closes, []);
  });

  it("a session ends with its token, and a fresh one continues", async () => {
    const stock = await Stock.open(server, "expires", { major: 2, person: { user: "ana", ttl_s: 2 } });
    stock.provider.params.token = token({ user: "ana" });
    assert.deepEqual(await stock.closed(), [4401, "token_expired"]);
    await until("it is back", () => stock.connects === 2 && stock.provider.synced);
  });

  it("cursors are seen again at once after everybody has connected again", async () => {
    const [ana, ben] = [
      await Stock.open(server, "again", { person: { user: "ana" } }),
      await Stock.open(server, "again", { person: { user: "ben" }, major: 2 }),
    ];
    const native = await Client.connect(server, { person: { user: "cleo" } });
    const replica = await native.join("again");
    const all = [ana.awareness, ben.awareness, replica.awareness];
    ana.awareness.setLocalStateField("cursor", 1);
    ben.awareness.setLocalStateField("cursor", 2);
    const seen = () => all.every((awareness) => shown(awareness, ana.doc)?.cursor && shown(awareness, ben.doc)?.cursor);
    await until("all are seen", seen);
    const began = performance.now();
    for (const { provider } of [ana, ben]) provider.ws.terminate();
    await until("they are back", () => ana.connects === 2 && ben.connects === 2);
    await until("all are seen again", seen);
    // By itself a client renews its state after 15 s.
    assert.ok(performance.now() - began < 10_000);
  });

  it("a deleted document is closed with 4404", async () => {
    const stock = await Stock.open(server, "deleted", { person: { user: "ana" } });
    const caller = new Caller(server, { user: "ana" });
    await caller.ok("DELETE", "documents/deleted");
    assert.deepEqual(await stock.closed(), [4404, "not_found"]);
  });

  it("a client whose edit depends on a lost one is asked for what the server lacks", async () => {
    const stock = await Stock.open(server, "pending");
    const { ws } = stock.provider;
    const send = ws.send;
    ws.send = () => {};
    stock.text.insert(0, "lost ");
    ws.send = send;
    stock.text.insert(5, "and found");
    const replica = await native("pending", { user: "ben" });
    await until("the server has both", () => replica.content === "lost and found");
    assert.deepEqual(stock.closes, []);
  });

  it("what a client has written offline is there after it has connected again", async () => {
    const stock = await Stock.open(server, "offline");
    const replica = await native("offline", { user: "ben" });
    stock.provider.disconnect();
    stock.text.insert(0, "offline ");
    await replica.edit(() => replica.text.insert(0, "online "));
    stock.provider.connect();
    await until("both have both", () => stock.content === replica.content && stock.content.length === 15);
  });

  it("content of others that only this client still has is taken in when it is asked for", async () => {
    // As tabs of one browser tell one another what the server has never seen.
    const lost = new Y.Doc();
    lost.getText("text").insert(0, "by another");
    const stock = await Stock.open(server, "relayed");
    Y.applyUpdate(stock.doc, Y.encodeStateAsUpdate(lost), stock.provider);
    stock.text.insert(10, " and more");
    const replica = await native("relayed", { user: "ben" });
    await until("the server has both", () => replica.content === "by another and more");
  });
});

describe("the stop of a server with stock clients", () => {
  const startServer = suiteDatabase(sqlite, closeAll);

  it("closes them with 1012 after everything was written, and they go on with the next server", async () => {
    const server = await startServer();
    const stocks = [];
    for (const major of MAJORS)
      stocks.push(await Stock.open(server, "stopped", { major, person: { user: `s${major}` } }));
    stocks[0].text.insert(0, "written");
    await until("it has arrived", () => stocks[1].content === "written");
    const { code } = await server.stop();
    assert.equal(code, 0, server.log.slice(-2_000));
    for (const stock of stocks) assert.deepEqual(await stock.closed(), [1012, "draining"]);
    await server.launch();
    await until("they are back", () => stocks.every(({ provider, connects }) => provider.synced && connects === 2));
    stocks[1].text.insert(7, " and on");
    await until("they go on", () => stocks[0].content === "written and on");
  });
});
