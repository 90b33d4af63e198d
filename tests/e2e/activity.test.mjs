// The activity of a team: what is recorded, who is told, and lists. Section "Activity" of the protocol.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { databases } from "@realtime-server/harness/databases";
import { suiteServer } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";
import { Caller } from "./support/http.mjs";

const RFC3339_MS = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** A client that keeps the entries of the activity that it is told. */
async function listener(server, person) {
  const client = await Client.connect(server, { person });
  client.told = [];
  client.socket.on("activity", (entry) => client.told.push(entry));
  return client;
}

for (const database of databases) {
  describe(`the activity on ${database.name}`, () => {
    const server = suiteServer({ database });
    afterEach(closeClients);

    const caller = (person) => new Caller(server, person);
    const service = (team) => caller({ user: "cms", role: "service", team });
    /** `verb actor` of each entry, the newest first. */
    const shown = ({ activities }) => activities.map(({ verb, actor }) => `${verb} ${actor.id}`);

    it("what is done to a document is recorded, and the team is told once of each", async () => {
      const team = "recorded";
      const colleague = await listener(server, { user: "cy", role: "viewer", team });
      const member = await listener(server, { user: "mia", role: "viewer", team });
      const blind = await listener(server, { user: "eve", team, documents: { plan: "none" } });
      const rival = await listener(server, { user: "zoe", team: "rival" });
      const ana = caller({ name: "Ana Li", team });
      await ana.ok("PUT", "documents/plan", { title: "Plan" });
      await member.ok("join_room", "plan");
      await ana.ok("PATCH", "documents/plan", { title: "Plan B" });
      await ana.ok("POST", "documents/plan/workflow", { to: "in_review" });
      await ana.ok("DELETE", "documents/plan");
      await ana.ok("POST", "documents/plan/restore");
      const expected = [
        ["created", { title: "Plan" }],
        ["renamed", { title: "Plan B" }],
        ["moved", { from: "draft", to: "in_review" }],
        ["deleted", { title: "Plan B" }],
        ["restored", undefined],
      ];
      for (const client of [colleague, member]) {
        await until("all of it is told", () => client.told.length >= expected.length);
        assert.deepEqual(
          client.told.map(({ verb, subject }) => [verb, subject]),
          expected,
        );
        for (const { id, event_id, actor, room, at } of client.told) {
          assert.deepEqual([typeof id, Number.isInteger(event_id)], ["string", true]);
          assert.deepEqual([actor, room], [{ id: "ana", name: "Ana Li" }, "plan"]);
          assert.match(at, RFC3339_MS);
        }
      }
      const { activities } = await colleague.ok("activity_list", {});
      const told = colleague.told.map(({ event_id, ...entry }) => (assert.ok(event_id), entry));
      assert.deepEqual(activities, told.reverse());
      assert.deepEqual(await ana.ok("GET", "activity"), { activities });
      assert.deepEqual((await blind.ok("activity_list", {})).activities, []);
      await service(team).ok("POST", "activity", { verb: "seen_by_all" });
      await service("rival").ok("POST", "activity", { verb: "of_the_rival" });
      await until("Eve is told of something else", () => blind.told.length);
      await until("the rival is told of its own", () => rival.told.length);
      assert.deepEqual(
        [blind.told, rival.told].map((entries) => entries.map(({ verb }) => verb)),
        [["seen_by_all"], ["of_the_rival"]],
      );
    });

    it("edits are one entry for each person and sitting", async () => {
      const team = "edits";
      const watcher = await listener(server, { user: "cy", role: "viewer", team });
      const ana = await Client.connect(server, { person: { user: "ana", team } });
      const ben = await Client.connect(server, { person: { user: "ben", team } });
      const [anas, bens] = [await ana.join("text"), await ben.join("text")];
      for (let n = 0; n < 5; n += 1) await anas.edit(({ text }) => text.insert(0, "word "));
      const edited = () => watcher.told.filter(({ verb }) => verb === "edited").map(({ actor }) => actor.id);
      await until("Ana's sitting is told", () => edited().includes("ana"));
      await bens.edit(({ text }) => text.insert(0, "word "));
      await anas.edit(({ text }) => text.insert(0, "word "));
      await until("Ben's sitting is told", () => edited().includes("ben"));
      // Another tab of Ana's, in the same sitting, and its end: whatever is to be recorded is recorded then.
      const tab = await Client.connect(server, { person: { user: "ana", team } });
      await (await tab.join("text")).edit(({ text }) => text.insert(0, "word "));
      for (const client of [ana, ben, tab]) client.close();
      const dora = await Client.connect(server, { person: { user: "dora", team } });
      await (await dora.join("text")).edit(({ text }) => text.insert(0, "word "));
      await until("Dora's sitting is told", () => edited().includes("dora"));
      assert.deepEqual(edited().toSorted(), ["ana", "ben", "dora"]);
      const list = await watcher.ok("activity_list", { room: "text" });
      assert.deepEqual(shown(list).toSorted(), ["created ana", "edited ana", "edited ben", "edited dora"]);
    });

    it("lists are filtered by document and person, and paged", async () => {
      const team = "listed";
      for (const [user, room] of [
        ["ana", "one"],
        ["ben", "two"],
        ["ana", "three"],
        ["ben", "hidden-1"],
        ["ana", "hidden-2"],
      ]) {
        await caller({ user, team }).ok("PUT", `documents/${room}`);
      }
      await caller({ user: "ben", team }).ok("PATCH", "documents/one", { title: "One" });
      const viewer = await Client.connect(server, { person: { user: "vic", role: "viewer", team } });
      const list = (fields) => viewer.ok("activity_list", fields);
      assert.equal((await list({})).activities.length, 6);
      assert.deepEqual(shown(await list({ room: "one" })), ["renamed ben", "created ana"]);
      assert.deepEqual(shown(await list({ actor: "ana" })), ["created ana", "created ana", "created ana"]);
      assert.deepEqual(shown(await list({ room: "one", actor: "ana" })), ["created ana"]);
      assert.deepEqual(shown(await list({ room: "unknown" })), []);
      assert.deepEqual(shown(await list({ actor: "nobody" })), []);
      const documents = { "hidden-*": "none" };
      const partly = await Client.connect(server, { person: { user: "pat", role: "viewer", team, documents } });
      const whole = (await partly.ok("activity_list", {})).activities;
      assert.deepEqual(
        whole.map(({ room }) => room),
        ["one", "three", "two", "one"],
      );
      for (const limit of [1, 3, 4]) {
        const met = [];
        let cursor;
        do {
          const page = await partly.ok("activity_list", { limit, cursor });
          assert.ok(page.activities.length <= limit);
          met.push(...page.activities);
          assert.ok(met.length <= whole.length, "no page repeats another");
          cursor = page.next_cursor;
        } while (cursor);
        assert.deepEqual(met, whole, `${limit} a page`);
      }
      assert.equal((await partly.refusal("activity_list", { room: "hidden-1" })).code, "forbidden");
      const refused = await caller({ roles: [], team }).refusal("GET", "activity?room=one");
      assert.deepEqual([refused.status, refused.code], [403, "forbidden"]);
      assert.deepEqual(await caller({ roles: [], team }).ok("GET", "activity"), { activities: [] });
    });

    it("a service tells a team what happened elsewhere, and nobody else may", async () => {
      const team = "published";
      const watcher = await listener(server, { user: "cy", role: "viewer", team });
      await caller({ team }).ok("PUT", "documents/plan");
      const entry = { verb: "exported", room: "plan", subject: { format: "pdf" }, actor: { id: "ben", name: "Ben" } };
      const { activity } = await service(team).ok("POST", "activity", entry);
      const { id, at, ...fields } = activity;
      assert.deepEqual(fields, entry);
      const told = await until("it is told", () => watcher.told.find(({ verb }) => verb === "exported"));
      assert.deepEqual([told.id, told.at, told.subject], [id, at, entry.subject]);
      const plain = await Client.connect(server, { person: { user: "cms", role: "service", team } });
      const own = await plain.ok("activity_publish", { verb: "synchronised" });
      assert.deepEqual([own.activity.actor.id, own.activity.room], ["cms", undefined]);
      assert.deepEqual(shown(await watcher.ok("activity_list", {})), [
        "synchronised cms",
        "exported ben",
        "created ana",
      ]);
      for (const role of ["viewer", "commenter", "editor", "reviewer", "admin"]) {
        const refused = await caller({ role, team }).refusal("POST", "activity", { verb: "forged" });
        assert.deepEqual([refused.status, refused.code], [403, "forbidden"], role);
        assert.match(refused.message, /: publish$/);
      }
      assert.equal((await watcher.refusal("activity_publish", { verb: "forged" })).code, "forbidden");
      const unknown = await service(team).refusal("POST", "activity", { verb: "exported", room: "nowhere" });
      assert.deepEqual([unknown.status, unknown.code], [404, "not_found"]);
      const theirs = await service("rival").refusal("POST", "activity", { verb: "exported", room: "plan" });
      assert.deepEqual([theirs.status, theirs.message], [404, unknown.message]);
      assert.equal((await watcher.ok("activity_list", {})).activities.length, 3);
    });

    it("a repeated key publishes once, also while the first request is in progress", async () => {
      const team = "repeated";
      const key = { "idempotency-key": "k-1" };
      const publish = (body, headers = key) => service(team).ok("POST", "activity", body, headers);
      const [first, second] = await Promise.all([publish({ verb: "exported" }), publish({ verb: "exported" })]);
      assert.deepEqual(first, second);
      assert.deepEqual(await publish({ verb: "exported" }), first);
      const other = await service(team).refusal("POST", "activity", { verb: "imported" }, key);
      assert.deepEqual([other.status, other.code], [409, "conflict"]);
      await publish({ verb: "exported" }, { "idempotency-key": "k-2" });
      assert.equal((await service(team).ok("GET", "activity")).activities.length, 2);
      const long = await service(team).refusal(
        "POST",
        "activity",
        { verb: "x" },
        { "idempotency-key": "k".repeat(256) },
      );
      assert.deepEqual([long.status, long.field], [400, "idempotency-key"]);
    });

    it("malformed requests are refused with the field, and record nothing", async () => {
      const team = "malformed";
      const client = await Client.connect(server, { person: { user: "cms", role: "service", team } });
      for (const [event, payload, field] of [
        ["activity_list", { limit: 0 }, "limit"],
        ["activity_list", { limit: 101 }, "limit"],
        ["activity_list", { limit: 1.5 }, "limit"],
        ["activity_list", { cursor: "no cursor" }, "cursor"],
        ["activity_list", { room: "" }, "room"],
        ["activity_list", { actor: 7 }, "actor"],
        ["activity_list", { actor: "" }, "actor"],
        ["activity_publish", {}, "verb"],
        ["activity_publish", { verb: 7 }, "verb"],
        ["activity_publish", { verb: "" }, "verb"],
        ["activity_publish", { verb: "Two words" }, "verb"],
        ["activity_publish", { verb: "x".repeat(65) }, "verb"],
        ["activity_publish", { verb: "x", room: ["a"] }, "room"],
        ["activity_publish", { verb: "x", subject: "text" }, "subject"],
        ["activity_publish", { verb: "x", subject: { text: "x".repeat(4096) } }, "subject"],
        ["activity_publish", { verb: "x", subject: { text: "a\0b" } }, "subject"],
        ["activity_publish", { verb: "x", subject: { "a\0b": 1 } }, "subject"],
        ["activity_publish", { verb: "x", actor: "ben" }, "actor"],
        ["activity_publish", { verb: "x", actor: { name: "Ben" } }, "actor"],
      ]) {
        const error = await client.refusal(event, payload);
        assert.deepEqual([error.code, error.field], ["invalid", field], `${event} ${JSON.stringify(payload)}`);
      }
      for (const [body, field] of [
        ["[]", "body"],
        ["{", "body"],
        [{ verb: "" }, "verb"],
      ]) {
        const refused = await service(team).refusal("POST", "activity", body);
        assert.deepEqual([refused.status, refused.field], [400, field]);
      }
      assert.equal((await service(team).refusal("GET", "activity?limit=ten")).field, "limit");
      assert.deepEqual((await client.ok("activity_list", {})).activities, []);
    });
  });
}
