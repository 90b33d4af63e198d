// The workflow of documents: statuses, steps, history, and who is told. Section "Workflow" of the protocol.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { databases } from "@realtime-server/harness/databases";
import { suiteServer } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";
import { Caller } from "./support/http.mjs";

/** The default table: each status with the steps from it, each with the roles that may take it. */
const TABLE = {
  draft: { in_review: ["editor", "service", "admin"], archived: ["admin"] },
  in_review: {
    approved: ["reviewer", "admin"],
    changes_requested: ["reviewer", "admin"],
    draft: ["editor", "service", "admin"],
  },
  changes_requested: { in_review: ["editor", "service", "admin"] },
  approved: {
    scheduled: ["reviewer", "admin"],
    published: ["reviewer", "admin"],
    in_review: ["reviewer", "admin"],
  },
  scheduled: { published: ["reviewer", "service", "admin"], approved: ["reviewer", "admin"] },
  published: { archived: ["admin"], draft: ["admin"] },
  archived: { draft: ["admin"] },
};
/** A way to each status from the initial one. */
const WAY = {
  draft: [],
  in_review: ["in_review"],
  changes_requested: ["in_review", "changes_requested"],
  approved: ["in_review", "approved"],
  scheduled: ["in_review", "approved", "scheduled"],
  published: ["in_review", "approved", "published"],
  archived: ["archived"],
};
const ROLES = ["viewer", "commenter", "editor", "reviewer", "admin", "service"];
/** The first of the rights of a step, which its refusal names. */
const needed = (from, to) => {
  const roles = TABLE[from][to];
  if (roles.includes("editor")) return "edit";
  return roles.includes("reviewer") ? "review" : "manage";
};
const RFC3339_MS = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** A client that keeps the events about documents in their order. */
async function listener(server, person) {
  const client = await Client.connect(server, { person });
  client.events = [];
  for (const name of ["workflow_update", "notification", "document_created", "document_changed"])
    client.socket.on(name, (payload) => client.events.push({ name, ...payload }));
  client.named = (name, room) => client.events.filter((event) => event.name === name && event.room === room);
  return client;
}

