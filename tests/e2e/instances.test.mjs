// Several servers on one database: each of them finds in the log what the others wrote.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { databases } from "@realtime-server/harness/databases";
import { suiteDatabase } from "@realtime-server/harness/suite";
import { Client, closeClients } from "./support/client.mjs";
import { token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";
import { converged } from "./support/room.mjs";
import { newcomer } from "./support/view.mjs";

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
