// An acknowledged update is durable: after kill -9, a stop of the database, a full journal and an orderly stop.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as Y from "yjs";
import { databases } from "@realtime-server/harness/databases";
import { Random } from "@realtime-server/harness/random";
import { suiteDatabase } from "@realtime-server/harness/suite";
import { pause, until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";
import { waiting } from "./support/crafted.mjs";
import { Load } from "./support/load.mjs";
import { converged } from "./support/room.mjs";

/** How often the server is killed, on each database. */
const CYCLES = Number(process.env.CYCLES ?? 15);
/** The moments of the kills follow from it. */
const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000);
const LONGEST_CYCLE_MS = 400;
/** So high that no budget slows a load. */
const UNLIMITED = { UPDATES_PER_SECOND: 100_000, UPDATES_BURST: 1_000_000 };
const RESTARTS = 4;
const ROWS_PER_RESTART = 50;
const UPDATES_PER_ROW = 6;
/** Small, so that a document gets several snapshots before each restart. */
const SNAPSHOT_ROWS = 10;
/** Fewer than are due: while one is written the next is not begun. */
const SNAPSHOTS_PER_RESTART = 2;
const EXIT_DEADLINE_MS = 15_000;
const EXIT_DEADLINE_WITHOUT_DATABASE_MS = 30_000;

