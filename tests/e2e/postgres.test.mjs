// Postgres as production has it: behind pgbouncer, with few rights and connections, read-only, full, and lost to a replica that was
// behind. SQLite has none of that.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { databases, postgres } from "@realtime-server/harness/databases";
import { Network } from "@realtime-server/harness/network";
import { startPgBouncer } from "@realtime-server/harness/pgbouncer";
import { Postgres, unprivilegedOwner } from "@realtime-server/harness/postgres";
import { temporaryFolder } from "@realtime-server/harness/process";
import { run } from "@realtime-server/harness/server";
import { suiteDatabase } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";
import { converged } from "./support/room.mjs";
import { newcomer, seen } from "./support/view.mjs";

/** How long after an outage everything has to work again. */
const HEALED_WITHIN_MS = 5_000;
/** Not so often that requests are refused for their number. */
const TRY_EVERY_MS = 500;
/** More than the server has connections to Postgres. */
const MANY = 20;
const WRONG_SETTING = 78;

const enter = async (server, user, room = "room") => (await Client.connect(server, { person: { user } })).join(room);
const types = (room, text) => room.edit(({ text: at }) => at.insert(at.length, text));
const nameOf = (url) => new URL(url).pathname.slice(1);
/** Creates documents at once; returns how many were refused. */
async function create(server, name, count = MANY) {
  const names = Array.from({ length: count }, (_, index) => `${name} ${index}`);
  const created = await Promise.allSettled(names.map((room) => server.createDocument(room)));
  return created.filter(({ status }) => status === "rejected").length;
}

