// The clients in a flooded room are told of the database's state like all others.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { databases } from "@realtime-server/harness/databases";
import { suiteDatabase } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";
import { BASE, alternateDeletions, longText } from "./support/costly.mjs";

const FLOODERS = 3;
/** How many updates of a flooder wait for their answers: so many that the room always has work. */
const WINDOW = 48;
/** By how much a busy room may be later than a quiet one. */
const TOLD_WITHIN_MS = 3_000;
const LENGTH = 30_000;
/** How many characters are deleted by one update: few enough not to be refused as too costly. */
const PART = 1_000;

for (const database of databases.filter(({ canBeStopped }) => canBeStopped)) {
  describe(`a flooded room on ${database.name}`, () => {
    let server;
    let flooding = false;
    const start = suiteDatabase(database, () => {
      flooding = false;
      closeClients();
    });

    const connect = (user) => Client.connect(server, { person: { user } });

    /** Sends known deletions without a pause, each of which costs the room some milliseconds. */
    const flood = (client, bytes) => {
      const send = () => {
        if (flooding && client.socket.connected) {
          client.socket.timeout(60_000).emit("document_update", { room: "flooded", update: bytes }, send);
        }
      };
      for (let sent = 0; sent < WINDOW; sent += 1) send();
    };

    it("tells its clients that the database is away, and that it is back, as soon as a quiet room does", async () => {
      const env = { UPDATES_PER_SECOND: 100_000, UPDATES_BURST: 1_000_000, REQUESTS_PER_SECOND: 100_000 };
      server = await start(env);
      const ben = await (await connect("ben")).join("flooded");
      const calm = await (await connect("cleo")).join("quiet");
      const flooders = await Promise.all(Array.from({ length: FLOODERS }, (_, at) => connect(`flooder-${at}`)));
      for (const client of flooders) await client.ok("join_room", "flooded");
      const room = "flooded";
      await flooders[0].ok("document_update", { room, update: longText(LENGTH) });
      const deletions = alternateDeletions(BASE, 0, LENGTH);
      for (let from = 0; from < LENGTH; from += PART) {
        const update = alternateDeletions(BASE, from, from + PART);
        await flooders[0].ok("document_update", { room, update });
      }
      await until("Ben has it", () => ben.content.length === LENGTH / 2);
      flooding = true;
      for (const client of flooders) flood(client, deletions);

      const hears = async (status) => {
        const began = performance.now();
        await until("the quiet room is told", () => calm.storage.at(-1) === status, 90_000);
        const quiet_ms = performance.now() - began;
        await until("the flooded room is told", () => ben.storage.at(-1) === status, 90_000);
        const later_ms = performance.now() - began - quiet_ms;
        console.log(`${status}: the flooded room hears it ${later_ms.toFixed(0)} ms after a quiet one`);
        assert.ok(later_ms < TOLD_WITHIN_MS, `${later_ms.toFixed(0)} ms later`);
      };
      const write = () => calm.edit(({ map }) => map.set("at", Date.now())).catch(() => {});
      await database.cluster.stop("immediate");
      write();
      await hears("unavailable");
      await database.cluster.start();
      await hears("ok");
      assert.equal((await server.get("/health/live")).status, 200);
    });
  });
}
