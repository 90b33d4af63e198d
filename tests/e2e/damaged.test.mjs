// Stored rows that cannot be loaded are set aside and never dropped in silence: those who open the document are told.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as Y from "yjs";
import { databases } from "@realtime-server/harness/databases";
import { suiteDatabase } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";
import { subdocument, update } from "./support/blocks.mjs";
import { Client, closeClients } from "./support/client.mjs";

/** The log is trimmed behind the older one of two. */
const SNAPSHOTS = 3;
const UPDATES_PER_SNAPSHOT = 500;

/** Rows of a log that this server does not load, and that an older server or another version of yrs may have written. */
const UNLOADABLE = {
  "at which Yjs would throw": update([
    { client: 4_242, clock: 0, blocks: [subdocument({ root: "map", key: "key" }, null)] },
  ]),
  "that is not an update": new TextEncoder().encode("\u{ff}not an update"),
};

/** CRC-32 as in zlib. */
function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

const DIALECTS = {
  SQLite: { bytes: (hex) => `x'${hex}'`, hex: (column) => `lower(hex(${column}))` },
  Postgres: { bytes: (hex) => `'\\x${hex}'::bytea`, hex: (column) => `encode(${column}, 'hex')` },
};

for (const database of databases) {
  const possible = { skip: !database.canRun && "there is no program to change this database with" };
  describe(`stored rows that cannot be loaded, on ${database.name}`, possible, () => {
    const { bytes, hex } = DIALECTS[database.name];
    let server;
    const start = suiteDatabase(database, closeClients);

    const enter = async (user) => (await Client.connect(server, { person: { user } })).join("damaged");
    const query = (sql) => database.run(server.env.DATABASE_URL, sql);
    const metrics = async () => (await server.get("/metrics")).text();
    const metric = async (pattern) => pattern.test(await metrics());
    const snapshots = async () => Number((await metrics()).match(/^realtime_snapshot_seconds_count (\d+)$/m)?.[1]);

    /** A document with a text of two words, whose server has stopped. */
    const arrange = async () => {
      const unlimited = { UPDATES_PER_SECOND: 100_000, UPDATES_BURST: 1_000_000 };
      server = await start({ ...unlimited, ROOM_IDLE_MS: 100, SNAPSHOT_ROWS: 1, HISTORY_DAYS: 0 });
      const ana = await enter("ana");
      await ana.edit(({ text }) => text.insert(0, "two "));
      await ana.edit(({ text }) => text.insert(4, "words "));
      closeClients();
      await server.stop();
      return ana.joined.document_id;
    };

    for (const [kind, payload] of Object.entries(UNLOADABLE)) {
      it(`a row ${kind} is set aside, counted, and never trimmed away`, async () => {
        const document = await arrange();
        const checksum = crc32(Buffer.concat([Buffer.from(document), payload]));
        const encoded = Buffer.from(payload).toString("hex");
        query(`update document set head_seq = head_seq + 1 where document_id = '${document}'`);
        query(
          `insert into update_log (document_id, seq, payload, checksum)
             select document_id, head_seq, ${bytes(encoded)}, ${checksum} from document where document_id = '${document}'`,
        );
        await server.launch();
        const ana = await enter("ana");
        assert.equal(ana.content, "two words ");
        assert.equal(ana.joined.storage, "damaged", "the client is not told of the damage");
        assert.ok(
          await metric(/^realtime_rows_damaged_total\{kind="update"[^}]*\} 1$/m),
          "the damaged row is not counted",
        );
        const typed = "x".repeat(UPDATES_PER_SNAPSHOT);
        for (let snapshot = 1; snapshot <= SNAPSHOTS; snapshot += 1) {
          ana.type(typed);
          await ana.saved();
          await until(`snapshot ${snapshot} is written`, async () => (await snapshots()) >= snapshot);
        }
        closeClients();
        await until("the document is not in memory", () => metric(/^realtime_rooms 0$/m));
        await server.stop();
        const kept = query(`select ${hex("payload")} from damaged_row where document_id = '${document}'`);
        assert.equal(kept, encoded, "the row is gone");
        const first = query(`select min(seq) from update_log where document_id = '${document}'`);
        assert.ok(Number(first) !== 1, "the log is not trimmed");
        await server.launch();
        assert.equal((await enter("ben")).content, `two words ${typed.repeat(SNAPSHOTS)}`);
      });
    }

    it("a document of which every row is damaged opens, and its clients are told", async () => {
      const document = await arrange();
      query(`update update_log set checksum = checksum + 1 where document_id = '${document}'`);
      query(`update snapshot set checksum = checksum + 1 where document_id = '${document}'`);
      await server.launch();
      const ana = await enter("ana");
      assert.equal(ana.content, "");
      assert.equal(ana.joined.storage, "damaged", "the client is not told that the document is damaged");
      // A client that still has the content brings it back.
      const doc = new Y.Doc();
      doc.getText("text").insert(0, "brought back");
      const client = await Client.connect(server, { person: { user: "ben" } });
      await (await client.join("damaged", doc)).saved();
      await until("Ana has it", () => ana.content === "brought back");
    });
  });
}