for (const database of databases) {
  describe(`the workflow on ${database.name}`, () => {
    const server = suiteServer({ database, env: { REQUESTS_PER_SECOND: 5000 } });
    afterEach(closeClients);

    const caller = (person) => new Caller(server, person);
    /** Creates a document as `ana`, and moves it to `status` as an administrator. */
    async function documentAt(room, status = "draft", team) {
      await caller({ team }).ok("PUT", `documents/${room}`);
      const admin = caller({ user: "root", role: "admin", team });
      for (const to of WAY[status]) await admin.ok("POST", `documents/${room}/workflow`, { to });
    }

    it("each role may take the steps of the table that are for it, and nobody another step", async () => {
      const clients = {};
      for (const role of ROLES) clients[role] = await Client.connect(server, { person: { user: role, role } });
      for (const [from, steps] of Object.entries(TABLE)) {
        const waiting = `table-${from}`;
        await documentAt(waiting, from);
        for (const role of ROLES) {
          const client = clients[role];
          const allowed = Object.keys(steps).filter((to) => steps[to].includes(role));
          const seen = (await client.ok("workflow_get", { room: waiting })).workflow;
          assert.deepEqual([seen.status, seen.allowed], [from, allowed], `${role} at ${from}`);
          for (const to of Object.keys(TABLE)) {
            if (allowed.includes(to)) {
              const room = `table-${from}-${to}-${role}`;
              await documentAt(room, from);
              const { workflow } = await client.ok("workflow_transition", { room, to });
              assert.equal(workflow.status, to);
              assert.equal(workflow.by.id, role);
              const next = Object.keys(TABLE[to]).filter((step) => TABLE[to][step].includes(role));
              assert.deepEqual(workflow.allowed, next, "what the caller may do now");
            } else {
              const error = await client.refusal("workflow_transition", { room: waiting, to });
              if (steps[to]) {
                assert.equal(error.code, "forbidden", `${role}: ${from} to ${to}`);
                assert.ok(error.message.endsWith(`: ${needed(from, to)}`), error.message);
              } else {
                assert.deepEqual([error.code, error.allowed], ["conflict", allowed], `${role}: ${from} to ${to}`);
              }
            }
          }
          assert.equal((await client.ok("workflow_get", { room: waiting })).workflow.status, from, "it did not move");
        }
      }
    });

    it("a document has a status from its creation on, wherever it is shown", async () => {
      const eve = await listener(server, { user: "eve", role: "reviewer", team: "shown" });
      const ana = await Client.connect(server, { person: { team: "shown" } });
      const { joined } = await ana.join("badge");
      const { created_at } = joined.document;
      assert.deepEqual(joined.workflow, { status: "draft", since: created_at, allowed: ["in_review"] });
      assert.equal(joined.document.status, "draft");
      const created = await until("it is created", () => eve.named("document_created", "badge")[0]);
      assert.equal(created.document.status, "draft");
      const http = caller({ team: "shown" });
      assert.equal((await http.ok("GET", "documents/badge")).document.status, "draft");

      const { workflow } = await ana.ok("workflow_transition", { room: "badge", to: "in_review" });
      assert.match(workflow.since, RFC3339_MS);
      assert.deepEqual(workflow.by, { id: "ana", name: "ana's name" });
      const late = await eve.join("badge");
      assert.deepEqual(late.joined.workflow, { ...workflow, allowed: ["approved", "changes_requested"] });
      assert.equal(late.joined.document.status, "in_review");
      const { documents } = await http.ok("GET", "documents");
      assert.deepEqual(
        documents.map(({ room, status }) => [room, status]),
        [["badge", "in_review"]],
      );
      assert.deepEqual((await http.ok("GET", "documents/badge/workflow")).workflow, {
        ...workflow,
        allowed: ["draft"],
      });
      await http.ok("PATCH", "documents/badge", { title: "Badge" });
      const titled = await until("it is titled", () => eve.named("document_changed", "badge").find(({ by }) => by));
      assert.equal(titled.document.status, "in_review");
      await late.leave();
      await ana.rooms[0].edit(({ text }) => text.insert(0, "a word"));
      const edited = await until("it is edited", () => eve.named("document_changed", "badge").find(({ by }) => !by));
      assert.equal(edited.document.status, "in_review", "as the open room knows it");
    });

    it("lists are filtered by status, in each order, over all pages", async () => {
      const http = caller({ team: "filtered" });
      for (const [room, status] of [
        ["one", "in_review"],
        ["two", "draft"],
        ["three", "in_review"],
        ["four", "approved"],
        ["five", "in_review"],
      ]) {
        await documentAt(room, status, "filtered");
      }
      const rooms = async (query) => (await http.ok("GET", `documents?${query}`)).documents.map(({ room }) => room);
      assert.deepEqual(await rooms("status=in_review"), ["five", "three", "one"]);
      assert.deepEqual(await rooms("status=in_review&sort=title"), ["five", "one", "three"]);
      assert.deepEqual(await rooms("status=draft"), ["two"], "also one that was never moved");
      assert.deepEqual(await rooms("status=in_review&q=re"), ["three"]);
      assert.deepEqual(await rooms("status=published"), []);
      const first = await http.ok("GET", "documents?status=in_review&limit=2");
      assert.equal(first.documents.length, 2);
      assert.deepEqual(await rooms(`status=in_review&limit=2&cursor=${first.next_cursor}`), ["one"]);
      await http.ok("DELETE", "documents/one");
      assert.deepEqual(await rooms("status=in_review&trash=true"), ["one"]);
      for (const bad of ["", "x".repeat(65), "a%0Ab"])
        assert.equal((await http.refusal("GET", `documents?status=${bad}`)).field, "status", bad);
    });

    it("the room and the team are told of a step once each, except those who may not view the document", async () => {
      await documentAt("told", "in_review");
      const member = await listener(server, { user: "mia", role: "viewer" });
      const colleague = await listener(server, { user: "cy", role: "viewer" });
      const blind = await listener(server, { user: "eve", documents: { told: "none" } });
      const rival = await listener(server, { user: "zoe", team: "rival" });
      await member.join("told");
      const rex = caller({ user: "rex", role: "reviewer", name: "Rex" });
      const { workflow } = await rex.ok("POST", "documents/told/workflow", { to: "approved", note: " Well done. " });
      for (const client of [member, colleague]) {
        const told = await until("it is told", () => client.named("workflow_update", "told")[0]);
        const { event_id, document_id, name, ...payload } = told;
        const by = { id: "rex", name: "Rex" };
        const step = { from: "in_review", to: "approved", by, note: "Well done.", at: workflow.since };
        assert.deepEqual(payload, { room: "told", ...step });
        assert.equal(name, "workflow_update");
        assert.ok(Number.isInteger(event_id));
        assert.equal(typeof document_id, "string");
      }
      await rex.ok("POST", "documents/told/workflow", { to: "scheduled" });
      await documentAt("seen-by-all", "in_review");
      await documentAt("of-the-rival", "in_review", "rival");
      await until("Eve sees another one", () => blind.named("workflow_update", "seen-by-all").length);
      await until("the rival sees its own", () => rival.named("workflow_update", "of-the-rival").length);
      assert.deepEqual(blind.named("workflow_update", "told"), []);
      assert.deepEqual(rival.named("workflow_update", "told"), []);
      for (const client of [member, colleague]) {
        await until("the second step is told", () => client.named("workflow_update", "seen-by-all").length);
        const steps = client.named("workflow_update", "told").map(({ to, note }) => [to, note]);
        assert.deepEqual(steps, [
          ["approved", "Well done."],
          ["scheduled", undefined],
        ]);
      }
    });

    it("the creator and everybody who moved the document before are notified, but not the one who moves it", async () => {
      const team = "noticed";
      const http = (user, role) => caller({ user, role, team });
      await http("ana", "editor").ok("PUT", "documents/plan", { title: "The plan" });
      const ana = await listener(server, { user: "ana", team });
      const ben = await listener(server, { user: "ben", role: "reviewer", team });
      const passerBy = await listener(server, { user: "pat", team });
      await http("ana", "editor").ok("POST", "documents/plan/workflow", { to: "in_review" });
      await http("ben", "reviewer").ok("POST", "documents/plan/workflow", {
        to: "changes_requested",
        note: "Too long",
      });
      const first = await until("Ana is notified", () => ana.named("notification", "plan")[0]);
      const { kind, title, body, actor, count, unread } = first;
      assert.deepEqual([kind, title, body], ["workflow", "“The plan” is changes requested", "Too long"]);
      assert.deepEqual([actor.id, count, unread], ["ben", 1, 1]);
      await http("cy", "editor").ok("POST", "documents/plan/workflow", { to: "in_review" });
      const bens = await until("Ben is notified", () => ben.named("notification", "plan")[0]);
      assert.deepEqual([bens.title, bens.body], ["“The plan” is in review", undefined]);
      const second = await until("Ana is notified again", () => ana.named("notification", "plan")[1]);
      assert.deepEqual([second.id, second.count, second.unread], [first.id, 2, 1], "unread ones are folded");
      await http("root", "admin").ok("POST", "documents/plan/workflow", { to: "approved" });
      await until("Ana is notified a third time", () => ana.named("notification", "plan")[2]);
      await until("Pat hears of the step", () => passerBy.named("workflow_update", "plan").length === 4);
      assert.deepEqual(passerBy.named("notification", "plan"), []);
      assert.equal((await http("cy", "editor").ok("GET", "notifications")).unread, 1);
      assert.equal((await http("root", "admin").ok("GET", "notifications")).unread, 0);
      const { activities } = await http("ana", "editor").ok("GET", "activity?room=plan&actor=ben");
      assert.deepEqual(
        activities.map(({ verb, subject }) => ({ verb, ...subject })),
        [{ verb: "moved", from: "in_review", to: "changes_requested", note: "Too long" }],
      );
    });

    it("of two steps at once one is taken, and the other is told what is allowed now", async () => {
      for (let round = 0; round < 10; round += 1) {
        const room = `race-${round}`;
        await documentAt(room, "in_review");
        const clients = [];
        for (const user of ["rex", "rae"])
          clients.push(await Client.connect(server, { person: { user, role: "reviewer" } }));
        const targets = ["approved", "changes_requested"];
        const acks = await Promise.all(
          clients.map((client, n) => client.request("workflow_transition", { room, to: targets[n] })),
        );
        const [won] = acks.filter(({ ok }) => ok);
        const [lost] = acks.filter(({ ok }) => !ok);
        assert.ok(won && lost, JSON.stringify(acks));
        const steps = TABLE[won.workflow.status];
        const allowed = Object.keys(steps).filter((to) => steps[to].includes("reviewer"));
        assert.deepEqual([lost.error.code, lost.error.allowed], ["conflict", allowed]);
        const { history } = await clients[0].ok("workflow_history", { room });
        assert.deepEqual(
          history.map(({ to }) => to),
          [won.workflow.status, "in_review"],
        );
        closeClients();
      }
    });

    it("a step from a status that the document no longer has is a conflict on both doors", async () => {
      await documentAt("stale", "in_review");
      const ana = await Client.connect(server);
      const request = { room: "stale", to: "draft", from: "draft" };
      const error = await ana.refusal("workflow_transition", request);
      assert.deepEqual([error.code, error.allowed], ["conflict", ["draft"]]);
      const refused = await caller().refusal("POST", "documents/stale/workflow", { to: "draft", from: "approved" });
      assert.deepEqual([refused.status, refused.code, refused.allowed], [409, "conflict", ["draft"]]);
      assert.equal((await ana.ok("workflow_transition", { ...request, from: "in_review" })).workflow.status, "draft");
    });

    it("a repeated request moves the document once and answers with the first result", async () => {
      await documentAt("repeated");
      const ana = await Client.connect(server);
      const request = { room: "repeated", to: "in_review", client_id: "k-1" };
      const [first, second] = await Promise.all([
        ana.ok("workflow_transition", request),
        ana.ok("workflow_transition", request),
      ]);
      assert.deepEqual(first, second);
      await caller({ user: "rex", role: "reviewer" }).ok("POST", "documents/repeated/workflow", { to: "approved" });
      const key = { "idempotency-key": "k-1" };
      const body = { to: "in_review" };
      assert.deepEqual(await caller().ok("POST", "documents/repeated/workflow", body, key), {
        workflow: first.workflow,
      });
      const other = await ana.refusal("workflow_transition", { ...request, to: "draft" });
      assert.equal(other.code, "conflict", "the same key for another step");
      const { history } = await ana.ok("workflow_history", { room: "repeated" });
      assert.equal(history.length, 2);
    });

    it("the history has every step, the newest first, on pages", async () => {
      await documentAt("history");
      const ana = await Client.connect(server);
      assert.deepEqual(await ana.ok("workflow_history", { room: "history" }), { ok: true, history: [] });
      const taken = [];
      for (let n = 0; n < 7; n += 1) {
        const [from, to] = n % 2 ? ["in_review", "draft"] : ["draft", "in_review"];
        const note = n % 3 ? undefined : `note ${n}`;
        const { workflow } = await ana.ok("workflow_transition", { room: "history", to, note });
        const by = { id: "ana", name: "ana's name" };
        taken.unshift({ from, to, by, ...(note && { note }), at: workflow.since });
      }
      const viewer = caller({ user: "vic", role: "viewer" });
      assert.deepEqual(await viewer.ok("GET", "documents/history/workflow/history"), { history: taken });
      for (const limit of [1, 3, 7]) {
        const met = [];
        let cursor;
        do {
          const page = await ana.ok("workflow_history", { room: "history", limit, cursor });
          assert.ok(page.history.length <= limit);
          met.push(...page.history);
          assert.ok(met.length <= taken.length, "no page repeats another");
          cursor = page.next_cursor;
        } while (cursor);
        assert.deepEqual(met, taken, `${limit} a page`);
      }
      await caller({ role: "admin" }).ok("DELETE", "documents/history");
      assert.equal((await ana.refusal("workflow_history", { room: "history" })).code, "not_found");
      await ana.ok("join_room", "history");
      assert.deepEqual((await ana.ok("workflow_history", { room: "history" })).history, [], "of another document");
    });

    it("a malformed request is refused with its field, and moves nothing", async () => {
      await documentAt("malformed");
      const ana = await Client.connect(server);
      for (const [event, payload, field] of [
        ["workflow_transition", { to: "in_review" }, "room"],
        ["workflow_transition", { room: "a,b", to: "in_review" }, "room"],
        ["workflow_transition", { room: "malformed" }, "to"],
        ["workflow_transition", { room: "malformed", to: 7 }, "to"],
        ["workflow_transition", { room: "malformed", to: "" }, "to"],
        ["workflow_transition", { room: "malformed", to: "x".repeat(65) }, "to"],
        ["workflow_transition", { room: "malformed", to: "a\nb" }, "to"],
        ["workflow_transition", { room: "malformed", to: "in_review", from: ["draft"] }, "from"],
        ["workflow_transition", { room: "malformed", to: "in_review", from: "" }, "from"],
        ["workflow_transition", { room: "malformed", to: "in_review", note: { text: "x" } }, "note"],
        ["workflow_transition", { room: "malformed", to: "in_review", note: "é".repeat(1025) }, "note"],
        ["workflow_transition", { room: "malformed", to: "in_review", note: "a\0b" }, "note"],
        ["workflow_transition", { room: "malformed", to: "in_review", client_id: "" }, "client_id"],
        ["workflow_get", {}, "room"],
        ["workflow_history", { room: 7 }, "room"],
        ["workflow_history", { room: "malformed", limit: 0 }, "limit"],
        ["workflow_history", { room: "malformed", limit: 101 }, "limit"],
        ["workflow_history", { room: "malformed", limit: "ten" }, "limit"],
        ["workflow_history", { room: "malformed", cursor: "no cursor" }, "cursor"],
      ]) {
        const error = await ana.refusal(event, payload);
        assert.deepEqual([error.code, error.field], ["invalid", field], JSON.stringify(payload));
      }
      assert.equal((await ana.refusal("workflow_transition", "malformed")).field, "payload");
      const unknown = await ana.refusal("workflow_transition", { room: "malformed", to: "finished" });
      assert.deepEqual([unknown.code, unknown.allowed], ["conflict", ["in_review"]]);
      const long = await caller().refusal("POST", "documents/malformed/workflow", { to: "" });
      assert.deepEqual([long.status, long.field], [400, "to"]);
      const { history } = await ana.ok("workflow_history", { room: "malformed" });
      assert.deepEqual(history, []);
      const note = "é".repeat(1024);
      await ana.ok("workflow_transition", { room: "malformed", to: "in_review", note });
      assert.equal((await ana.ok("workflow_history", { room: "malformed" })).history[0].note, note);
    });

    it("an unknown document and that of another team get the same answer, and rights come first", async () => {
      await documentAt("hidden");
      const rival = await Client.connect(server, { person: { user: "zoe", role: "admin", team: "rival" } });
      const blind = await Client.connect(server, { person: { documents: { hidden: "none", nowhere: "none" } } });
      const nobody = await Client.connect(server, { person: { roles: [] } });
      for (const event of ["workflow_transition", "workflow_get", "workflow_history"]) {
        const [theirs, none] = await Promise.all(
          ["hidden", "nowhere"].map((room) => rival.refusal(event, { room, to: "in_review" })),
        );
        assert.equal(theirs.code, "not_found");
        assert.deepEqual(theirs, none);
        for (const client of [blind, nobody]) {
          for (const room of ["hidden", "nowhere"]) {
            const error = await client.refusal(event, { room, to: "in_review" });
            assert.equal(error.code, "forbidden", `${event} of ${room}`);
            assert.match(error.message, /: view$/);
          }
        }
      }
      const { status, code } = await caller({ team: "rival" }).refusal("GET", "documents/hidden/workflow");
      assert.deepEqual([status, code], [404, "not_found"]);
      const response = await server.get("/api/v1/documents/hidden/workflow");
      assert.equal(response.status, 401);
    });
  });
}
