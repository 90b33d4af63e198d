// Imports of the stores that the real other servers have written, read by stock clients afterwards.
//
// IMPORT_DOCUMENTS is the number of documents of each store: 1000 takes some minutes. Y_SWEET_BIN names the program of y-sweet;
// without it, the stores that it has written for fixtures/y-sweet are imported.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cpSync, readFileSync, readdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { LeveldbPersistence } from "y-leveldb";
import * as Y from "yjs";
import { databases, postgres, sqlite } from "@realtime-server/harness/databases";
import { adopt, temporaryFolder } from "@realtime-server/harness/process";
import { PROGRAM, Server, run } from "@realtime-server/harness/server";
import { token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";
import { content, hocuspocusStore, write, yWebsocketStore, ySweetStore } from "./support/other-servers.mjs";
import { Hocuspocus, Stock, closeStock } from "./support/stock.mjs";

const DOCUMENTS = Number(process.env.IMPORT_DOCUMENTS ?? 12);
const TIMEOUT_MS = 30_000 + DOCUMENTS * 1_000;
const TEAM = "acme";
const names = (prefix) => Array.from({ length: DOCUMENTS }, (_, number) => `${prefix}-${number}`);

/** One import, to its end: its exit code, its report and its progress. */
async function importInto(url, origin, ...more) {
  const parameters = ["import", ...origin, "--team", TEAM, ...more];
  const began = performance.now();
  const ended = await run(parameters, { DATABASE_URL: url }, { timeout_ms: TIMEOUT_MS });
  if (DOCUMENTS >= 100)
    console.log(`${origin[0]} into ${url}: ${Math.round(performance.now() - began)} ms\n${ended.stdout}`);
  return ended;
}

/** The number of documents that a line of the report counts. */
function counted(stdout, line) {
  return Number(new RegExp(`^ *(\\d+) +${line}$`, "m").exec(stdout)?.[1]);
}

/** Everything in the database that an import writes, in numbers. */
function written(database, url) {
  const count = (table) => database.run(url, `select count(*) from ${table}`);
  return ["document", "document_log", "author", "event"].map(count).join(" ");
}

/** Runs a server on the database at `url`, and calls `work` with it. */
async function serving(url, work) {
  const server = new Server({ database: { create: () => url } });
  await server.begin();
  try {
    await work(server);
  } finally {
    closeStock();
    await server.stop();
  }
}

/** Checks by stock clients that the rooms have these contents. */
async function assertRooms(server, contents, open) {
  const entries = [...contents];
  for (let at = 0; at < entries.length; at += 20) {
    const reading = entries.slice(at, at + 20).map(async ([room, expected]) => {
      const client = await open(server, room);
      assert.deepEqual(content(client.doc), expected, room);
      client.close();
    });
    await Promise.all(reading);
  }
}

const byYWebsocket = (server, room) => Stock.open(server, room, { person: { team: TEAM } });
const byHocuspocus = (server, room) => Hocuspocus.open(server, room, { person: { team: TEAM } });

/** The recorded stores of y-sweet, or those that its program writes now. */
async function ySweet() {
  if (process.env.Y_SWEET_BIN) return ySweetStore(names("sweet"), process.env.Y_SWEET_BIN);
  const recorded = (name) => fileURLToPath(new URL(`../../fixtures/y-sweet/${name}`, import.meta.url));
  const folder = join(temporaryFolder(), "y-sweet");
  cpSync(recorded("store"), folder, { recursive: true });
  const contents = JSON.parse(readFileSync(recorded("contents.json"), "utf8"));
  return { folder, written: new Map(Object.entries(contents)) };
}

/** What an import of `count` documents reports. */
function assertImported({ code, stdout, stderr }, { now = 0, completed = 0, before = 0, refused = 0 }) {
  const lines = {
    "imported and verified": now,
    "imported before, completed and verified": completed,
    "imported before, unchanged and verified": before,
    "not imported": refused,
  };
  for (const [line, count] of Object.entries(lines)) assert.equal(counted(stdout, line), count, stdout + stderr);
  assert.equal(code, refused ? 1 : 0, stdout + stderr);
}

for (const database of databases) {
  describe(`imports on ${database.name}`, { timeout: TIMEOUT_MS * 10 }, () => {
    before(() => database.start());
    afterEach(closeStock);

    const program = database === sqlite ? "y-websocket" : "@y/websocket-server";
    it(`brings the documents of ${program} to stock clients, and changes nothing the second time`, async () => {
      const opened = [...names("page"), "a name/with a slash & é", "a,b"];
      const store = await yWebsocketStore(opened, program);
      const url = database.create();
      const origin = ["y-websocket", store.folder];
      const count = store.written.size;

      const first = await importInto(url, origin);
      assertImported(first, { now: count });
      assert.ok(first.stdout.includes('renamed: "a,b": its room is "a%2Cb"'), first.stdout);
      const after = written(database, url);
      assertImported(await importInto(url, origin), { before: count });
      assert.equal(written(database, url), after);

      const rooms = new Map([...store.written].map(([name, held]) => [name.replace(",", "%252C"), held]));
      await serving(url, (server) => assertRooms(server, rooms, byYWebsocket));
    });

    it("brings the documents of Hocuspocus, whose names may be any, and completes what was edited since", async () => {
      const url = database.create();
      const long = "é".repeat(200);
      const store = await hocuspocusStore([...names("page"), "tab\there", long]);
      const origin = ["hocuspocus", store.database];
      const count = store.written.size;
      assertImported(await importInto(url, origin), { now: count });

      const table = new Database(store.database);
      const { data } = table.prepare("select data from documents where name = ?").get("page-0");
      const doc = new Y.Doc();
      Y.applyUpdate(doc, data);
      doc.getText("text").insert(0, "Edited since. ");
      table
        .prepare("update documents set data = ? where name = ?")
        .run(Buffer.from(Y.encodeStateAsUpdate(doc)), "page-0");
      table.close();
      store.written.set("page-0", content(doc));
      const again = await importInto(url, origin);
      assertImported(again, { completed: 1, before: count - 1 });

      const renamed = /^renamed: "(é+)": its room is "(.*)"$/m.exec(again.stdout);
      assert.equal(renamed[1], long);
      const room = (name) => ({ "tab\there": "tab%09here", [long]: renamed[2] })[name] ?? name;
      const rooms = new Map([...store.written].map(([name, held]) => [room(name), held]));
      await serving(url, (server) => assertRooms(server, rooms, byHocuspocus));
    });

    it("brings the documents of y-sweet, and reports those whose files are damaged", async () => {
      const store = await ySweet();
      const url = database.create();
      const origin = ["y-sweet", store.folder];
      const [whole, cut] = [...store.written.keys()];
      const file = join(store.folder, cut, "data.ysweet");
      const bytes = readFileSync(file);
      truncateSync(file, bytes.length - 9);
      const count = store.written.size;
      const first = await importInto(url, origin);
      assertImported(first, { now: count - 1, refused: 1 });
      assert.match(first.stdout, new RegExp(`^not imported: "${cut}": it is damaged: its file ends too early`, "m"));
      writeFileSync(file, bytes);
      assertImported(await importInto(url, origin), { now: 1, before: count - 1 });
      assert.ok(store.written.has(whole));
      await serving(url, (server) => assertRooms(server, store.written, byYWebsocket));
    });

    it("goes on after each of several kills, and writes nothing twice", async () => {
      const folder = join(temporaryFolder(), "store");
      const contents = new Map();
      const store = new LeveldbPersistence(folder);
      for (const name of Array.from({ length: 24 }, (_, number) => `killed-${number}`)) {
        const doc = new Y.Doc();
        const updates = [];
        doc.on("update", (update) => updates.push(update));
        write(doc, contents.size);
        for (const update of updates) await store.storeUpdate(name, update);
        contents.set(name, content(doc));
      }
      await store.destroy();
      const url = database.create();
      const documents = () => Number(database.run(url, "select count(*) from document"));
      // The schema exists, so that documents can be counted.
      assertImported(await importInto(url, ["y-sweet", temporaryFolder()]), {});

      let [kills, ended] = [0, undefined];
      while (!ended) {
        const before = documents();
        const parameters = ["import", "y-websocket", folder, "--team", TEAM];
        const child = spawn(PROGRAM, parameters, {
          env: { DATABASE_URL: url },
          cwd: temporaryFolder(),
          stdio: "ignore",
        });
        const end = adopt(child).ended();
        const isOver = () => child.exitCode !== null;
        await until("it has imported some", () => isOver() || documents() > before + 3, TIMEOUT_MS, 1);
        child.kill("SIGKILL");
        const { code } = await end;
        if (code === null) kills += 1;
        else ended = code;
        if (code === 0) break;
      }
      assert.ok(kills > 0, "no import was killed");
      assertImported(await importInto(url, ["y-websocket", folder]), { before: contents.size });
      // One row for each document: none was written twice.
      assert.equal(database.run(url, "select count(*) from document_log"), String(contents.size));
      assert.equal(documents(), contents.size);
      await serving(url, (server) => assertRooms(server, contents, byYWebsocket));
    });

    it("leaves documents alone that were not imported, unless they are to be merged", async () => {
      const store = await ySweet();
      const url = database.create();
      const origin = ["y-sweet", store.folder];
      const [room, deleted] = [...store.written.keys()];
      const count = store.written.size;
      const person = { team: TEAM, role: "admin" };
      await serving(url, async (server) => {
        const ana = await Stock.open(server, room, { person });
        ana.doc.getMap("map").set("of", "ana");
        const ben = await Stock.open(server, room, { person });
        await until("it is there", () => ben.doc.getMap("map").get("of") === "ana");
        await server.createDocument(deleted, { team: TEAM, user: "import" });
        const headers = { authorization: `Bearer ${token(person)}` };
        const gone = await fetch(`${server.url}/api/v1/documents/${deleted}`, { method: "DELETE", headers });
        assert.equal(gone.status, 200);
      });
      const first = await importInto(url, origin);
      assertImported(first, { now: count - 2, refused: 2 });
      assert.match(first.stdout, new RegExp(`^not imported: "${room}": its room has a document already`, "m"));
      assert.match(first.stdout, new RegExp(`^not imported: "${deleted}": its room's document is in the trash`, "m"));
      const merged = await importInto(url, origin, "--merge");
      assertImported(merged, { before: count - 2, completed: 1, refused: 1 });
      await serving(url, async (server) => {
        const { map, ...rest } = store.written.get(room);
        await assertRooms(server, [[room, { ...rest, map: { ...map, of: "ana" } }]], byYWebsocket);
      });
    });
  });
}

describe("an import", () => {
  afterEach(closeStock);

  it(
    "shows a client of a running server on Postgres the document at once",
    { skip: !databases.includes(postgres) },
    async () => {
      await postgres.start();
      const store = await ySweet();
      const [room, expected] = [...store.written][0];
      const url = postgres.create();
      await serving(url, async (server) => {
        const reader = await Stock.open(server, room, { person: { team: TEAM } });
        const ended = await importInto(url, ["y-sweet", store.folder], "--merge");
        assert.equal(ended.code, 0, ended.stdout + ended.stderr);
        await until("the open room has it", () => JSON.stringify(content(reader.doc)) === JSON.stringify(expected));
      });
    },
  );

  // The rest does not depend on the database.
  it("is refused while a server uses the SQLite file, and while y-websocket uses its store", async () => {
    const store = await ySweet();
    const url = sqlite.create();
    await serving(url, async () => {
      const ended = await importInto(url, ["y-sweet", store.folder]);
      assert.equal(ended.code, 1);
      assert.match(ended.stderr, /another process serves this SQLite file/);
    });
    const folder = join(temporaryFolder(), "store");
    const used = new LeveldbPersistence(folder);
    await used.getAllDocNames();
    const ended = await importInto(url, ["y-websocket", folder], "--dry-run");
    assert.equal(ended.code, 1);
    assert.match(ended.stderr, /is in use: stop the server/);
    await used.destroy();
  });

  it("reports a damaged block of LevelDB, and imports the documents of the others", async () => {
    const folder = join(temporaryFolder(), "store");
    const contents = new Map();
    const store = new LeveldbPersistence(folder);
    for (let number = 0; number < 40; number += 1) {
      const doc = new Y.Doc();
      write(doc, number);
      doc.getText("text").insert(0, `${Math.random()}`.repeat(30));
      contents.set(`block-${number}`, content(doc));
      await store.storeUpdate(`block-${number}`, Y.encodeStateAsUpdate(doc));
    }
    await store.destroy();
    // LevelDB writes its log as a table when it opens the folder again.
    const again = new LeveldbPersistence(folder);
    await again.getAllDocNames();
    await again.destroy();
    const table = readdirSync(folder).find((name) => name.endsWith(".ldb"));
    const bytes = readFileSync(join(folder, table));
    bytes[Math.floor(bytes.length / 2)] ^= 1;
    writeFileSync(join(folder, table), bytes);

    const url = sqlite.create();
    const { code, stdout } = await importInto(url, ["y-websocket", folder]);
    assert.equal(code, 1);
    assert.match(stdout, new RegExp(`damaged source: ${table}: the block at byte \\d+ fails its checksum`));
    const lost = [...stdout.matchAll(/^not imported: "(.*)": it is damaged: .* fails its checksum$/gm)].map(
      ([, name]) => name,
    );
    assert.ok(lost.length > 0 && lost.length < 20, stdout);
    assert.equal(counted(stdout, "imported and verified"), contents.size - lost.length);
    for (const name of lost) contents.delete(name);
    await serving(url, (server) => assertRooms(server, contents, byYWebsocket));
  });

  it("reports a row of Hocuspocus that is no document, and a wrong column", async () => {
    const database = join(temporaryFolder(), "own.sqlite");
    const table = new Database(database);
    const doc = new Y.Doc();
    write(doc, 1);
    table.exec("create table pads (title text, state blob)");
    const insert = table.prepare("insert into pads values (?, ?)");
    insert.run("whole", Buffer.from(Y.encodeStateAsUpdate(doc)));
    insert.run("cut", Buffer.from(Y.encodeStateAsUpdate(doc)).subarray(0, 40));
    insert.run("empty", null);
    insert.run(null, Buffer.from([0, 0]));
    table.close();
    const url = sqlite.create();
    const origin = ["hocuspocus", `sqlite://${database}`, "--table", "pads", "--name-column", "title"];
    const wrong = await importInto(url, [...origin, "--data-column", "nothing"]);
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /no such column/);
    const ended = await importInto(url, [...origin, "--data-column", "state"]);
    assertImported(ended, { now: 2, refused: 2 });
    assert.match(
      ended.stdout,
      /^not imported: "cut": it is damaged: its update 1 is not one that this server accepts/m,
    );
    assert.match(ended.stdout, /^not imported: "null": it is damaged: its row has no name/m);
  });

  it(
    "reads the table of Hocuspocus's extension Database in Postgres",
    { skip: !databases.includes(postgres) },
    async () => {
      await postgres.start();
      const source = postgres.create();
      const doc = new Y.Doc();
      write(doc, 1);
      const hex = Buffer.from(Y.encodeStateAsUpdate(doc)).toString("hex");
      postgres.run(source, `create schema pads; create table pads.docs (id uuid primary key, state bytea)`);
      const id = "01952f3e-7a6c-7c31-9d0f-1f2e3d4c5b6a";
      postgres.run(source, `insert into pads.docs values ('${id}', '\\x${hex}')`);
      const url = sqlite.create();
      const columns = ["--table", "pads.docs", "--name-column", "id", "--data-column", "state"];
      assertImported(await importInto(url, ["hocuspocus", source, ...columns]), { now: 1 });
      await serving(url, (server) => assertRooms(server, [[id, content(doc)]], byHocuspocus));
    },
  );

  it("that is dry finds what an import finds, and writes nothing", async () => {
    const store = await ySweet();
    const url = sqlite.create();
    const { code, stdout } = await importInto(url, ["y-sweet", store.folder], "--dry-run");
    assert.equal(code, 0);
    assert.equal(counted(stdout, "can be imported; nothing was written"), store.written.size);
    assertImported(await importInto(url, ["y-sweet", store.folder]), { now: store.written.size });
  });
});
