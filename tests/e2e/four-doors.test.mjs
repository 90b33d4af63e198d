// One document, edited at once by every kind of client that the server knows, each as published.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { databases } from "@realtime-server/harness/databases";
import { suiteDatabase } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";
import { Hocuspocus, Stock as YWebsocket, closeStock } from "./support/stock.mjs";
import { Stock as YSocketIo, closeStock as closeYSocketIo } from "./support/y-socket-io.mjs";

const ROOM = "four doors";
const KILLS = 3;
/** The letters of each client between two kills. */
const LETTERS = 20;

const closeAll = () => {
  closeStock();
  closeYSocketIo();
  closeClients();
};

/** One client of each kind in the room, each of another person: its replica, with `awareness`, by kind. */
async function everyKind(server) {
  const person = (user) => ({ person: { user } });
  const native = await Client.connect(server, person("native"));
  return {
    native: await native.join(ROOM),
    "y-websocket 2": await YWebsocket.open(server, ROOM, { major: 2, ...person("y-websocket-2") }),
    "y-websocket 3": await YWebsocket.open(server, ROOM, { major: 3, ...person("y-websocket-3") }),
    "Hocuspocus 3": await Hocuspocus.open(server, ROOM, { major: 3, ...person("hocuspocus-3") }),
    "Hocuspocus 4": await Hocuspocus.open(server, ROOM, { major: 4, ...person("hocuspocus-4") }),
    "y-socket.io": await YSocketIo.open(server, ROOM, person("y-socket-io")),
  };
}

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

/** Whether each client has a connection: one that is just being opened fails when its client is closed. */
function isConnected(kinds) {
  const { native, ...others } = kinds;
  const connected = ({ provider, socket }) =>
    provider.wsconnected ?? socket?.connected ?? socket.provider.status === "connected";
  return native.settled && Object.values(others).every(connected);
}

const alike = (replicas) => new Set(replicas.map(({ content }) => content)).size === 1;

for (const database of databases) {
  describe(`the doors on ${database.name}`, () => {
    const startServer = suiteDatabase(database, closeAll);

    it("serve one document: every kind of client sees the others' edits and cursors", async () => {
      const server = await startServer();
      const kinds = await everyKind(server);
      const replicas = Object.values(kinds);
      const connections = (transport) => server.metric(`realtime_connections{transport="${transport}"}`);
      const counted = () => Promise.all(["websocket", "y-websocket", "hocuspocus"].map(connections));
      await until("two connections of each kind are counted", async () => `${await counted()}` === "2,2,2");
      await write(replicas, 0);
      await until("all have the same text", () => alike(replicas), 60_000);
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
      const kinds = await everyKind(server);
      const replicas = Object.values(kinds);
      for (let round = 0; round < KILLS; round += 1) {
        await write(replicas, round);
        await server.kill9();
        await write(replicas, round + 100);
        await server.launch();
      }
      await until("all have the same text", () => alike(replicas), 90_000);
      // The ack says that everything is durable that the document had before: the other doors, but Hocuspocus, have none.
      await kinds.native.edit(({ text }) => text.insert(0, "!"));
      await until("all have that, too", () => alike(replicas), 60_000);
      const [{ content }] = replicas;
      await until("every client is connected", () => isConnected(kinds), 60_000);
      closeAll();
      await server.kill9();
      await server.launch();
      const newcomer = await (await Client.connect(server, { person: { user: "newcomer" } })).join(ROOM);
      assert.equal(newcomer.content, content);
    });
  });
}