for (const database of databases.filter(({ name }) => name === "Postgres")) {
  describe(`${database.name} as production has it`, () => {
    const start = suiteDatabase(database, closeClients);
    /** Runs SQL as the superuser, beside the database of a server. */
    const admin = (sql) => postgres.cluster.query(sql, "postgres");
    const reconnect = (url) =>
      admin(`select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = '${nameOf(url)}'`);

    it("takes edits and documents again as soon as new sessions are not read-only any more", async () => {
      const server = await start();
      const url = server.env.DATABASE_URL;
      const ana = await enter(server, "ana");
      await types(ana, "before");
      admin(`alter database ${nameOf(url)} set default_transaction_read_only = on`);
      reconnect(url);
      await until(
        "every connection is read-only",
        async () => (await create(server, "refused")) === MANY,
        HEALED_WITHIN_MS,
        TRY_EVERY_MS,
      );
      const ack = types(ana, ", meanwhile");
      await until("it is told", () => ana.storage.includes("unavailable"));
      admin(`alter database ${nameOf(url)} reset default_transaction_read_only`);
      await ack;
      await until(
        "documents are created",
        async () => (await create(server, "created")) === 0,
        HEALED_WITHIN_MS,
        TRY_EVERY_MS,
      );
      assert.equal(await create(server, "created too"), 0);
      assert.equal((await newcomer(server, "room")).content, "before, meanwhile");
    });

    it("serves through pgbouncer in transaction mode, and leaves no settings in its sessions", async () => {
      const port = await startPgBouncer(postgres.cluster, { pool: 4 });
      const through = (url) => url.replace(/:\d+\//, `:${port}/`);
      const url = through(postgres.create());
      // They migrate at once.
      const env = { DATABASE_URL: url, SNAPSHOT_ROWS: 5 };
      const [here, there] = await Promise.all([start(env), start(env)]);
      const ana = await enter(here, "ana");
      const ben = await enter(there, "ben");
      for (let edit = 1; edit <= 12; edit += 1) {
        await ana.edit(({ map }) => map.set(`edit ${edit}`, edit));
        await ben.edit(({ map }) => map.set(`other ${edit}`, edit));
      }
      await ana.edit(({ text }) => text.insert(0, "x".repeat(1_500_000)));
      assert.equal(await create(here, "created"), 0);
      await converged([ana, ben]);
      await until("a snapshot is written", async () => (await here.metric("realtime_snapshot_seconds_count")) > 0);
      assert.equal(await here.metric("realtime_append_failures_total"), 0);
      const show = "select current_setting('statement_timeout') || current_setting('synchronous_commit')";
      for (let session = 0; session < 8; session += 1) {
        const { program, parameters } = postgres.cluster.psql(nameOf(url));
        const at = parameters.map((parameter) =>
          parameter === String(postgres.cluster.port) ? String(port) : parameter,
        );
        assert.equal(execFileSync(program, [...at, "-c", show], { encoding: "utf8" }).trim(), "0on");
      }
      assert.equal(admin("select count(*) from pg_locks where locktype = 'advisory'"), "0");
      for (const server of [here, there]) await server.kill9();
      await here.launch();
      await converged([ana, await newcomer(here, "room")]);
    });

    it("is served with the rights of docs/operations.md, by a role that cannot change the schema", async () => {
      const docs = readFileSync(new URL("../../docs/operations.md", import.meta.url), "utf8");
      const [, chapter] = docs.split("### Roles\n");
      const [roles, afterwards] = [...chapter.matchAll(/```sql\n([^]*?)```/g)].map(([, sql]) => sql);
      postgres.cluster.script(roles, "postgres");
      const as = (role) => `postgres://${role}@127.0.0.1:${postgres.cluster.port}/realtime`;
      const env = { DATABASE_URL: as("realtime_server"), JWT_SECRET: "0123456789abcdef0123456789abcdef" };
      const early = await run([], env);
      assert.equal(early.code, WRONG_SETTING, early.stdout + early.stderr);
      const migrated = await run(["migrate"], { ...env, DATABASE_URL: as("realtime_owner") });
      assert.equal(migrated.code, 0, migrated.stdout);
      postgres.cluster.script(afterwards, "realtime");
      const server = await start({ DATABASE_URL: as("realtime_server"), SNAPSHOT_ROWS: 5 });
      const ana = await enter(server, "ana");
      for (let edit = 1; edit <= 12; edit += 1) await ana.edit(({ map }) => map.set(`edit ${edit}`, edit));
      await until("a snapshot is written", async () => (await server.metric("realtime_snapshot_seconds_count")) > 0);
      assert.equal(await create(server, "created"), 0);
      await converged([ana, await newcomer(server, "room")]);
      assert.doesNotMatch(server.log, /permission denied/);
      const forbidden = [
        "create table own (id int)",
        "alter table document add column own int",
        "truncate document cascade",
      ];
      for (const sql of [...forbidden, "delete from _sqlx_migrations"]) {
        assert.throws(
          () => postgres.cluster.script(`set role realtime_server; ${sql}`, "realtime"),
          /permission denied|must be owner/,
        );
      }
    });

    it("keeps edits while its role may have no connections, and writes them when it may have some again", async () => {
      const url = postgres.create();
      admin("create role few login superuser");
      const server = await start({ DATABASE_URL: url.replace("realtime@", "few@") });
      const ana = await enter(server, "ana");
      await types(ana, "before");
      // A limit does not apply to superusers.
      admin("alter role few nosuperuser connection limit 0");
      postgres.run(url, "grant all on all tables in schema public to few");
      reconnect(url);
      const ack = types(ana, ", meanwhile");
      await until("it is told", () => ana.storage.includes("unavailable"));
      await until("Postgres names the cause", () => server.log.includes("too many connections"));
      admin("alter role few connection limit 3");
      await ack;
      assert.equal((await newcomer(server, "room")).content, "before, meanwhile");
      // As many as its role may have, one after the other; and all that it uses.
      await until(
        "a document is created",
        async () => (await create(server, "created", 1)) === 0,
        HEALED_WITHIN_MS,
        TRY_EVERY_MS,
      );
      admin("alter role few connection limit 12");
      await until(
        "documents are created",
        async () => (await create(server, "all")) === 0,
        HEALED_WITHIN_MS,
        TRY_EVERY_MS,
      );
    });

    describe("on a small disk", () => {
      let disk;
      before(() => (disk = smallDisk()));
      after(() => disk?.remove());

      it("keeps edits while the disk is full, and writes them when it has space again", async (test) => {
        if (!disk) return test.skip("file systems cannot be mounted here");
        const server = await start();
        const url = server.env.DATABASE_URL;
        postgres.run(url, `create tablespace small location '${disk.folder}'`);
        postgres.run(url, "alter table update_log set tablespace small");
        const ana = await enter(server, "ana");
        await types(ana, "before");
        disk.fill();
        const large = ana.edit(({ map }) => map.set("large", "x".repeat(1_000_000)));
        await until("it is told", () => ana.storage.includes("unavailable"));
        const small = types(ana, ", meanwhile");
        assert.match(server.log, /could not extend file|No space left/);
        disk.empty();
        await Promise.all([large, small]);
        assert.deepEqual(ana.refusals, []);
        await converged([ana, await newcomer(server, "room")]);
        closeClients();
        await server.stop();
        postgres.run(url, "alter table update_log set tablespace pg_default");
        admin("drop tablespace small");
      });
    });

    describe("whose replica was behind when it took over", () => {
      let primary, replica, network;
      before(async () => {
        primary = await Postgres.create();
        replica = await Postgres.createReplica(primary);
        network = await Network.to(primary);
      });
      after(() => network?.close());

      it("gets again what it had acknowledged and lost, from each server and from clients", async () => {
        const url = primary.createDatabase();
        const database = nameOf(url);
        const env = {
          DATABASE_URL: url.replace(/:\d+\//, `:${network.port}/`),
          ROOM_IDLE_MS: 60_000,
          SNAPSHOT_ROWS: 5,
        };
        const here = await start({ ...env, REALTIME_INSTANCE: "here" });
        const there = await start({ ...env, REALTIME_INSTANCE: "there" });
        const ana = await enter(here, "ana");
        const cleo = await enter(there, "cleo");
        const dan = await enter(here, "dan", "without members");
        await types(ana, "kept");
        await types(dan, "kept");
        await converged([ana, cleo]);
        const lsn = primary.query("select pg_current_wal_lsn()", "postgres");
        const caughtUp = `select pg_last_wal_replay_lsn() >= '${lsn}'`;
        await until("the replica has caught up", () => replica.query(caughtUp, "postgres") === "t");
        replica.query("alter system set primary_conninfo = ''", "postgres");
        replica.query("select pg_reload_conf()", "postgres");
        const receives = "select count(*) from pg_stat_wal_receiver";
        await until("the replica receives nothing", () => replica.query(receives, "postgres") === "0");

        // `there` reads none of this before the primary is lost.
        process.kill(there.pid, "SIGSTOP");
        const lost = await types(ana, " and lost");
        for (let edit = 1; edit <= 3; edit += 1) await ana.edit(({ map }) => map.set(`ana ${edit}`, edit));
        await types(dan, " and lost");
        const young = await enter(here, "eve", "young");
        await types(young, "created and lost");
        // What the servers' memory holds has to suffice for these.
        for (const room of [dan, young]) await room.leave();

        await primary.kill9();
        replica.query("select pg_promote()", "postgres");
        network.lead(replica);
        process.kill(there.pid, "SIGCONT");
        // These get the positions of what was lost.
        for (let edit = 1; edit <= 3; edit += 1) cleo.map.set(`cleo ${edit}`, edit);
        await until(
          "here has noticed",
          async () => (await here.metric("realtime_database_rewinds_total")) === 1,
          20_000,
        );
        const rewritten = () => here.metric("realtime_documents_rewritten_total");
        await until("here has written again", async () => (await rewritten()) >= 3, 20_000);
        await until("Ana was told", () => ana.resyncs.some(({ reason }) => reason === "rebuilt"));
        const ack = await types(ana, ", healed");
        assert.ok(ack.seq > 0 && lost.seq > 0);
        await ana.saved();
        await cleo.saved();
        await converged([ana, cleo]);
        assert.match(here.log, /another server of the database has taken over/);
        assert.match(here.log, /the database has lost updates of an open document/);

        const head =
          "select max(seq) = head_seq and count(*) = head_seq from document join update_log using (document_id)";
        const gapless = replica.query(`${head} where room = 'without members' group by head_seq`, database);
        assert.equal(gapless, "t");
        for (const server of [here, there]) await server.kill9();
        closeClients();
        await here.launch();
        const late = await newcomer(here, "room");
        assert.equal(seen(late.doc), seen(ana.doc));
        assert.equal((await newcomer(here, "without members")).content, "kept and lost");
        assert.equal((await newcomer(here, "young")).content, "created and lost");
      });
    });
  });
}

/** A file system of a few megabytes that Postgres may use; `undefined` where none can be mounted. */
function smallDisk() {
  const owner = unprivilegedOwner();
  if (!owner) return undefined;
  const mounted = temporaryFolder();
  try {
    const options = `size=6m,uid=${owner.uid},gid=${owner.gid},mode=700`;
    execFileSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", mounted], { stdio: "ignore" });
  } catch {
    return undefined;
  }
  const folder = join(mounted, "space");
  mkdirSync(folder);
  execFileSync("chown", [`${owner.uid}:${owner.gid}`, folder]);
  const ballast = join(mounted, "ballast");
  return {
    folder,
    fill() {
      try {
        for (let chunk = 0; chunk < 64; chunk += 1) writeFileSync(ballast, Buffer.alloc(128 * 1024), { flag: "a" });
      } catch (error) {
        if (error.code !== "ENOSPC") throw error;
      }
    },
    empty: () => rmSync(ballast),
    remove: () => execFileSync("umount", ["--lazy", mounted]),
  };
}
