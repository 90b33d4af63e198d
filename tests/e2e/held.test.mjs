// Updates that are accepted while the database blocks its writers: neither a stop nor the unloading of a room that
// everybody has left loses them.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { databases } from "@realtime-server/harness/databases";
import { suiteDatabase } from "@realtime-server/harness/suite";
import { pause, until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";
import { newcomer } from "./support/view.mjs";

/** A room relays so many messages at once, and gathers further ones until its tick ends. */
const SENT_AT_ONCE = 16;
const GATHERED = 8;
/** More than a room takes in one turn: when a stop begins, some are in its inbox and others on their way. */
const BURST = 2_000;
const STOPS = 10;
/** After so many the test yields, since the client sends nothing before that. */
const AT_A_TIME = 50;
/** A room that is to be unloaded is unloaded by then. */
const UNLOADED_WITHIN_MS = 300;

for (const database of databases) {
  const possible = { skip: !database.canRun && "there is no program to hold this database with" };
  describe(`accepted updates that are not yet written, on ${database.name}`, possible, () => {
    let server;
    let release;
    const start = suiteDatabase(database, async () => {
      closeClients();
      await release?.();
    });

    const hold = async () => {
      const let_go = await database.hold(server.env.DATABASE_URL);
      release = async () => {
        release = undefined;
        await let_go();
      };
    };
    /** A client that does not reconnect: whatever is visible later, the server has kept. */
    const enter = async (user, name) => {
      const client = await Client.connect(server, { person: { user }, reconnection: false });
      return Object.assign(await client.join(name), { client });
    };
    const metric = (name) => server.metric(name);
    const accepted = (count) =>
      until(`${count} updates are accepted`, async () => (await metric("realtime_updates_accepted_total")) === count);
    /** Sets a key in the map of the room, and notes in `outcomes` how the update was answered. */
    const set = (room, key, outcomes) => {
      const answered = (outcome) => outcomes.set(key, outcome);
      room
        .edit(({ map }) => map.set(key, true))
        .then(
          () => answered("acknowledged"),
          (error) => answered(error.code ?? "unanswered"),
        );
    };
    const keys = (outcomes, wanted) => [...outcomes].filter(([, outcome]) => outcome === wanted).map(([key]) => key);

    it("are written and acknowledged by a stop before it disconnects the clients", async () => {
      server = await start({ RELAY_TICK_MS: 1_000 });
      const [ana, ben] = [await enter("ana", "stopped"), await enter("ben", "stopped")];
      await hold();
      const outcomes = new Map();
      for (let number = 1; number <= SENT_AT_ONCE + GATHERED; number += 1) {
        set(ana, `key ${number}`, outcomes);
        await accepted(number);
      }
      await until("Ben sees the updates that are relayed at once", () => ben.map.size >= SENT_AT_ONCE);
      assert.equal(outcomes.size, 0, "an update is acknowledged that is not written");
      const stopping = server.stop();
      await until("it is stopping", async () => !server.alive || (await server.get("/health/ready")).status === 503);
      set(ana, "too late", outcomes);
      await until("the late update is refused", () => outcomes.has("too late"));
      await release();
      const { code } = await stopping;
      assert.equal(code, 0, server.log.slice(-2_000));
      await until("all updates are answered", () => outcomes.size === SENT_AT_ONCE + GATHERED + 1);
      assert.deepEqual([keys(outcomes, "draining"), keys(outcomes, "unanswered")], [["too late"], []]);
      for (const { client } of [ana, ben]) {
        await until("the client is disconnected", () => client.disconnects.length > 0);
        assert.deepEqual(client.disconnects, ["transport close"], "after another reason a client would not reconnect");
      }
      await server.launch();
      const { map } = await newcomer(server, "stopped");
      assert.deepEqual([...map.keys()].sort(), keys(outcomes, "acknowledged").sort());
      assert.equal(map.size, SENT_AT_ONCE + GATHERED);
    });

    it(`are all written, or known to the client not to be, in ${STOPS} stops during a burst`, async () => {
      const env = { UPDATES_PER_SECOND: 100_000, UPDATES_BURST: 1_000_000 };
      server = await start(env);
      const counts = [];
      for (let stop = 1; stop <= STOPS; stop += 1) {
        const name = `burst ${stop}`;
        const [ana, ben] = [await enter("ana", name), await enter("ben", name)];
        const outcomes = new Map();
        let stopping;
        for (let number = 1; number <= BURST; number += 1) {
          set(ana, `key ${number}`, outcomes);
          if (number % AT_A_TIME === 0) await pause(0);
          if (number === BURST / 2) stopping = server.stop();
        }
        assert.equal((await stopping).code, 0, server.log.slice(-2_000));
        await until("all updates are answered", () => outcomes.size === BURST && !ben.client.socket.connected);
        closeClients();
        await server.launch();
        const { map } = await newcomer(server, name);
        const [acknowledged, refused] = [keys(outcomes, "acknowledged"), keys(outcomes, "draining")];
        const [relayed, unanswered] = [[...ben.map.keys()], keys(outcomes, "unanswered")];
        counts.push([relayed.length, acknowledged.length, refused.length, unanswered.length, map.size]);
        const written = (told) => told.filter((key) => map.has(key));
        assert.deepEqual(written(relayed), relayed, "a relayed update is lost");
        assert.deepEqual(written(acknowledged), acknowledged, "an acknowledged update is lost");
        assert.deepEqual(written(refused), [], "a refused update is written");
        assert.deepEqual(
          written(unanswered),
          [],
          `updates are written, and not acknowledged (${ana.client.disconnects})`,
        );
        assert.equal(acknowledged.length + refused.length + unanswered.length, BURST, "an update has another outcome");
      }
      console.log(`relayed, acknowledged, refused, unanswered, written: ${counts.join("; ")} of ${BURST}`);
    });

    it("keep their document in memory after all clients have left", async () => {
      server = await start({ ROOM_IDLE_MS: 0 });
      const [ana, cleo] = [await enter("ana", "left"), await enter("cleo", "another")];
      await ana.edit(({ map }) => map.set("before", true));
      await cleo.edit(({ map }) => map.set("before", true));
      await hold();
      ana.map.set("typed last", true);
      await accepted(3);
      ana.client.close();
      await until("Ana is gone", async () => (await metric('realtime_connections{transport="websocket"}')) === 1);
      cleo.client.close();
      await until("the written document is unloaded", async () => (await metric("realtime_rooms")) <= 1);
      await pause(UNLOADED_WITHIN_MS);
      assert.equal(await metric("realtime_rooms"), 1, "the document with unwritten updates is unloaded as well");
      const ben = await enter("ben", "left");
      assert.deepEqual([...ben.map.keys()].sort(), ["before", "typed last"]);
      await release();
      ben.client.close();
      await until("the document is unloaded when it is written", async () => (await metric("realtime_rooms")) === 0);
      await server.kill9();
      await server.launch();
      assert.ok((await newcomer(server, "left")).map.has("typed last"));
    });
  });
}
