// Many people are notified at once, by many services, and by a server that is far away from its database.

import assert from "node:assert/strict";
import { createServer, connect } from "node:net";
import { after, afterEach, describe, it } from "node:test";
import { databases, postgres } from "@realtime-server/harness/databases";
import { suiteServer } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";
import { Caller } from "./support/http.mjs";

const CROWD = Array.from({ length: 200 }, (_, number) => `u-${number}`);

/** A tab that keeps the notifications of which it is told, in their order. */
async function tab(server, person) {
  const client = await Client.connect(server, { person });
  client.told = [];
  client.socket.on("notification", (notification) => client.told.push(notification));
  return client;
}

/** `notify(body)` notifies people of `team` as a service. It tries again where the database was too slow, which has written nothing. */
function service(server, team) {
  const caller = new Caller(server, { user: "cms", role: "service", team });
  return async (body) => {
    for (;;) {
      const answer = await caller.send("POST", "notifications", { kind: "note", ...body });
      if (answer.status !== 503) {
        assert.ok(answer.status === 200 || answer.status === 201, JSON.stringify(answer));
        return answer.body;
      }
    }
  };
}

for (const database of databases) {
  describe(`crowds on ${database.name}`, () => {
    const server = suiteServer({ database });
    afterEach(closeClients);

    it("many services notify the same people at once, and every number is exact", async () => {
      const team = "at-once";
      const people = { all: { user: "u-0", team }, half: { user: "u-199", team } };
      const limited = { user: "u-7", role: "viewer", team, documents: { secret: "none" } };
      const [all, half] = [await tab(server, people.all), await tab(server, people.half)];
      const some = await tab(server, limited);
      await new Caller(server, { user: "u-1", team }).ok("PUT", "notifications/preferences", { muted: ["note"] });
      const notify = service(server, team);
      // Of seven titles each is told about twice, and folded; odd ones are for half of the people, in another order.
      const sent = Array.from({ length: 14 }, (_, number) => {
        const users = number % 2 ? CROWD.slice(100).reverse() : CROWD;
        const room = number < 4 ? "secret" : undefined;
        return notify({ users, title: `title ${number % 7}`, kind: `note`, ...(room && { room }) });
      });
      const answers = await Promise.all(sent);
      assert.deepEqual(
        answers.map(({ recipients }) => recipients),
        answers.map((_, number) => (number % 2 ? 100 : 200)),
      );
      for (const [client, times] of [
        [all, 7],
        [half, 14],
        [some, 5],
      ]) {
        await until("all are told", () => client.told.length === times);
        let unread = 0;
        for (const { count, unread: told } of client.told) assert.equal(told, (unread += count === 1 ? 1 : 0));
        const list = await client.ok("notification_list", {});
        assert.equal(list.unread, unread, "the last number is that of the list");
        assert.equal(list.notifications.length, unread);
        const counts = list.notifications.map(({ count }) => count);
        assert.equal(
          counts.reduce((sum, count) => sum + count, 0),
          times,
          "each is counted",
        );
      }
      const muted = await new Caller(server, { user: "u-1", team }).ok("GET", "notifications");
      assert.deepEqual([muted.unread, muted.notifications], [0, []]);
    });

    it("each mentioned person and participant of a thread is told once, also where many comment at once", async () => {
      const team = "thread";
      const author = new Caller(server, { user: "author", name: "Author", team });
      await author.ok("PUT", "documents/plan");
      const { thread } = await author.ok("POST", "documents/plan/threads", { body: "First" });
      // People of both kinds take turns in the order of their ids, so that their inboxes are not locked kind by kind.
      const [even, odd] = [0, 1].map((rest) => CROWD.slice(0, 40).filter((_, number) => number % 2 === rest));
      const comment = (user, mentions) =>
        new Caller(server, { user, team }).ok("POST", `threads/${thread.id}/comments`, { body: "Look", mentions });
      await comment("author", even);
      await Promise.all(odd.map((user) => comment(user, even)));
      for (const user of even) {
        const list = await new Caller(server, { user, team }).ok("GET", "notifications");
        assert.deepEqual(
          list.notifications.map(({ kind, count }) => [kind, count]),
          [["mention", odd.length + 1]],
          user,
        );
        assert.equal(list.unread, 1);
      }
      const list = await new Caller(server, { user: "author", team }).ok("GET", "notifications");
      assert.deepEqual(
        [list.unread, list.notifications[0].kind, list.notifications[0].count],
        [1, "reply", odd.length],
      );
    });
  });
}

/** Between the server and its database, in each direction. */
const DELAY_MS = 10;

/** Postgres behind a network on which everything takes its time. */
const distant = {
  ...postgres,
  async start() {
    await postgres.start();
    this.network = createServer((near) => {
      const far = connect(this.port, "127.0.0.1");
      for (const [one, other] of [
        [near, far],
        [far, near],
      ]) {
        one.setNoDelay(true);
        one.on("data", (bytes) => setTimeout(() => other.writable && other.write(bytes), DELAY_MS));
        one.on("error", () => other.destroy());
        one.on("close", () => setTimeout(() => other.destroy(), DELAY_MS));
      }
    });
    await new Promise((resolve) => this.network.listen(0, "127.0.0.1", resolve));
  },
  /** A new, empty database; its URL through the network. */
  create() {
    const url = new URL(postgres.create());
    this.port = Number(url.port);
    url.port = String(this.network.address().port);
    return url.href;
  },
};

describe("crowds far away from Postgres", { skip: !databases.includes(postgres) }, () => {
  const server = suiteServer({ database: distant });
  after(() => distant.network.close());
  afterEach(closeClients);

  it("many people are notified by so few statements that the transaction ends in its time", async () => {
    const team = "distant";
    const last = await tab(server, { user: "u-199", team });
    const notify = service(server, team);
    assert.deepEqual(await notify({ users: CROWD, title: "To all" }), { recipients: CROWD.length });
    assert.deepEqual(await notify({ users: CROWD, title: "To all" }), { recipients: CROWD.length });
    await until("both are told", () => last.told.length === 2);
    assert.deepEqual(
      last.told.map(({ count, unread }) => [count, unread]),
      [
        [1, 1],
        [2, 1],
      ],
    );
  });
});
