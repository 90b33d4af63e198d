// What is kept for a time only, at a server that was stopped meanwhile: events, and the answers to repeated requests.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { databases } from "@realtime-server/harness/databases";
import { suiteDatabase } from "@realtime-server/harness/suite";
import { token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";
import { Caller } from "./support/http.mjs";

const HOUR_MS = 60 * 60 * 1_000;
const DAY_MS = 24 * HOUR_MS;

for (const database of databases) {
  // The rows are made older by the database's own program.
  describe(`retention on ${database.name}`, { skip: !database.canRun && "there is no sqlite3" }, () => {
    const begin = suiteDatabase(database, closeClients);
    const ask = (server, sql) => database.run(server.env.DATABASE_URL, sql);

    /** Stops the server, makes the rows of `table` for which `which` holds older, and starts it again. */
    async function age(server, table, which, by_ms) {
      closeClients();
      await server.stop();
      const older = database.name === "SQLite" ? `at - ${by_ms}` : `at - interval '${by_ms} milliseconds'`;
      ask(server, `update ${table} set at = ${older} where ${which}`);
      await server.launch();
    }

    const count = (server, table) => Number(ask(server, `select count(*) from ${table}`));

    it("a client that has missed events older than seven days lists afresh, and one that has seen them does not", async () => {
      const server = await begin();
      const service = new Caller(server, { user: "main", role: "service" });
      for (const title of ["one", "two", "three", "four", "five"]) {
        await service.ok("POST", "notifications", { users: ["ana"], kind: "test", title });
      }
      await age(server, "event", "event_id <= 3", 7 * DAY_MS + HOUR_MS);
      await until("the old events are deleted", () => count(server, "event") === 2);
      const connect = async (since) => {
        const client = new Client(server, { auth: (answer) => answer({ token: token({ user: "ana" }), since }) });
        const titles = [];
        client.socket.on("notification", ({ title }) => titles.push(title));
        await until("it is welcome", () => client.welcome);
        return { recovered: client.welcome.recovered, titles };
      };
      assert.deepEqual(await connect(2), { recovered: false, titles: [] });
      assert.deepEqual(await connect(3), { recovered: true, titles: ["four", "five"] });
      assert.deepEqual(await connect(5), { recovered: true, titles: [] });
    });

    it("a repeated request is answered with the first result for 24 hours, and then carried out again", async () => {
      const server = await begin();
      await server.createDocument("repeated", { team: "acme" });
      const create = async () => {
        const ana = await Client.connect(server);
        const request = { room: "repeated", body: "once", client_id: "key" };
        return (await ana.ok("thread_create", request)).thread;
      };
      const first = await create();
      await age(server, "answered_request", "key = 'key'", 23 * HOUR_MS);
      assert.deepEqual(await create(), first);
      await age(server, "answered_request", "key = 'key'", 2 * HOUR_MS);
      await until("the old answer is deleted", () => count(server, "answered_request") === 0);
      assert.notEqual((await create()).id, first.id);
    });
  });
}
