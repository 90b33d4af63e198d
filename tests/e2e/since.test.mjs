// What a client gets of the events that it has missed, by `since`. Section 1 of the protocol.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { databases } from "@realtime-server/harness/databases";
import { suiteServer } from "@realtime-server/harness/suite";
import { token } from "@realtime-server/harness/tokens";
import { pause, until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";

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
      await Promise.all(Array.from({ length: 13 }, (_, number) => notify(team, users, `filler ${number}`)));
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
