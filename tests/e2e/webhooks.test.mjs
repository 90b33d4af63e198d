// Messages to the main service: signed, at least once, in order for each document. Checked with the library of Standard
// Webhooks itself.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { Webhook } from "standardwebhooks";
import { databases, sqlite } from "@realtime-server/harness/databases";
import { run } from "@realtime-server/harness/server";
import { suiteDatabase } from "@realtime-server/harness/suite";
import { SECRET, token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";
import { Receiver } from "./support/receiver.mjs";

const KEY = `whsec_${Buffer.from("a key of the webhooks, 32 bytes.").toString("base64")}`;
const OLD_KEY = `whsec_${Buffer.from("the key before, also 32 bytes...").toString("base64")}`;

for (const database of databases) {
  describe(`webhooks on ${database.name}`, () => {
    const begin = suiteDatabase(database, closeClients);
    let receiver;
    before(async () => {
      receiver = new Receiver();
      await receiver.start();
    });
    after(() => receiver.stop());
    afterEach(() => {
      receiver.received = [];
      receiver.status = () => 200;
    });
    const settings = () => ({ WEBHOOK_URL: receiver.url, WEBHOOK_SECRET: `${KEY} ${OLD_KEY}`, WEBHOOK_RETRY_MS: "20" });

    async function edit(server, name, team) {
      const client = await Client.connect(server, { person: { user: "ana", team } });
      const room = await client.join(name);
      room.doc.getText("text").insert(0, `words in ${name}`);
      await room.saved();
    }

    async function ask(server, method, path, { role = "service", team } = {}) {
      const response = await fetch(`${server.url}/api/v1/webhooks/${path}`, {
        method,
        headers: { authorization: `Bearer ${token({ user: "main", role, team })}` },
      });
      return { status: response.status, ...(await response.json()) };
    }

    it("a receiver that fails for a while gets every message in the end, signed with each key", async () => {
      const server = await begin(settings());
      receiver.status = (_, received) => (received.length < 7 ? 503 : 200);
      for (const name of ["one", "two", "three"]) await edit(server, name, "fails");
      await until("all are delivered", () => receiver.accepted("document.updated").length === 3, 30_000);
      for (const { body, headers } of receiver.received) {
        for (const key of [KEY, OLD_KEY]) assert.ok(new Webhook(key).verify(body, headers));
        assert.throws(() => new Webhook(KEY).verify(`${body} `, headers));
      }
      const rooms = receiver.accepted().map(({ data }) => `${data.team}/${data.room}`);
      assert.deepEqual(rooms.sort(), ["fails/one", "fails/three", "fails/two"]);
      assert.equal(receiver.accepted()[0].data.updated_at.length, "2026-01-01T00:00:00.000Z".length);
      assert.ok((await server.metric('realtime_webhooks_total{outcome="failed"}')) >= 7);
      const { messages } = await ask(server, "GET", "messages", { team: "fails" });
      assert.deepEqual(messages, []);
    });

    it("what was not delivered before a kill is delivered by the next process", async () => {
      const server = await begin(settings());
      receiver.status = () => 500;
      await edit(server, "killed", "kill");
      await until("an attempt was made", () => receiver.received.length > 0, 30_000);
      await server.kill9();
      receiver.status = () => 200;
      await server.launch(settings());
      // A claim of the process that was killed expires first.
      await until("it is delivered", () => receiver.accepted().length === 1, 60_000);
      assert.equal(new Set(receiver.received.map(({ id }) => id)).size, 1);
    });

    it("a failed message is kept, shown to the team's service alone, and sent again when it is asked for", async () => {
      const server = await begin(settings());
      receiver.status = () => 410;
      await edit(server, "gone", "dead");
      let failed;
      await until(
        "it has failed",
        async () => {
          const page = await ask(server, "GET", "messages?failed=true", { team: "dead" });
          failed = page.messages[0];
          return failed;
        },
        30_000,
      );
      assert.equal(failed.attempts, 1);
      assert.match(failed.last_error, /410/);
      assert.equal(failed.payload.data.room, "gone");
      assert.equal((await ask(server, "GET", "messages", { role: "editor", team: "dead" })).status, 403);
      assert.deepEqual((await ask(server, "GET", "messages", { team: "other" })).messages, []);
      assert.equal((await ask(server, "POST", `messages/${failed.id}/retry`, { team: "other" })).status, 404);
      assert.equal((await ask(server, "POST", "messages/nothing/retry", { team: "dead" })).status, 404);
      receiver.status = () => 200;
      assert.equal((await ask(server, "POST", `messages/${failed.id}/retry`, { team: "dead" })).status, 200);
      await until("it is delivered", () => receiver.accepted().length === 1);
      assert.equal(receiver.accepted()[0].id, failed.id);
      assert.equal((await ask(server, "POST", `messages/${failed.id}/retry`, { team: "dead" })).status, 404);
    });
  });
}

describe("the address of webhooks", () => {
  const begin = suiteDatabase(sqlite, closeClients);
  const BASE = { JWT_SECRET: SECRET, DATABASE_URL: "sqlite://realtime.db", WEBHOOK_SECRET: KEY };

  for (const [what, env, variable] of [
    ["without a secret", { WEBHOOK_SECRET: "", WEBHOOK_URL: "https://example.org/hooks" }, "WEBHOOK_SECRET"],
    ["with a secret alone", {}, "WEBHOOK_URL"],
    [
      "with a short secret",
      { WEBHOOK_URL: "https://example.org/hooks", WEBHOOK_SECRET: "whsec_c2hvcnQ=" },
      "WEBHOOK_SECRET",
    ],
    ["inside a private network", { WEBHOOK_URL: "http://[::1]/", WEBHOOK_PRIVATE_ADDRESSES: "refuse" }, "WEBHOOK_URL"],
    [
      "inside a private network",
      { WEBHOOK_URL: "http://169.254.169.254/", WEBHOOK_PRIVATE_ADDRESSES: "refuse" },
      "WEBHOOK_URL",
    ],
  ]) {
    it(`${what} (${variable}) ends the start`, async () => {
      const { code, stderr } = await run([], { ...BASE, ...env });
      assert.equal(code, 78, stderr);
      assert.match(stderr, new RegExp(variable));
      assert.ok(!stderr.includes(KEY), "the secret is shown");
    });
  }

  it("a name that leads into a private network is never connected to", async () => {
    const receiver = new Receiver();
    await receiver.start();
    const { port } = receiver.server.address();
    const server = await begin({
      WEBHOOK_URL: `http://localhost:${port}/`,
      WEBHOOK_SECRET: KEY,
      WEBHOOK_RETRY_MS: "20",
      WEBHOOK_PRIVATE_ADDRESSES: "refuse",
    });
    const client = await Client.connect(server, { person: {} });
    const room = await client.join("private");
    room.doc.getText("text").insert(0, "words");
    await room.saved();
    const failures = 'realtime_webhooks_total{outcome="failed"}';
    await until("two attempts have failed", async () => (await server.metric(failures)) >= 2, 30_000);
    assert.deepEqual(receiver.received, []);
    await receiver.stop();
  });
});