for (const database of databases) {
  describe(`durability on ${database.name}`, () => {
    let server;
    const start = suiteDatabase(database, closeClients);

    /** A new replica of the document, of a viewer, who adds nothing. */
    const inspect = async (name) => {
      const client = await Client.connect(server, { person: { user: "inspector", role: "viewer" } });
      const room = await client.join(name);
      client.close();
      return room;
    };

    const unloaded = () => until("no document is in memory", async () => (await server.metric("realtime_rooms")) === 0);

    const holdsAll = (room, keys) => {
      const lost = [...keys].filter((key) => !room.map.has(key));
      assert.deepEqual(lost, [], `${lost.length} of ${keys.size} are lost`);
    };

    const survivesKills = async (env) => {
      server = await start(env);
      const random = new Random(SEED);
      const load = await Load.join(server, "killed");
      for (let cycle = 1; cycle <= CYCLES; cycle += 1) {
        const before = load.acknowledged.size;
        load.start();
        await until("something is acknowledged", () => load.acknowledged.size > before);
        await pause(random.below(LONGEST_CYCLE_MS));
        await server.kill9();
        await load.stop();
        load.disconnect();
        await server.launch();
        holdsAll(await inspect("killed"), load.acknowledged);
        await load.reconnect();
      }
      await converged(load.rooms);
      holdsAll(await inspect("killed"), load.written);
    };

    it(`every acknowledged update is stored after ${CYCLES} kills at random moments (seed ${SEED})`, () =>
      survivesKills(UNLIMITED));

    it(`… also while snapshots are written all the time (seed ${SEED})`, () =>
      survivesKills({ ...UNLIMITED, SNAPSHOT_ROWS: 3, HISTORY_DAYS: 0 }));

    it("a stop under load loses nothing and exits with 0, and the clients reconnect by themselves", async () => {
      server = await start(UNLIMITED);
      const load = await Load.join(server, "stopped");
      for (let time = 1; time <= 3; time += 1) {
        const before = load.acknowledged.size;
        load.start();
        await until("some are acknowledged", () => load.acknowledged.size > before + 100);
        const end = await server.stop();
        assert.equal(end.code, 0, server.log.slice(-2_000));
        assert.ok(end.took_ms < EXIT_DEADLINE_MS, `${end.took_ms} ms`);
        const acknowledged = new Set(load.acknowledged);
        await server.launch();
        holdsAll(await inspect("stopped"), acknowledged);
        await until("they write again", () => load.acknowledged.size > acknowledged.size + 100);
        await load.stop();
        await load.settled();
      }
      assert.ok(!load.disconnects.includes("io server disconnect"), "after that, clients would not reconnect");
      await converged(load.rooms);
      holdsAll(await inspect("stopped"), load.written);
    });

    it("the sequence number continues to rise after a kill", async () => {
      server = await start();
      const ana = await (await Client.connect(server)).join("rising");
      const { seq } = await ana.edit(({ map }) => map.set("before", 1));
      await server.kill9();
      await server.launch();
      await until("it is back", () => ana.settled && ana.joined.seq >= seq);
      const ack = await ana.edit(({ map }) => map.set("after", 1));
      assert.ok(ack.seq > seq, `${ack.seq} after ${seq}`);
    });

    it("many updates over several restarts are all loaded from snapshots and a trimmed log", async () => {
      const env = { ...UNLIMITED, ROOM_IDLE_MS: 100, COMMIT_INTERVAL_MS: 0, SNAPSHOT_ROWS, HISTORY_DAYS: 0 };
      server = await start(env);
      const ask = (expression) => Number(database.run(server.env.DATABASE_URL, `select ${expression}`));
      let expected = "";
      let document_id;
      for (let restart = 1; restart <= RESTARTS; restart += 1) {
        const author = await (await Client.connect(server)).join("compacted");
        assert.equal(author.content, expected);
        document_id ??= author.joined.document_id;
        assert.equal(author.joined.document_id, document_id);
        for (let row = 1; row <= ROWS_PER_RESTART; row += 1) {
          // Updates that are acknowledged before the next ones are sent are a row of their own.
          const words = `[${restart}.${row}]`.repeat(UPDATES_PER_ROW);
          author.type(words);
          expected += words;
          await author.saved();
        }
        const due = ROWS_PER_RESTART * restart - SNAPSHOT_ROWS;
        await until("snapshots are written, the newest not long ago", async () => {
          const written = await server.metric("realtime_snapshot_seconds_count");
          return written >= SNAPSHOTS_PER_RESTART && (!database.canRun || ask("max(seq) from snapshot") > due);
        });
        if (restart % 2 === 0) {
          await server.kill9();
          closeClients();
        } else {
          closeClients();
          await unloaded();
          await server.stop();
        }
        if (database.canRun) {
          assert.equal(ask("count(*) from snapshot"), 2, "the newest and the one before it");
          const trimmed = Math.max(1, due - ROWS_PER_RESTART);
          assert.ok(ask("min(seq) from update_log") > trimmed, "the log is not trimmed");
        }
        await server.launch();
      }
      assert.equal((await inspect("compacted")).content, expected);
    });

    it("updates whose dependencies are missing survive a kill and become visible when these arrive", async () => {
      server = await start();
      const doc = new Y.Doc();
      const updates = [];
      doc.on("update", (update) => updates.push(update));
      for (const word of ["first, ", "second, ", "third"]) doc.getText("text").insert(doc.getText("text").length, word);
      const ana = await Client.connect(server);
      await ana.ok("join_room", "pending");
      await ana.ok("document_update", { room: "pending", update: updates[2] });
      await ana.ok("document_update", { room: "pending", update: updates[1] });
      ana.close();
      await server.kill9();
      await server.launch();
      assert.equal((await inspect("pending")).content, "");
      const ben = await Client.connect(server, { person: { user: "ben" } });
      await ben.ok("join_room", "pending");
      await ben.ok("document_update", { room: "pending", update: updates[0] });
      assert.equal((await inspect("pending")).content, "first, second, third");
    });

    it("updates that never get their dependencies do not harm the stored document", async () => {
      server = await start({ ROOM_IDLE_MS: 100 });
      const ana = await Client.connect(server);
      const room = await ana.join("waiting");
      for (const wait of Object.values(waiting)) {
        const author = new Y.Doc();
        await ana.request("document_update", { room: "waiting", update: wait(author.clientID, 1_000) });
        Y.applyUpdate(author, Y.encodeStateAsUpdate(room.doc));
        const known = Y.encodeStateVector(author);
        author.getText("text").insert(0, "acknowledged ");
        const update = Y.encodeStateAsUpdate(author, known);
        await ana.ok("document_update", { room: "waiting", update });
        Y.applyUpdate(room.doc, update, room);
        await room.edit(({ text }) => text.insert(5, "-"));
      }
      const { content } = await inspect("waiting");
      assert.equal(content.match(/ackno-wledged /g)?.length, 2);
      closeClients();
      for (let time = 0; time < 2; time += 1) {
        await unloaded();
        assert.equal((await inspect("waiting")).content, content);
      }
    });

    const outage = { skip: !database.canBeStopped && "this database cannot go away" };

    it("editing continues while the database is away, and everything is written when it is back", outage, async () => {
      server = await start(UNLIMITED);
      const load = await Load.join(server, "outage");
      load.start();
      await until("some are acknowledged", () => load.acknowledged.size > 100);
      await database.cluster.stop("immediate");
      await until("everybody is told", () => load.rooms.every(({ storage }) => storage.at(-1) === "unavailable"));
      await until("all wait", () => load.rooms.every(({ unacknowledged }) => unacknowledged > 10));
      const acknowledged = new Set(load.acknowledged);
      const guest = await (await Client.connect(server, { person: { user: "guest" } })).join("outage");
      assert.equal(guest.joined.storage, "unavailable");
      const marker = guest.edit(({ map }) => map.set("guest", "was here"));
      await until("updates are relayed all the same", () => load.rooms.every(({ map }) => map.has("guest")));
      await pause(Number(process.env.OUTAGE_MS ?? 2_000));
      assert.equal(load.acknowledged.size, acknowledged.size, "an update is acknowledged that is not written");
      await database.cluster.start();
      assert.equal((await marker).ok, true);
      await until("everybody is told", () => load.rooms.every(({ storage }) => storage.at(-1) === "ok"), 30_000);
      await until("they go on", () => load.acknowledged.size > acknowledged.size + 100);
      await load.stop();
      await load.settled();
      for (const room of load.rooms) assert.deepEqual(room.refusals, []);
      await converged([...load.rooms, guest]);
      closeClients();
      await server.kill9();
      await server.launch();
      holdsAll(await inspect("outage"), load.written);
    });

    it(
      "a full journal refuses updates as storage_unavailable, and loses none that it has accepted",
      outage,
      async () => {
        const limits = { UPDATE_BYTES_MAX: 65_536, JOURNAL_BYTES_MAX: 262_144 };
        server = await start(limits);
        const ana = await Client.connect(server);
        const room = await ana.join("journal");
        await room.edit(({ map }) => map.set("before", true));
        await database.cluster.stop("immediate");
        let last = 0;
        while (room.refusals.length === 0 && last < 100) {
          room.map.set(`key ${(last += 1)}`, "x".repeat(20_000));
          await pause(5);
        }
        await until("one is refused: 100 updates of 20 KB do not fit into 256 KB", () => room.refusals.length > 0);
        assert.deepEqual([room.refusals[0].code, room.refusals[0].retryable], ["storage_unavailable", true]);
        assert.ok(last >= 8, `refused at ${last} updates of 20 KB`);
        await database.cluster.start();
        await until("it is told", () => room.storage.at(-1) === "ok", 30_000);
        await until("all are answered", () => room.unacknowledged === 0);
        room.refusals = [];
        await room.sync();
        await room.saved();
        closeClients();
        await server.kill9();
        await server.launch();
        assert.equal((await inspect("journal")).map.size, last + 1);
      },
    );

    it("a document that is not in memory cannot be opened while the database is away", outage, async () => {
      server = await start();
      const ana = await Client.connect(server);
      await database.cluster.stop("immediate");
      const error = await ana.refusal("join_room", "closed");
      assert.equal(error.code, "storage_unavailable");
      await database.cluster.start();
      await until("it opens", async () => (await ana.request("join_room", "closed")).ok, 30_000);
    });

    it("a stop while the database is away ends in time and logs which documents are not written", outage, async () => {
      server = await start({ DRAIN_TIMEOUT_MS: 1_000 });
      const ana = await (await Client.connect(server)).join("unwritten");
      await ana.edit(({ map }) => map.set("written", true));
      await database.cluster.stop("immediate");
      ana.map.set("unwritten", true);
      await until("it is told", () => ana.storage.at(-1) === "unavailable");
      const end = await server.stop();
      assert.ok(end.took_ms < EXIT_DEADLINE_WITHOUT_DATABASE_MS, `${end.took_ms} ms`);
      assert.notEqual(end.code, 0);
      assert.match(server.log, /unwritten/);
      await database.cluster.start();
      await server.launch();
      await until("the client hands it in again", () => ana.settled && ana.joined);
      closeClients();
      const inspected = await inspect("unwritten");
      assert.deepEqual([...inspected.map.keys()].sort(), ["unwritten", "written"]);
    });
  });
}
