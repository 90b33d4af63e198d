// One document, edited at once by every kind of client that the server knows, each as published.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { databases } from "@realtime-server/harness/databases";
import { suiteDatabase } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";
import { Client } from "./support/client.mjs";
import { alike, closeAll, everyKind, isConnected } from "./support/doors.mjs";

const ROOM = "four doors";
const KILLS = 3;
/** The letters of each client between two kills. */
const LETTERS = 20;

/** Each client writes letters at places of its own choice, all of them at once. */
async function write(replicas, round) {
  for (let letter = 0; letter < LETTERS; letter += 1) {
    for (const [place, { text }] of replicas.entries()) {
      text.insert((letter * (place + 3)) % (text.length + 1), String.fromCodePoint(97 + place));
      if (letter % 5 === 4) text.delete((letter * 7 + round) % text.length, 1);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Writes words, each when `save` has said that the one before is durable, until `over`; those that are durable. */
async function writeWords(save, over) {
  for (const words = []; ; words.push(words.length)) {
    const isSaved = save(words.length).then(
      () => true,
      () => false, // the connection broke before the ack
    );
    if (!(await Promise.race([isSaved, over]))) return words;
  }
}

for (const database of databases) {
  describe(`the doors on ${database.name}`, () => {
    const startServer = suiteDatabase(database, closeAll);

    it("serve one document: every kind of client sees the others' edits and cursors", async () => {
      const server = await startServer();
      const kinds = await everyKind(server, ROOM);
      const replicas = Object.values(kinds);
      const connections = (transport) => server.metric(`realtime_connections{transport="${transport}"}`);
      const counted = () => Promise.all(["websocket", "y-websocket", "hocuspocus"].map(connections));
      await until("two connections of each kind are counted", async () => `${await counted()}` === "2,2,2");
      await write(replicas, 0);
      await until("all have the same text", () => alike(kinds), 60_000);
      for (const { awareness } of replicas) awareness.setLocalState({ cursor: 1 });
      const seen = ({ awareness }) =>
        replicas.filter(({ doc }) => awareness.getStates().get(doc.clientID)?.cursor === 1);
      const blind = () => Object.entries(kinds).filter(([, one]) => seen(one).length < replicas.length);
      await until("each sees the cursor of each", () => blind().length === 0, 60_000);
      const states = kinds.native.awareness.getStates();
      const names = replicas.slice(1).map(({ doc }) => states.get(doc.clientID).user.name);
      const users = ["y-websocket-2", "y-websocket-3", "hocuspocus-3", "hocuspocus-4", "y-socket-io"];
      assert.deepEqual(
        names,
        users.map((user) => `${user}'s name`),
      );
      kinds["y-websocket 3"].close();
      const { clientID } = kinds["y-websocket 3"].doc;
      const left = replicas.filter((one) => one !== kinds["y-websocket 3"]);
      await until(
        "who has left is gone for all",
        () => left.every(({ awareness }) => !awareness.getStates().has(clientID)),
        60_000,
      );
    });

    it("lose nothing when the server is killed while every kind of client writes, and all come back", async () => {
      const server = await startServer();
      const kinds = await everyKind(server, ROOM);
      const replicas = Object.values(kinds);
      for (let round = 0; round < KILLS; round += 1) {
        await write(replicas, round);
        await server.kill9();
        await write(replicas, round + 100);
        await server.launch();
      }
      await until("all have the same text", () => alike(kinds), 90_000);
      // The ack says that everything is durable that the document had before: the other doors, but Hocuspocus, have none.
      await kinds.native.edit(({ text }) => text.insert(0, "!"));
      await until("all have that, too", () => alike(kinds), 60_000);
      const [{ content }] = replicas;
      await until("every client is connected", () => isConnected(kinds), 60_000);
      closeAll();
      await server.kill9();
      await server.launch();
      const newcomer = await (await Client.connect(server, { person: { user: "newcomer" } })).join(ROOM);
      assert.equal(newcomer.content, content);
    });

    it("go on with the next process after a stop, each by itself, and what was acknowledged during the stop is there", async () => {
      const server = await startServer();
      const kinds = await everyKind(server, ROOM);
      // In a room whose clients leave: only the server has what was acknowledged to them.
      const brief = await everyKind(server, "brief");
      const { native, "Hocuspocus 4": hocuspocus } = brief;
      let end;
      const over = new Promise((resolve) => (end = () => resolve(false)));
      const words = writeWords((word) => native.edit(({ map }) => map.set(`native ${word}`, true)), over);
      const more = writeWords((word) => {
        const saved = new Promise((resolve) =>
          hocuspocus.provider.on("unsyncedChanges", ({ number }) => number === 0 && resolve()),
        );
        hocuspocus.doc.getMap("map").set(`hocuspocus ${word}`, true);
        return saved;
      }, over);
      const writing = write(Object.values(kinds), 0);
      const some = ["native 5", "hocuspocus 5"];
      await until("some are written", () => some.every((word) => native.map.has(word)));
      const { code } = await server.stop();
      end();
      assert.equal(code, 0, server.log.slice(-2_000));
      const acknowledged = [
        ...(await words).map((word) => `native ${word}`),
        ...(await more).map((word) => `hocuspocus ${word}`),
      ];
      for (const one of Object.values(brief)) (one.client ?? one).close();
      await writing;
      await write(Object.values(kinds), 1);
      const told = (kind) => kinds[kind].closes?.at(0) ?? kinds[kind].socket.closes.at(0);
      for (const kind of ["y-websocket 2", "y-websocket 3", "Hocuspocus 3", "Hocuspocus 4"])
        assert.deepEqual(told(kind), [1012, "draining"], kind);
      await server.launch();
      await until("all have the same text", () => alike(kinds), 60_000);
      await until("every client is connected", () => isConnected(kinds), 60_000);
      const newcomer = await (await Client.connect(server, { person: { user: "newcomer" } })).join("brief");
      const lost = acknowledged.filter((word) => !newcomer.map.has(word));
      assert.deepEqual(lost, [], `lost, of ${acknowledged.length}`);
    });
  });
}
