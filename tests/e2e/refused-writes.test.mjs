// A database that always refuses the updates of one document: the clients in that document are told, and other documents
// are not affected.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as Y from "yjs";
import { databases } from "@realtime-server/harness/databases";
import { suiteDatabase } from "@realtime-server/harness/suite";
import { pause, until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";
import { newcomer, seen } from "./support/view.mjs";

const SITTING_MS = 5_000;
/** With waits that double, there are no more within five seconds. */
const REBUILDS_MAX = 12;

/** Makes the database refuse each new row of a document as a violated constraint. */
const REFUSE = {
  SQLite: (document) => [
    `create trigger refuse before insert on log_tail when new.document_id = '${document}'
       begin select raise(abort, 'refused by the test'); end`,
  ],
  Postgres: (document) => [
    `create function refuse() returns trigger language plpgsql as
       $$ begin raise exception 'refused by the test' using errcode = '23514'; end $$`,
    `create trigger refuse before insert on update_log for each row when (new.document_id = '${document}')
       execute function refuse()`,
  ],
};
/** … each that holds the word BAD, after so many seconds that a slow machine notices meanwhile that it is being written. */
const REFUSE_BAD = [
  `create function refuse() returns trigger language plpgsql as
     $$ begin perform pg_sleep(2); raise exception 'refused by the test' using errcode = '23514'; end $$`,
  `create trigger refuse before insert on update_log for each row
     when (position('\\x424144'::bytea in new.payload) > 0) execute function refuse()`,
];
const ALLOW = { SQLite: ["drop trigger refuse"], Postgres: ["drop trigger refuse on update_log"] };

for (const database of databases) {
  const possible = { skip: !database.canRun && "there is no program to change this database with" };
  describe(`a document whose updates are refused by ${database.name}`, possible, () => {
    let server;
    const start = suiteDatabase(database, closeClients);

    const enter = async (user, name) => (await Client.connect(server, { person: { user } })).join(name);
    const change = (statements) => statements.forEach((sql) => database.run(server.env.DATABASE_URL, sql));

    it("is rebuilt a few times only, its clients are told, and other documents are not affected", async () => {
      server = await start();
      const first = await enter("ana", "refused");
      await first.edit(({ text }) => text.insert(0, "kept. "));
      closeClients();
      await server.stop();
      change(REFUSE[database.name](first.joined.document_id));
      await server.launch();

      const ana = await enter("ana", "refused");
      const ben = await enter("ben", "refused");
      const other = await enter("cleo", "another");
      const latencies = [];
      const began = performance.now();
      while (performance.now() - began < SITTING_MS) {
        ana.text.insert(ana.text.length, "x");
        const typed = performance.now();
        await other.edit(({ text }) => text.insert(0, "y"));
        latencies.push(performance.now() - typed);
        await pause(20);
      }
      const rebuilds = server.log.split("was rebuilt from its log").length - 1;
      const told = [ana, ben].map(({ storage }) => storage.at(-1));
      const slowest_ms = Math.max(...latencies);
      console.log(
        `${rebuilds} rebuilds, ${ben.resyncs.length} resyncs, storage ${told}, others' slowest ack ${slowest_ms.toFixed(0)} ms`,
      );
      assert.ok(rebuilds <= REBUILDS_MAX && ben.resyncs.length <= REBUILDS_MAX, `${rebuilds} rebuilds`);
      for (const status of told)
        assert.ok(["unavailable", "damaged"].includes(status), `the clients are told ${status}`);
      assert.equal(ana.seqs.length, 0, "an update is acknowledged that is not written");
      assert.equal((await enter("dora", "refused")).joined.storage, told[0]);
      assert.ok(slowest_ms < 2_000, `another document waited ${slowest_ms} ms`);
      assert.deepEqual([other.refusals, other.storage], [[], []]);
      assert.equal((await server.get("/health/live")).status, 200);
    });

    it("is written when the database accepts its updates again, with everything that was typed meanwhile", async () => {
      server = await start();
      const ana = await enter("ana", "refused");
      await ana.edit(({ text }) => text.insert(0, "kept. "));
      const { joined } = ana;
      await server.stop();
      change(REFUSE[database.name](joined.document_id));
      await server.launch();
      await until("Ana is back", () => ana.joined !== joined && ana.settled);
      ana.type("typed meanwhile");
      await until("it is refused", () => ana.storage.length > 0);
      await server.kill9();
      change(ALLOW[database.name]);
      await server.launch();
      await until("a newcomer sees it", async () => (await newcomer(server, "refused")).content.endsWith("meanwhile"));
      assert.equal(seen((await newcomer(server, "refused")).doc), seen(ana.doc));
    });

    // SQLite cannot be slow on purpose; the room that answers is the same.
    const slow = { skip: database.name !== "Postgres" && "only Postgres can sleep" };
    it("acknowledges an edit that builds upon a refused one as pending", slow, async () => {
      server = await start();
      change(REFUSE_BAD);
      const ana = await Client.connect(server, { person: { user: "ana" } });
      await ana.ok("join_room", "refused");
      const doc = new Y.Doc();
      const edits = [];
      doc.on("update", (update) => edits.push(update));
      for (const word of ["kept ", "BAD ", "good "]) doc.getText("text").insert(doc.getText("text").length, word);
      const send = (update) => ana.request("document_update", { room: "refused", update });
      assert.equal((await send(edits[0])).ok, true);
      const bad = send(edits[1]);
      const asleep = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
      await until("it is being written", () => database.run(server.env.DATABASE_URL, asleep) === "1");
      const good = send(edits[2]);
      assert.equal((await bad).error?.code, "storage_unavailable");
      const ack = await good;
      assert.deepEqual([ack.ok, ack.pending], [true, true], JSON.stringify(ack));
      assert.equal((await newcomer(server, "refused")).content, "kept ");

      change(ALLOW.Postgres);
      await until("it heals", async () => (await send(edits[1])).ok);
      assert.equal((await newcomer(server, "refused")).content, "kept BAD good ");
    });
  });
}
