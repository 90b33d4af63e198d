// What a client gets of the events that it has missed, by `since`. Section 1 of the protocol.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import * as Y from "yjs";
import { databases, postgres } from "@realtime-server/harness/databases";
import { suiteServer } from "@realtime-server/harness/suite";
import { token } from "@realtime-server/harness/tokens";
import { pause, until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";
import { Caller } from "./support/http.mjs";

/** How long a client is cut off at least. */
const CUT_OFF_MS = Number(process.env.CUT_OFF_MS ?? 0);

const NAMES = ["document_created", "document_changed", "document_deleted", "activity", "notification"];

/** An application that keeps its durable events in their order, and asks for those that it has missed. */
class Reader {
  events = [];
  welcomes = [];
  /** The last event that it has seen. */
  since;

  constructor(server, person, options) {
    this.client = new Client(server, {
      person,
      auth: (answer) => answer({ token: token(person), since: this.since }),
      ...options,
    });
    const { socket } = this.client;
    for (const name of NAMES) {
      socket.on(name, (payload) => {
        if (payload.event_id === undefined) return;
        this.since = payload.event_id;
        this.events.push({ name, ...payload });
      });
    }
    socket.on("connection", (welcome) => {
      this.welcomes.push({ ...welcome, behind: this.events.length });
      this.since ??= welcome.last_event_id;
    });
  }

  /** Waits for the welcome of its connection number `count`. */
  async welcome(count = 1) {
    await until(`connection ${count}`, () => this.welcomes.length >= count);
    return this.welcomes[count - 1];
  }

  ids(name) {
    return this.events.filter((event) => !name || event.name === name).map((event) => event.event_id);
  }
}

for (const database of databases) {
  describe(`missed events on ${database.name}`, () => {
    const server = suiteServer({
      database,
      env: { REQUESTS_PER_SECOND: 100_000, REQUESTS_BURST: 100_000, SERVICE_REQUESTS_PER_SECOND: 100_000 },
    });
    afterEach(closeClients);

    async function send(person, method, path, body) {
      const response = await fetch(`${server.url}/api/v1/${path}`, {
        method,
        headers: { authorization: `Bearer ${token(person)}` },
        body: body && JSON.stringify(body),
      });
      assert.ok(response.ok, `${method} ${path}: ${response.status} ${await response.clone().text()}`);
      return response.json();
    }

    const service = (team) => ({ user: "service", role: "service", team });
    const notify = (team, users, title) => send(service(team), "POST", "notifications", { users, kind: "test", title });

    it("a client that was cut off gets each event of its team and its person once, in order, before the session goes on", async () => {
      const team = "cut-off";
      const ana = new Reader(server, { user: "ana", team });
      await ana.welcome();
      await notify(team, ["ana"], "before");
      await until("the first event", () => ana.events.length === 1);
      ana.client.socket.io.reconnection(false);
      ana.client.breakTransport();
      await until("it is cut off", () => !ana.client.socket.connected);
      const cutOff = pause(CUT_OFF_MS);
      const witness = new Reader(server, { user: "ana", team, name: "Ana" });
      await witness.welcome();
      for (let number = 0; number < 50; number++) {
        await send({ user: "ben", team }, "PUT", `documents/d${number}`, { title: `Document ${number}` });
        await notify(team, ["ana"], `for Ana ${number}`);
        await notify(team, ["ana"], `also for Ana ${number}`);
        await notify(team, ["ben"], `for Ben ${number}`);
      }
      // 50 documents, each with its activity, and 100 notifications.
      await until("the witness has all", () => witness.events.length === 200);
      await cutOff;
      // Events go on while the client connects.
      const later = (async () => {
        for (let number = 50; number < 80; number++) {
          await send({ user: "ben", team }, "PUT", `documents/d${number}`, {});
        }
      })();
      ana.client.socket.connect();
      const welcome = await ana.welcome(2);
      await later;
      await until("everything has arrived", () => ana.events.length >= 261 && witness.events.length >= 260);
      assert.equal(welcome.recovered, true);
      assert.ok(welcome.behind >= 201, `${welcome.behind} events came before the connection event`);
      assert.deepEqual(ana.ids().slice(1), witness.ids());
      const rising = [...ana.ids()].sort((a, b) => a - b);
      assert.deepEqual(ana.ids(), rising);
      assert.equal(new Set(rising).size, rising.length);
      assert.ok(welcome.last_event_id >= ana.ids()[welcome.behind - 1]);
    });

    it("a client that does not ask gets no replay, and is not told whether it has missed anything", async () => {
      const team = "silent";
      await notify(team, ["ana"], "missed");
      const ana = new Reader(server, { user: "ana", team });
      const welcome = await ana.welcome();
      assert.equal("recovered" in welcome, false);
      assert.equal(welcome.last_event_id, 1);
      assert.equal(welcome.unread, 1);
      await notify(team, ["ana"], "now");
      await until("the next event", () => ana.events.length === 1);
      assert.deepEqual(ana.ids(), [2]);
      assert.equal(ana.events[0].unread, 2);
    });

    it("a client that has missed more than 500 events, or names one of the future, is told to list afresh", async () => {
      const team = "long-away";
      const users = Array.from({ length: 40 }, (_, number) => `u${number}`);
      await notify(team, ["ana"], "first");
      // One after the other: each locks the inboxes of all of them.
      for (let number = 0; number < 13; number++) await notify(team, users, `filler ${number}`);
      // 520 events of others: nothing that Ana has missed.
      const unconcerned = new Reader(server, { user: "ana", team });
      unconcerned.since = 1;
      assert.equal((await unconcerned.welcome()).recovered, true);
      const create = (number) => send({ user: "ben", team }, "PUT", `documents/d${number}`, {});
      for (let number = 0; number < 260; number += 10) {
        await Promise.all(Array.from({ length: 10 }, (_, more) => create(number + more)));
      }
      const ana = new Reader(server, { user: "ana", team });
      ana.since = 1;
      const welcome = await ana.welcome();
      assert.equal(welcome.recovered, false);
      assert.equal(welcome.behind, 0);
      const future = new Reader(server, { user: "ana", team });
      future.since = welcome.last_event_id + 1;
      assert.equal((await future.welcome()).recovered, false);
      const present = new Reader(server, { user: "ana", team });
      present.since = welcome.last_event_id;
      assert.equal((await present.welcome()).recovered, true);
    });

    it("what a client may not view is not replayed", async () => {
      const team = "restricted";
      const ana = { user: "ana", team, documents: { "secret-*": "none", "*": "edit" } };
      const before = new Reader(server, ana);
      const { last_event_id } = await before.welcome();
      before.client.close();
      await send({ user: "ben", team }, "PUT", "documents/secret-1", {});
      await send({ user: "ben", team }, "PUT", "documents/open-1", {});
      const after = new Reader(server, ana);
      after.since = last_event_id;
      assert.equal((await after.welcome()).recovered, true);
      assert.deepEqual(new Set(after.events.map(({ room }) => room)), new Set(["open-1"]));
    });

    it("threads that were updated come as they are now, and the database does not keep a copy of each of their states", async () => {
      const room = "large-threads";
      const enter = async (user) => {
        const client = await Client.connect(server, { person: { user } });
        await client.join(room);
        return client;
      };
      const ben = await enter("ben");
      const text = "x".repeat(16_000);
      const begin = async () => (await ben.ok("thread_create", { room, body: text })).thread.id;
      const [thread_id, gone] = [await begin(), await begin()];
      for (let reply = 0; reply < 9; reply += 1) await ben.ok("comment_create", { thread_id, body: text });
      const { welcome } = await Client.connect(server, { person: { user: "ana" } });
      for (const request of ["thread_resolve", "thread_reopen", "thread_resolve"]) await ben.ok(request, { thread_id });
      await ben.ok("thread_resolve", { thread_id: gone });
      await ben.ok("comment_create", { thread_id, body: "the last word" });
      await ben.ok("thread_delete", { thread_id: gone });
      const ana = await Client.connect(server, { person: { user: "ana" } });
      const events = [];
      ana.socket.onAny((...event) => events.push(event));
      const ack = await ana.ok("join_room", { room, since: welcome.last_event_id });
      assert.equal(ack.recovered, true);
      const missed = events.filter(([name]) => name.startsWith("thread_") || name.startsWith("comment_"));
      const names = missed.map(([name]) => name);
      // The reply opens the thread again.
      const updated = Array.from({ length: 3 }, () => "thread_updated");
      assert.deepEqual(names, [...updated, "comment_created", "thread_updated", "thread_deleted"]);
      const { threads } = await ana.ok("thread_list", { room });
      assert.equal(threads[0].comments.length, 11);
      for (const [name, payload] of missed) {
        if (name === "thread_updated") assert.deepEqual(payload.thread, threads[0]);
        else assert.equal(payload.room, room);
      }
      const ids = missed.map(([, { event_id }]) => event_id);
      assert.deepEqual(
        ids,
        [...new Set(ids)].sort((a, b) => a - b),
      );
      if (!database.canRun) return;
      const bytes = database.run(
        server.env.DATABASE_URL,
        "select max(length(cast(payload as text))) from event where payload->>'name' = 'thread_updated'",
      );
      assert.ok(Number(bytes) < 1_000, `${bytes} bytes are stored for a thread_updated`);
    });

    it("threads that are together larger than a client's queue are not replayed: it lists afresh", async () => {
      const room = "too-large-threads";
      const ben = await Client.connect(server, { person: { user: "ben" } });
      await ben.join(room);
      const text = "x".repeat(16_000);
      const { thread } = await ben.ok("thread_create", { room, body: text });
      const thread_id = thread.id;
      for (let reply = 0; reply < 20; reply += 1) await ben.ok("comment_create", { thread_id, body: text });
      const since = (await Client.connect(server, { person: { user: "ana" } })).welcome.last_event_id;
      // Two copies of 336 KB fit into 1 MiB, four do not.
      for (const recovered of [true, false]) {
        for (const request of ["thread_resolve", "thread_reopen"]) await ben.ok(request, { thread_id });
        const ana = await Client.connect(server, { person: { user: "ana" } });
        assert.equal((await ana.ok("join_room", { room, since })).recovered, recovered);
      }
    });
  });
}

// On SQLite alone: the events wait for the client in the memory of the server.
describe("a client whose queue was full", () => {
  const QUEUE_BYTES = 256 * 1024;
  const server = suiteServer({ env: { SOCKET_QUEUE_BYTES_MAX: QUEUE_BYTES, LAG_TIMEOUT_MS: 60_000 } });
  afterEach(closeClients);

  it("gets the events that did not fit when it asks again, and none behind them before", async () => {
    const ben = await (await Client.connect(server, { person: { user: "ben" } })).join("slow");
    const ana = new Reader(server, { user: "ana" });
    await ana.welcome();
    await ana.client.join("slow");
    const { ws } = ana.client.socket.io.engine.transport;
    ws.pause();
    const isLagging = async () => (await server.metric("realtime_sockets_lagging")) > 0;
    for (let part = 0; !(await isLagging()); part += 1) {
      assert.ok(part < 2_000, "40 MB fit into the buffers of the kernel");
      await ben.edit(({ map }) => map.set("value", String(part).padEnd(20_000, "x")));
    }
    const service = new Caller(server, { user: "main", role: "service" });
    const titles = [];
    const notify = async () => {
      titles.push(`number ${titles.length}`);
      const text = { title: titles.at(-1), body: "x".repeat(1_000) };
      await service.ok("POST", "notifications", { users: ["ana"], kind: "test", ...text });
    };
    // The queue may be twice as long for events; some of these do not fit.
    while (titles.length < 260) await notify();
    let isCut = false;
    ana.client.socket.once("disconnect", () => (isCut = true));
    ws.resume();
    await until("it is cut off", async () => {
      await notify();
      await pause(20);
      return isCut;
    });
    const seen = () => ana.events.filter(({ name }) => name === "notification").map(({ title }) => title);
    await until("all have arrived", () => seen().length >= titles.length);
    assert.deepEqual(seen(), titles);
    // It is welcomed after the events that it has missed.
    await until("it is welcomed again", () => ana.welcomes.length > 1);
    assert.equal(ana.welcomes.at(-1).recovered, true);
  });
});

// SQLite cannot keep others from reading.
if (databases.includes(postgres)) {
  describe("a join with since while the missed events cannot be read", () => {
    const QUEUE_BYTES = 64 * 1024;
    const server = suiteServer({ database: postgres, env: { SOCKET_QUEUE_BYTES_MAX: QUEUE_BYTES } });
    afterEach(closeClients);

    /** Ana joins `room` while Ben edits it; what she receives, in its order. */
    async function join(room, edits) {
      const ben = await (await Client.connect(server, { person: { user: "ben" } })).join(room);
      await ben.edit(({ text }) => text.insert(0, "before "));
      const { socket, welcome } = await Client.connect(server, { person: { user: "ana" } });
      const received = [];
      const doc = new Y.Doc();
      const apply = ({ update }) => Y.applyUpdate(doc, new Uint8Array(update));
      for (const name of ["document_update", "document_resync"]) {
        socket.on(name, (payload) => {
          received.push(name);
          if (payload.update) apply(payload);
        });
      }
      const ask = (request, payload) => socket.timeout(30_000).emitWithAck(request, { room, ...payload });
      const sync = async () => {
        const ack = await ask("document_sync", { state_vector: Y.encodeStateVector(doc) });
        assert.ok(ack.ok, JSON.stringify(ack.error));
        return ack;
      };
      socket.on("document_resync", async () => apply(await sync()));
      const release = await postgres.block(server.env.DATABASE_URL, "event");
      const asked = { room, state_vector: Y.encodeStateVector(doc), since: welcome.last_event_id };
      const acked = new Promise((resolve) => {
        // A promise of the ack itself would be settled after events that arrive right behind it.
        socket.emit("join_room", asked, (ack) => {
          received.push("join_room");
          apply(ack);
          resolve();
        });
      });
      // The answer to the second request says that the room has carried out the first one.
      apply(await sync());
      await edits(ben);
      // What was sent to Ana before arrives before this answer.
      await ask("presence_list", {});
      await release();
      await acked;
      await until("Ana reads what Ben writes", () => doc.getText("text").toString() === ben.content);
      return received;
    }

    it("updates of the document come after the answer to the join", async () => {
      const received = await join("held", (ben) => ben.edit(({ text }) => text.insert(0, "meanwhile ")));
      assert.deepEqual(received, ["join_room", "document_update"]);
    });

    it("more updates than the client's queue may hold are not kept for it: it synchronises again", async () => {
      const received = await join("held-too-much", async (ben) => {
        for (let part = 0; part < 8; part += 1) {
          await ben.edit(({ text }) => text.insert(0, String(part).repeat(QUEUE_BYTES / 4)));
        }
      });
      assert.equal(received[0], "join_room");
      assert.ok(received.includes("document_resync"), received.join(" "));
    });
  });
}
