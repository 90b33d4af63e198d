// Several servers on one database: each of them finds in the log what the others wrote.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { databases } from "@realtime-server/harness/databases";
import { suiteDatabase } from "@realtime-server/harness/suite";
import { Client, closeClients } from "./support/client.mjs";
import * as Y from "yjs";
import { token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";
import { converged } from "./support/room.mjs";
import { newcomer } from "./support/view.mjs";

/** How late an open room may show what was acknowledged through another server. */
const STALE_MAX_MS = 1_000;
/** How many joins and edits are tried: more of them by hand, INSTANCE_EDITS=100. */
const EDITS = Number(process.env.INSTANCE_EDITS ?? 10);

// A SQLite file belongs to one server.
for (const database of databases.filter(({ name }) => name === "Postgres")) {
  describe(`two servers on one ${database.name}`, () => {
    const start = suiteDatabase(database, closeClients);
    const enter = async (server, user) => (await Client.connect(server, { person: { user } })).join("shared");

    it("show the rows of the other server to their clients as soon as a gap before an own row tells of them", async () => {
      const here = await start({ REALTIME_INSTANCE: "here" });
      const there = await start({ REALTIME_INSTANCE: "there", DATABASE_URL: here.env.DATABASE_URL });
      const [ana, ben] = [await enter(here, "ana"), await enter(here, "ben")];
      const cleo = await enter(there, "cleo");
      assert.equal(cleo.joined.document_id, ana.joined.document_id);
      for (let edit = 1; edit <= 3; edit += 1) {
        const { seq } = await cleo.edit(({ map }) => map.set(`cleo ${edit}`, edit));
        const ack = await ana.edit(({ map }) => map.set(`ana ${edit}`, edit));
        assert.ok(ack.seq > seq, `${ack.seq} behind ${seq}`);
        await cleo.edit(({ map }) => map.set("cleo", edit));
        await ana.edit(({ map }) => map.set("ana", edit));
      }
      await converged([ana, ben]);
      await converged([ana, await newcomer(here, "shared")]);
      assert.deepEqual(
        [...ana.map.keys()].sort(),
        ["ana", "ana 1", "ana 2", "ana 3", "cleo", "cleo 1", "cleo 2", "cleo 3"],
        "a client lacks an edit",
      );
    });

    it("answer a join with what was acknowledged before through the other server, each time", async () => {
      const here = await start({ REALTIME_INSTANCE: "here" });
      const there = await start({ REALTIME_INSTANCE: "there", DATABASE_URL: here.env.DATABASE_URL });
      await enter(here, "ana");
      const cleo = await enter(there, "cleo");
      for (let edit = 1; edit <= EDITS; edit += 1) {
        await cleo.edit(({ map }) => map.set("edit", edit));
        const visitor = await Client.connect(here, { person: { user: "ben" } });
        const { map } = await visitor.join("shared");
        assert.equal(map.get("edit"), edit);
        visitor.close();
      }
    });

    it("show in an open room within a second what was acknowledged through the other server, each time", async () => {
      const here = await start({ REALTIME_INSTANCE: "here" });
      const there = await start({ REALTIME_INSTANCE: "there", DATABASE_URL: here.env.DATABASE_URL });
      const ana = await enter(here, "ana");
      const cleo = await enter(there, "cleo");
      for (let edit = 1; edit <= EDITS; edit += 1) {
        await cleo.edit(({ map }) => map.set("edit", edit));
        await until("Ana sees it", () => ana.map.get("edit") === edit, STALE_MAX_MS);
      }
    });

    it("show what the other server has trimmed from the log behind a snapshot", async () => {
      const here = await start({ REALTIME_INSTANCE: "here" });
      const env = { REALTIME_INSTANCE: "there", DATABASE_URL: here.env.DATABASE_URL, SNAPSHOT_ROWS: 5 };
      const there = await start(env);
      const [ana, cleo] = [await enter(here, "ana"), await enter(there, "cleo")];
      // It reads nothing meanwhile.
      process.kill(here.pid, "SIGSTOP");
      // The log keeps the rows behind the last snapshot but one.
      for (let edit = 1; !((await there.metric("realtime_snapshot_seconds_count")) >= 3); edit += 1) {
        await cleo.edit(({ map }) => map.set(`edit ${edit}`, edit));
      }
      assert.ok(cleo.map.size > 10, "rows were trimmed");
      process.kill(here.pid, "SIGCONT");
      await converged([ana, cleo]);
    });

    it("let nobody write under the client id of somebody who types through the other server", async () => {
      const here = await start({ REALTIME_INSTANCE: "here" });
      const there = await start({ REALTIME_INSTANCE: "there", DATABASE_URL: here.env.DATABASE_URL });
      const [ana, cleo] = [await enter(here, "ana"), await enter(there, "cleo")];
      await cleo.edit(({ text }) => text.insert(0, "cleo"));
      await until("Ana sees it", () => ana.content === "cleo");
      const forger = await Client.connect(here, { person: { user: "mallory" } });
      await forger.ok("join_room", "shared");
      const forged = new Y.Doc();
      Y.applyUpdate(forged, Y.encodeStateAsUpdate(cleo.doc));
      forged.clientID = cleo.doc.clientID;
      forged.getText("text").insert(4, " was here");
      const ack = await forger.request("document_update", { room: "shared", update: Y.encodeStateAsUpdate(forged) });
      assert.notDeepEqual({ ok: ack.ok, pending: ack.pending }, { ok: true, pending: undefined });
      assert.equal((await newcomer(there, "shared")).content, "cleo");
    });

    it("a document that one server deletes takes no edits through the other", async () => {
      const here = await start({ REALTIME_INSTANCE: "here" });
      const there = await start({ REALTIME_INSTANCE: "there", DATABASE_URL: here.env.DATABASE_URL });
      const [ana, ben] = [await enter(here, "ana"), await enter(there, "ben")];
      await ben.edit(({ text }) => text.insert(0, "kept"));
      const { document_id } = ana.joined;
      const of = (path, method) =>
        fetch(`${here.url}/api/v1/documents/shared${path}`, {
          method,
          headers: { authorization: `Bearer ${token({ user: "ana" })}` },
        });
      assert.equal((await of("", "DELETE")).status, 200);
      await until("the room is closed here", () => ana.closed.length === 1);
      ben.text.insert(4, " or lost");
      await until("the edit is refused there", () => ben.refusals.length === 1);
      assert.equal(ben.refusals[0].code, "not_found");
      await until("the room is closed there", () => ben.closed.length === 1);
      assert.equal((await of("/restore", "POST")).status, 200);
      const late = await enter(there, "cleo");
      assert.deepEqual([late.joined.document_id, late.content], [document_id, "kept"]);
    });
  });
}
