// Large content is accepted: in parts from any client, and as a whole by HTTP.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import * as Y from "yjs";
import { databases } from "@realtime-server/harness/databases";
import { suiteServer } from "@realtime-server/harness/suite";
import { token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";
import { Client, checkError, closeClients } from "./support/client.mjs";
import { newcomer, sameForAll } from "./support/view.mjs";

const MIB = 2 ** 20;
const QUEUED = 20_000;

/** A document whose text is one block of `length` characters: no update that has it can be cut smaller by Yjs. */
function oneBlock(length) {
  const doc = new Y.Doc();
  doc.getText("text").insert(0, "0123456789abcdef".repeat(length / 16));
  return doc;
}

for (const database of databases) {
  describe(`large content on ${database.name}`, () => {
    const server = suiteServer({ database });
    afterEach(closeClients);

    const enter = async (user, name) => (await Client.connect(server, { person: { user } })).join(name);
    const post = (name, body, person) =>
      fetch(`${server.url}/api/v1/documents/${encodeURIComponent(name)}/updates`, {
        method: "POST",
        headers: { authorization: `Bearer ${token(person)}`, "content-type": "application/octet-stream" },
        body,
      });

    it("a text of 3 MiB is accepted in parts from a plain client", async () => {
      const [ana, ben] = [await enter("ana", "parts"), await enter("ben", "parts")];
      const part = "part of a large text. ".repeat(MIB / 22);
      for (let number = 0; number < 3; number += 1) await ana.edit(({ text }) => text.insert(text.length, part));
      await until("Ben has it", () => ben.content.length === 3 * part.length);
      await sameForAll(server, "parts", [ana, ben]);
    });

    it("a text of 3 MiB in one update is too_large on a socket, and accepted by HTTP", async () => {
      const doc = oneBlock(3 * MIB);
      const ben = await enter("ben", "whole");
      const ana = await Client.connect(server);
      await ana.ok("join_room", "whole");
      const bytes = Y.encodeStateAsUpdate(doc);
      assert.equal((await ana.refusal("document_update", { room: "whole", update: bytes })).code, "too_large");
      const response = await post("whole", bytes);
      assert.equal(response.status, 200, await response.text());
      await until("Ben has it", () => ben.content.length === 3 * MIB);
      await ben.edit(({ text }) => text.insert(MIB, "[Ben's]"));
      assert.equal((await sameForAll(server, "whole", [ben])).content.length, 3 * MIB + "[Ben's]".length);
    });

    it("an HTTP update without the right, malformed or too large is refused, and changes nothing", async () => {
      await enter("ana", "refused");
      const doc = oneBlock(MIB);
      const bytes = Y.encodeStateAsUpdate(doc);
      const refused = async (status, code, body, person) => {
        const response = await post("refused", body, person);
        const { error } = await response.json();
        assert.deepEqual([response.status, checkError(error).code], [status, code]);
      };
      await refused(403, "forbidden", bytes, { role: "viewer" });
      await refused(400, "invalid", bytes.subarray(0, MIB / 2));
      await refused(413, "too_large", Y.encodeStateAsUpdate(oneBlock(80 * MIB)));
      assert.equal((await newcomer(server, "refused")).content, "");
    });

    it(`${QUEUED} updates that were typed offline are answered, and all of them are stored in the end`, async () => {
      const client = await Client.connect(server, { person: { user: "offline" } });
      const doc = new Y.Doc();
      const updates = [];
      doc.on("update", (bytes) => updates.push(bytes));
      for (let number = 0; number < QUEUED; number += 1) doc.getText("text").insert(number, "x");
      await client.ok("join_room", "queued");
      let [accepted, answered] = [0, 0];
      for (const update of updates) {
        client.socket.timeout(60_000).emit("document_update", { room: "queued", update }, (error, ack) => {
          answered += 1;
          if (error) return;
          if (ack.ok) accepted += 1;
          // Later ones that a slow machine sends within the budget are pending, as long as there is room.
          else assert.ok(["rate_limited", "overloaded"].includes(ack.error.code), ack.error.code);
        });
      }
      await until("each is answered, or the connection is cut", () => answered === QUEUED, 60_000);
      console.log(`${accepted} of ${QUEUED} accepted at once, cut ${client.disconnects.length} times`);
      assert.ok(accepted > 0, "no update was acknowledged");
      client.close();
      const again = await (await Client.connect(server, { person: { user: "offline" } })).join("queued", doc);
      await again.saved();
      assert.equal((await newcomer(server, "queued")).content.length, QUEUED);
    });
  });
}
