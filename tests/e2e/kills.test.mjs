// The server is killed again and again while colleagues comment, move documents and edit: of each change everything exists
// afterwards, its rows, its entry in the activity, its notification, its events and its message to the main service, or nothing.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { databases } from "@realtime-server/harness/databases";
import { Random } from "@realtime-server/harness/random";
import { suiteDatabase } from "@realtime-server/harness/suite";
import { pause, until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";
import { Colleagues } from "./support/colleagues.mjs";
import { Load } from "./support/load.mjs";
import { Receiver } from "./support/receiver.mjs";
import { Traces, keyOf } from "./support/traces.mjs";

/** How often the server is killed, on each database. */
const KILLS = Number(process.env.KILLS ?? 6);
/** The moments of the kills follow from it. */
const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000);
const LONGEST_CYCLE_MS = 400;
/** How many requests of each cycle that were answered are sent once more. */
const REPEATED = 5;
/** A message that a killed server was sending is sent again after 15 s, and those of its document behind it. */
const DELIVERY_TIMEOUT_MS = 60_000 + KILLS * 2_000;
const ROOMS = ["one", "two", "three", "four", "five", "six"];
const SETTINGS = {
  REQUESTS_PER_SECOND: 100_000,
  UPDATES_PER_SECOND: 100_000,
  UPDATES_BURST: 1_000_000,
  WEBHOOK_SECRET: `whsec_${Buffer.from("a key of the webhooks, 32 bytes.").toString("base64")}`,
  WEBHOOK_RETRY_MS: 20,
};

for (const database of databases) {
  // Only the database's own program sees what the server's own requests do not show.
  describe(`kills under load on ${database.name}`, { skip: !database.canRun && "there is no sqlite3" }, () => {
    const begin = suiteDatabase(database, closeClients);
    const receiver = new Receiver();
    before(() => receiver.start());
    after(() => receiver.stop());

    /** What the main service was told of: the `room` and the `key` of each change. */
    const told = () =>
      receiver
        .accepted()
        .map(({ data }) => ({ room: data.room, key: keyOf({ data }) }))
        .filter(({ key }) => key);

    /** Checks that the main service was told of what has `happened` in each room in its order. */
    function toldInOrder(happened) {
      for (const room of ROOMS) {
        const [keys, received] = [happened, told()].map((all) =>
          all.filter((one) => one.room === room).map(({ key }) => key),
        );
        // At least once: a message may come again before the next one does.
        const once = received.filter((key, at) => key !== received[at - 1]);
        assert.deepEqual(once, keys, `the main service is told of ${room} in another order`);
      }
    }

    it(`writes all of a change or nothing, ${KILLS} times (seed ${SEED})`, async (test) => {
      const random = new Random(SEED);
      // Of the messages to the main service some have to be repeated.
      receiver.status = () => (random.below(20) === 0 ? 503 : 200);
      const server = await begin({ ...SETTINGS, WEBHOOK_URL: receiver.url });
      const traces = new Traces((sql) => database.run(server.env.DATABASE_URL, sql));
      for (const room of ROOMS) await server.createDocument(room, { team: "acme" });
      const colleagues = await Colleagues.connect(server, random, ROOMS);
      const load = await Load.join(server, ROOMS[0]);
      const figures = { kills: 0, doubtful: 0, written: 0, repeated: 0 };

      /** Checks everything that exists; returns the keys of the changes. */
      async function check() {
        const made = traces.whole(() => receiver.accepted());
        const lost = [...colleagues.answered.keys()].filter((key) => !made.has(key));
        assert.deepEqual(lost, [], "what was acknowledged is lost");
        figures.events = traces.hasNoHole();
        const inspector = await Client.connect(server, { person: { user: "inspector", role: "viewer" } });
        const { map } = await inspector.join(ROOMS[0]);
        inspector.close();
        assert.deepEqual(
          [...load.acknowledged].filter((key) => !map.has(key)),
          [],
          "an acknowledged edit is lost",
        );
        return made;
      }

      for (let kill = 1; kill <= KILLS; kill += 1) {
        const answered = colleagues.answered.size;
        colleagues.start();
        load.start();
        await until("something is acknowledged", () => colleagues.answered.size > answered);
        await pause(random.below(LONGEST_CYCLE_MS));
        await server.kill9();
        figures.kills += 1;
        await Promise.all([colleagues.stop(), load.stop()]);
        await server.launch();
        const made = await check();
        const doubtful = [...colleagues.doubtful.keys()];
        figures.doubtful += doubtful.length;
        figures.written += doubtful.filter((key) => made.has(key)).length;
        await colleagues.repeatDoubtful();
        const repeated = Array.from({ length: REPEATED }, () => random.of([...colleagues.answered.keys()]));
        for (const key of repeated) await colleagues.repeat(key);
        figures.repeated += doubtful.length + repeated.length;
      }
      await load.settled();
      assert.equal(colleagues.doubtful.size, 0);
      const isTold = () => new Set(told().map(({ key }) => key)).size === colleagues.answered.size;
      await until("the main service is told of everything", isTold, DELIVERY_TIMEOUT_MS, 100);
      const made = await check();
      assert.deepEqual([...made].sort(), [...colleagues.answered.keys()].sort(), "each request has done its work once");
      toldInOrder(traces.happened());
      Object.assign(figures, { sent: colleagues.sent, acknowledged: colleagues.answered.size, found: made.size });
      Object.assign(figures, { edits: load.acknowledged.size, webhooks: receiver.accepted().length });
      test.diagnostic(JSON.stringify(figures));
    });
  });
}
