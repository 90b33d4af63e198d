// Rooms and their Yjs documents: joining, editing together, leaving. Section 3 of the protocol.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import * as Y from "yjs";
import { databases } from "@realtime-server/harness/databases";
import { Random } from "@realtime-server/harness/random";
import { Server } from "@realtime-server/harness/server";
import { suiteServer } from "@realtime-server/harness/suite";
import { next, until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";
import { converged } from "./support/room.mjs";

const WEBSOCKET = { transports: ["websocket"] };
const POLLING = { transports: ["polling"] };
const UPGRADED = { transports: ["polling", "websocket"] };
const EDITS_PER_PROGRAM = 100;
const BURST_UPDATES = 2_000;
const BURST_ROUNDS = 10;
const HISTORY_EDITS = 5_000;

for (const database of databases) {
  describe(`documents on ${database.name}`, () => {
    const server = suiteServer({ database });

    afterEach(closeClients);

    const connect = (user, options) => Client.connect(server, { person: { user }, ...options });

    it("a client that joins later gets the whole document in one round trip", async () => {
      const early = await (await connect("ana")).join("late");
      early.type("written before anybody else came");
      await early.saved();
      const late = await (await connect("ben")).join("late");
      assert.equal(late.content, early.content);
      assert.equal(late.received, 0, "the acknowledgement alone brought the text");
      assert.equal(late.joined.document_id, early.joined.document_id);
    });

    it("values of every kind are the same for a client that joins later", async () => {
      const ana = await (await connect("ana")).join("values");
      const numbers = [0, -1, 1.5, 0.1, 1e300, 2 ** 31, 2 ** 40, 2 ** 53 - 1, 1 - 2 ** 53, NaN, Infinity];
      const others = [true, false, null, undefined, "", "😀", new Uint8Array([0, 255]), {}, [], { a: [{ b: null }] }];
      ana.map.set("values", [...numbers, ...others]);
      ana.map.set("bytes", new Uint8Array([1, 2, 3]));
      ana.map.set("list", Y.Array.from([1, "two", { three: 3 }]));
      ana.text.insert(0, "bold and 😀", { bold: true, link: { href: "x" } });
      ana.text.insertEmbed(4, { image: "x.png" });
      ana.text.format(0, 2, { bold: null });
      const paragraph = new Y.XmlElement("paragraph");
      ana.doc.getXmlFragment("xml").insert(0, [paragraph, new Y.XmlText("text")]);
      paragraph.setAttribute("align", "left");
      ana.doc.getMap("map").set("document inside", new Y.Doc({ guid: "inner" }));
      await ana.saved();
      const late = await (await connect("ben")).join("values");
      assert.deepEqual(late.map.get("values"), [...numbers, ...others]);
      assert.deepEqual(new Uint8Array(late.map.get("bytes")), new Uint8Array([1, 2, 3]));
      assert.deepEqual(late.map.get("list").toJSON(), [1, "two", { three: 3 }]);
      assert.deepEqual(late.text.toDelta(), ana.text.toDelta());
      assert.equal(late.doc.getXmlFragment("xml").toString(), '<paragraph align="left"></paragraph>text');
      assert.equal(late.map.get("document inside").guid, "inner");
    });

    it("a client that joins with a replica exchanges only what either side lacks", async () => {
      const ana = await (await connect("ana")).join("difference");
      ana.text.insert(0, "x".repeat(50_000));
      await ana.saved();
      const ben = await connect("ben");
      const replica = await ben.join("difference");
      await replica.leave();
      ana.text.insert(0, "[on the server] ");
      replica.text.insert(replica.text.length, " [on the client]");
      await ana.saved();
      await replica.join();
      assert.ok(replica.joined.update.length < 1_000, `${replica.joined.update.length} bytes for a few words`);
      await converged([ana, replica]);
      assert.match(ana.content, /^\[on the server\] x{50000} \[on the client\]$/);
    });

    it("document_sync brings what the state vector lacks", async () => {
      const ana = await (await connect("ana")).join("sync");
      ana.type("synchronised");
      await ana.saved();
      const ben = await connect("ben");
      await ben.ok("join_room", { room: "sync" });
      const doc = new Y.Doc();
      const ack = await ben.ok("document_sync", { room: "sync", state_vector: Y.encodeStateVector(doc) });
      Y.applyUpdate(doc, new Uint8Array(ack.update));
      assert.equal(doc.getText("text").toString(), "synchronised");
      assert.equal(ack.seq, ana.seqs.at(-1));
      const vector = Y.decodeStateVector(new Uint8Array(ack.state_vector));
      assert.deepEqual(vector, Y.decodeStateVector(Y.encodeStateVector(ana.doc)));
    });

    it("the sequence number rises with each write", async () => {
      const ana = await (await connect("ana")).join("rising");
      const seqs = [ana.joined.seq];
      for (const word of ["one", "two", "three"]) {
        const { seq } = await ana.edit(({ text }) => text.insert(0, word));
        assert.ok(Number.isSafeInteger(seq));
        assert.ok(seq > seqs.at(-1), `${seq} after ${seqs}`);
        seqs.push(seq);
      }
      const late = await (await connect("ben")).join("rising");
      assert.equal(late.joined.seq, seqs.at(-1));
    });

    it("an update that brings nothing new is acknowledged and not relayed", async () => {
      const ana = await connect("ana");
      const room = await ana.join("again");
      const ben = await (await connect("ben")).join("again");
      const { seq } = await room.edit(({ text }) => text.insert(0, "once"));
      await converged([room, ben]);
      const update = Y.encodeStateAsUpdate(room.doc);
      for (let time = 0; time < 3; time += 1) {
        assert.equal((await ana.ok("document_update", { room: "again", update })).seq, seq);
      }
      await room.edit(({ text }) => text.insert(0, "twice "));
      await converged([room, ben]);
      assert.equal(ben.received, 2, "one message for each change");
    });

    it("a document is created when a client with the right edit joins, and is not found for others before", async () => {
      const viewer = await connect("eve", { person: { user: "eve", role: "viewer" } });
      const commenter = await connect("joe", { person: { user: "joe", role: "commenter" } });
      for (const client of [viewer, commenter]) {
        assert.equal((await client.refusal("join_room", { room: "unborn" })).code, "not_found");
      }
      await (await connect("ana")).join("unborn");
      for (const client of [viewer, commenter]) await client.ok("join_room", { room: "unborn" });
    });

    it("the same room name in two teams names two documents, and neither team sees the other one", async () => {
      const acme = await (await connect("ana")).join("article");
      acme.type("of acme");
      await acme.saved();
      const spy = await connect("eve", { person: { user: "eve", team: "rival", role: "viewer" } });
      assert.equal((await spy.refusal("join_room", { room: "article", team: "acme" })).code, "not_found");
      const rival = await (await connect("bob", { person: { user: "bob", team: "rival" } })).join("article");
      assert.equal(rival.content, "");
      assert.notEqual(rival.joined.document_id, acme.joined.document_id);
      rival.type("of rival");
      await rival.saved();
      acme.type(" only");
      await acme.saved();
      assert.equal(acme.content, "of acme only");
      assert.equal(rival.content, "of rival");
      assert.equal(rival.received + acme.received, 0);
    });

    it("room names are 1 to 255 bytes of UTF-8 without control characters and comma", async () => {
      const ana = await connect("ana");
      for (const room of ["a", "Café / draft|ü", "x".repeat(255), "日".repeat(85)]) {
        assert.equal((await ana.ok("join_room", { room })).room, room);
        await ana.ok("leave_room", { room });
      }
      for (const room of ["", "a,b", "a\0b", "a\nb", "a\u007fb", "a\u0085b", "x".repeat(256), "日".repeat(86)]) {
        const { code, field } = await ana.refusal("join_room", { room });
        assert.deepEqual([code, field], ["invalid", "room"], JSON.stringify(room));
      }
    });

    it("a document that was unloaded is the same when it is opened again", async () => {
      const brief = await Server.start({ database, env: { ROOM_IDLE_MS: 100 } });
      const ana = await Client.connect(brief);
      const room = await ana.join("unloaded");
      room.type("kept");
      await room.saved();
      const { document_id } = room.joined;
      await room.leave();
      await until("the room is unloaded", async () => (await brief.metric("realtime_rooms")) === 0);
      const again = await ana.join("unloaded", new Y.Doc());
      assert.equal(again.content, "kept");
      assert.equal(again.joined.document_id, document_id);
      assert.equal(again.joined.seq, room.seqs.at(-1));
      await brief.stop();
    });

    it("thousands of edits result in the exact text, also after a restart", async () => {
      const env = { UPDATES_PER_SECOND: 100_000, UPDATES_BURST: 100_000 };
      const own = await Server.start({ database, env });
      const person = { user: "author" };
      const author = await (await Client.connect(own, { person })).join("history");
      const random = new Random(42);
      let expected = "";
      for (let edit = 0; edit < HISTORY_EDITS; edit += 1) {
        const position = random.below(expected.length + 1);
        if (position < expected.length && random.below(3) === 0) {
          author.text.delete(position, 1);
          expected = expected.slice(0, position) + expected.slice(position + 1);
        } else {
          const character = String.fromCodePoint(97 + random.below(26));
          author.text.insert(position, character);
          expected = expected.slice(0, position) + character + expected.slice(position);
        }
        if (edit % 500 === 0) await author.saved();
      }
      await author.saved();
      const reader = await (await Client.connect(own, { person: { user: "reader" } })).join("history");
      assert.equal(author.content, expected);
      assert.equal(reader.content, expected);
      closeClients();
      assert.equal((await own.stop()).code, 0);
      await own.launch();
      const third = await (await Client.connect(own, { person: { user: "third" } })).join("history");
      assert.equal(third.content, expected);
      assert.equal(third.joined.seq, reader.joined.seq);
      closeClients();
      await own.stop();
    });
  });
}

// On SQLite alone: how updates travel between clients does not depend on where they are written.
describe("rooms", () => {
  const server = suiteServer();

  afterEach(closeClients);

  const connect = (user, options) => Client.connect(server, { person: { user }, ...options });

  for (const [how, first, second] of [
    ["over websocket", WEBSOCKET, WEBSOCKET],
    ["over polling", POLLING, POLLING],
    ["one over websocket, one over polling", WEBSOCKET, POLLING],
    ["while their polling is upgraded", UPGRADED, UPGRADED],
  ]) {
    it(`two programs that edit at once converge, ${how}`, async () => {
      const clients = [await connect("ana", first), await connect("ben", second)];
      const rooms = await Promise.all(clients.map((client) => client.join(`together ${how.length}`)));
      for (let edit = 0; edit < EDITS_PER_PROGRAM; edit += 1) {
        for (const [which, room] of rooms.entries()) room.text.insert(edit % (room.text.length + 1), "ab"[which]);
        await rooms[edit % 2].edit(({ map }) => map.set(`key ${edit % 7}`, edit));
      }
      await converged(rooms);
      assert.equal(rooms[0].content.length, 2 * EDITS_PER_PROGRAM);
      if (first !== UPGRADED) return;
      const transport = ({ socket }) => socket.io.engine.transport.name;
      await until("both are upgraded", () => clients.every((client) => transport(client) === "websocket"));
    });
  }

  it("the welcome names the protocol, the server, the session, the person and the limits", async () => {
    const person = { user: "u-17", name: "Ana Li", avatar_url: "https://example.org/ana.png", team: "acme" };
    const { welcome } = await Client.connect(server, { person });
    assert.equal(welcome.protocol, 1);
    for (const key of ["name", "version", "instance"]) assert.equal(typeof welcome.server[key], "string", key);
    assert.equal(typeof welcome.session.id, "string");
    assert.match(welcome.session.expires_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    const { color, ...user } = welcome.user;
    assert.deepEqual(user, { id: "u-17", name: "Ana Li", avatar_url: "https://example.org/ana.png" });
    assert.equal(typeof color, "string");
    assert.equal(welcome.team, "acme");
    assert.deepEqual(welcome.roles, ["editor"]);
    assert.deepEqual([...welcome.rights].sort(), ["comment", "edit", "view"]);
    const limits = [
      "update_bytes",
      "awareness_bytes",
      "requests_per_second",
      "updates_per_second",
      "rooms",
      "journal_bytes",
    ];
    for (const limit of limits) assert.ok(Number.isSafeInteger(welcome.limits[limit]), limit);
  });

  it("the ack of a join describes the document", async () => {
    const ana = await connect("ana");
    const ack = await ana.ok("join_room", { room: "told", state_vector: Y.encodeStateVector(new Y.Doc()) });
    assert.equal(ack.room, "told");
    assert.match(ack.document_id, /^[0-9a-f-]{36}$/);
    assert.equal(ack.permission, "edit");
    assert.deepEqual([...ack.rights].sort(), ["comment", "edit", "view"]);
    assert.ok(Number.isSafeInteger(ack.seq));
    assert.ok(Buffer.isBuffer(ack.state_vector), "the state vector is a binary attachment");
    assert.equal(ack.storage, "ok");
  });

  it("an event that is sent right after connecting is not lost", async () => {
    const eager = new Client(server, { person: { user: "eager" } });
    const [buffered, prompt] = await Promise.all([
      eager.request("join_room", { room: "eager" }),
      next(eager.socket, "connect").then(() => eager.request("join_room", { room: "eager" })),
    ]);
    assert.equal(buffered.ok, true, JSON.stringify(buffered));
    assert.equal(prompt.ok, true, JSON.stringify(prompt));
  });

  it("a client that has left a room receives nothing of it and cannot update it", async () => {
    const ana = await (await connect("ana")).join("left");
    const ben = await connect("ben");
    const left = await ben.join("left");
    const witness = await (await connect("eve")).join("left");
    await left.leave();
    ana.type("after ben left");
    await ana.saved();
    await converged([ana, witness]);
    assert.equal(left.received, 0);
    const update = Y.encodeStateAsUpdate(witness.doc);
    assert.equal((await ben.refusal("document_update", { room: "left", update })).code, "conflict");
  });

  it("a socket is in several rooms, whose content stays apart", async () => {
    const [ana, ben] = [await connect("ana"), await connect("ben")];
    const names = ["several 1", "several 2", "several 3"];
    const pairs = [];
    for (const name of names) pairs.push([await ana.join(name), await ben.join(name)]);
    for (const [one, other] of pairs) {
      one.type(`ana in ${one.name}; `);
      other.map.set("ben", other.name);
    }
    for (const [one, other] of pairs) {
      await converged([one, other]);
      assert.equal(other.content, `ana in ${one.name}; `);
      assert.equal(one.map.get("ben"), one.name);
    }
  });

  it("the updates of one client arrive in the order in which it sent them", async () => {
    const ana = await (await connect("ana")).join("order");
    const others = [await (await connect("ben")).join("order"), await (await connect("eve", POLLING)).join("order")];
    for (let number = 0; number < 1_000; number += 1) ana.type(`${number};`);
    await converged([ana, ...others]);
    for (const other of others) assert.equal(other.gaps, 0, "an update came before the one that it builds upon");
  });

  it("a client does not receive its own updates", async () => {
    const ana = await (await connect("ana")).join("echo");
    const ben = await (await connect("ben")).join("echo");
    ana.type("no echo");
    await converged([ana, ben]);
    assert.equal(ana.received, 0);
  });

  it(`a burst of ${BURST_UPDATES} updates reaches three others completely and in order, every time`, async () => {
    for (let round = 1; round <= BURST_ROUNDS; round += 1) {
      const name = `burst ${round}`;
      const writer = await (await connect(`writer ${round}`)).join(name);
      const readers = [];
      for (const transports of [WEBSOCKET, WEBSOCKET, POLLING]) {
        readers.push(await (await connect(`reader ${round}`, transports)).join(name));
      }
      writer.type("0123456789".repeat(BURST_UPDATES / 10));
      await converged([writer, ...readers]);
      assert.equal(writer.content.length, BURST_UPDATES);
      assert.deepEqual(writer.refusals, []);
      for (const reader of readers) assert.equal(reader.gaps, 0, `out of order in round ${round}`);
      closeClients();
    }
  });

  it("join_room and leave_room take a bare string", async () => {
    const ana = await connect("ana");
    assert.equal((await ana.ok("join_room", "bare")).room, "bare");
    const doc = new Y.Doc();
    doc.getText("text").insert(0, "joined");
    await ana.ok("document_update", { room: "bare", update: Y.encodeStateAsUpdate(doc) });
    await ana.ok("leave_room", "bare");
    const update = Y.encodeStateAsUpdate(doc);
    assert.equal((await ana.refusal("document_update", { room: "bare", update })).code, "conflict");
  });

  it("a second join of the same room changes nothing", async () => {
    const ana = await connect("ana");
    const room = await ana.join("twice");
    room.type("one");
    await room.saved();
    await room.join();
    const ben = await (await connect("ben")).join("twice");
    ben.type(" two");
    await converged([room, ben]);
    assert.equal(room.content, "one two");
  });

  it("a client whose connection breaks reconnects by itself with all its edits", async () => {
    const ana = await connect("ana");
    const room = await ana.join("broken");
    const ben = await (await connect("ben")).join("broken");
    room.type("before, ");
    await room.saved();
    ana.breakTransport();
    room.type("while away, ");
    ben.type("meanwhile, ");
    await until("it is back", () => ana.disconnects.length > 0 && ana.socket.connected);
    await until("its edits are there", () => ben.content.includes("while away, "));
    room.type("after");
    await converged([room, ben]);
    for (const words of ["before, ", "while away, ", "meanwhile, ", "after"]) assert.ok(ben.content.includes(words));
  });
});
