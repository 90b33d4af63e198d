// A database that keeps its writers waiting: what was accepted meanwhile is not forgotten, neither by a stop nor by a
// room that everybody has left.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { databases } from "@realtime-server/harness/databases";
import { suiteDatabase } from "@realtime-server/harness/suite";
import { pause, until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";
import { newcomer } from "./support/view.mjs";

/** A room sends so many messages at once, and gathers what comes behind them until its tick ends. */
const SENT_AT_ONCE = 16;
const GATHERED = 8;
/** More than a room takes in one turn, so that a stop meets some of them in its inbox, and others on their way. */
const BURST = 2_000;
const STOPS = 10;
/** The client sends nothing before it is given a chance to. */
const AT_A_TIME = 50;
/** A room that is given up is given up by then. */
const UNLOADED_WITHIN_MS = 300;

for (const database of databases) {
  const possible = { skip: !database.canRun && "there is no program to hold this database with" };
  describe(`what was accepted and is not written, on ${database.name}`, possible, () => {
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
    /** Someone who does not come back: whatever is there later, the server has kept. */
    const enter = async (user, name) => {
      const client = await Client.connect(server, { person: { user }, reconnection: false });
      return Object.assign(await client.join(name), { client });
    };
    const metric = (name) => server.metric(name);
    const accepted = (count) =>
      until(`${count} updates are accepted`, async () => (await metric("realtime_updates_accepted_total")) === count);
    /** Sets the key in the map of the room; what comes of it is noted in `outcomes`. */
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

    it("is written and acknowledged by a stop before it lets the clients go", async () => {
      server = await start({ RELAY_TICK_MS: 1_000 });
      const [ana, ben] = [await enter("ana", "stopped"), await enter("ben", "stopped")];
      await hold();
      const outcomes = new Map();
      for (let number = 1; number <= SENT_AT_ONCE + GATHERED; number += 1) {
        set(ana, `key ${number}`, outcomes);
        await accepted(number);
      }
      await until("Ben is shown what is sent at once", () => ben.map.size >= SENT_AT_ONCE);
      assert.equal(outcomes.size, 0, "nothing is acknowledged that is not written");
      const stopping = server.stop();
      await until("it is stopping", async () => !server.alive || (await server.get("/health/ready")).status === 503);
      set(ana, "too late", outcomes);
      await until("what comes too late is refused", () => outcomes.has("too late"));
      await release();
      const { code } = await stopping;
      assert.equal(code, 0, server.log.slice(-2_000));
      await until("everything is answered", () => outcomes.size === SENT_AT_ONCE + GATHERED + 1);
      assert.deepEqual([keys(outcomes, "draining"), keys(outcomes, "unanswered")], [["too late"], []]);
      for (const { client } of [ana, ben]) {
        await until("it sees that it is let go", () => client.disconnects.length > 0);
        assert.deepEqual(client.disconnects, ["transport close"], "after anything else they would not come back");
      }
      await server.launch();
      const { map } = await newcomer(server, "stopped");
      assert.deepEqual([...map.keys()].sort(), keys(outcomes, "acknowledged").sort());
      assert.equal(map.size, SENT_AT_ONCE + GATHERED);
    });

    it(`is neither lost nor left unsaid in ${STOPS} stops amid a burst`, async () => {
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
        await until("all know what became of it", () => outcomes.size === BURST && !ben.client.socket.connected);
        closeClients();
        await server.launch();
        const { map } = await newcomer(server, name);
        const [acknowledged, refused] = [keys(outcomes, "acknowledged"), keys(outcomes, "draining")];
        const [relayed, unanswered] = [[...ben.map.keys()], keys(outcomes, "unanswered")];
        counts.push([relayed.length, acknowledged.length, refused.length, unanswered.length, map.size]);
        const written = (told) => told.filter((key) => map.has(key));
        assert.deepEqual(written(relayed), relayed, "what others were shown is lost");
        assert.deepEqual(written(acknowledged), acknowledged, "what was acknowledged is lost");
        assert.deepEqual(written(refused), [], "what was refused is written");
        assert.deepEqual(written(unanswered), [], "what was written is not acknowledged");
        assert.equal(acknowledged.length + refused.length + unanswered.length, BURST, "something else was said");
      }
      console.log(`relayed, acknowledged, refused, unanswered, written: ${counts.join("; ")} of ${BURST}`);
    });

    it("keeps its document in memory, although everybody has left", async () => {
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
      await until("a document that is written is unloaded", async () => (await metric("realtime_rooms")) <= 1);
      await pause(UNLOADED_WITHIN_MS);
      assert.equal(await metric("realtime_rooms"), 1, "the one that is not written is unloaded as well");
      const ben = await enter("ben", "left");
      assert.deepEqual([...ben.map.keys()].sort(), ["before", "typed last"]);
      await release();
      ben.client.close();
      await until("it is unloaded once it is written", async () => (await metric("realtime_rooms")) === 0);
      await server.kill9();
      await server.launch();
      assert.ok((await newcomer(server, "left")).map.has("typed last"));
    });
  });
}
