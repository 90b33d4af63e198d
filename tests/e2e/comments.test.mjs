// Threads of comments: by Socket.IO and by HTTP. Section 5 of the protocol.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import * as Y from "yjs";
import { databases } from "@realtime-server/harness/databases";
import { suiteServer } from "@realtime-server/harness/suite";
import { token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";
import { Client, checkError, closeClients } from "./support/client.mjs";

const RFC3339_MS = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057";
const EVENTS = [
  "thread_created",
  "thread_updated",
  "thread_deleted",
  "comment_created",
  "comment_updated",
  "comment_deleted",
  "notification",
  "activity",
];

/** A client that keeps the events of this feature in their order, and what each request with a thread answers. */
async function connect(server, person) {
  const client = await Client.connect(server, { person });
  client.events = [];
  for (const name of EVENTS) client.socket.on(name, (payload) => client.events.push({ name, ...payload }));
  client.named = (...names) => client.events.filter(({ name }) => names.includes(name));
  client.thread = async (request, payload) => (await client.ok(request, payload)).thread;
  client.comment = async (request, payload) => (await client.ok(request, payload)).comment;
  /** The `code`, and the field where there is one, with which a request is refused. */
  client.code = async (request, payload) => {
    const { code, field } = await client.refusal(request, payload);
    return field ? `${code} ${field}` : code;
  };
  return client;
}

/** An HTTP request of a person: its status and its JSON. */
async function send(server, person, method, path, body, headers = {}) {
  const response = await fetch(`${server.url}/api/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${token(person)}`, ...headers },
    body: body && JSON.stringify(body),
  });
  assert.equal(response.headers.get("cache-control"), "no-store");
  const json = await response.json();
  if (!response.ok) checkError(json.error);
  return { status: response.status, ...json };
}

const base64 = (position) => Buffer.from(Y.encodeRelativePosition(position)).toString("base64");

/** The anchor of the text between two indexes of a type. */
function anchor(type, from, to, side = 0) {
  const at = (index, side) => base64(Y.createRelativePositionFromTypeIndex(type, index, side));
  return { start: at(from, 0), end: at(to, side) };
}

/** What stock Yjs says of an anchor: whether nothing is between its positions, or both types are gone. */
function isGone(doc, { start, end }) {
  const [from, to] = [start, end].map((text) => {
    const position = Y.decodeRelativePosition(new Uint8Array(Buffer.from(text, "base64")));
    const found = Y.createAbsolutePositionFromRelativePosition(position, doc);
    const isDeleted = found?.type._item?.deleted ?? false;
    return found && !isDeleted ? found : null;
  });
  if (!from || !to) return !from && !to;
  return from.type === to.type && from.index === to.index;
}

for (const database of databases) {
  describe(`comments on ${database.name}`, () => {
    const server = suiteServer({ database, env: { REQUESTS_PER_SECOND: 10_000 } });
    afterEach(closeClients);

    /** A document of its own, with two members. */
    async function scene(room, { ana = {}, ben = {} } = {}) {
      const one = await connect(server, { user: "ana", ...ana });
      one.room = await one.join(room);
      const two = await connect(server, { user: "ben", ...ben });
      two.room = await two.join(room);
      return [one, two];
    }

    it("a thread is created, listed, and told to every member of the room once", async () => {
      const [ana, ben] = await scene("created");
      await ana.room.edit(({ text }) => text.insert(0, "The quick fox"));
      const between = anchor(ana.room.text, 4, 9);
      const began = Date.now();
      const thread = await ana.thread("thread_create", {
        room: "created",
        body: "Really <b>quick</b>?",
        anchor: between,
        quote: "quick",
        mentions: ["cleo", "cleo"],
      });
      const { id, created_at, comments, ...rest } = thread;
      const author = { id: "ana", name: "ana's name" };
      const expected = { room: "created", status: "open", anchor: between, quote: "quick", orphaned: false };
      assert.deepEqual(rest, { ...expected, created_by: author });
      assert.match(created_at, RFC3339_MS);
      assert.ok(Date.parse(created_at) >= began - 1 && Date.parse(created_at) <= Date.now());
      assert.equal(comments.length, 1);
      assert.deepEqual(comments[0], {
        id: comments[0].id,
        thread_id: id,
        author,
        body: "Really <b>quick</b>?",
        mentions: ["cleo"],
        reactions: {},
        created_at,
      });
      for (const client of [ana, ben]) {
        const [told] = await until(
          "the member is told",
          () => client.named("thread_created").length > 0 && client.named("thread_created"),
        );
        assert.deepEqual(told.thread, thread);
        assert.ok(Number.isInteger(told.event_id));
      }
      assert.deepEqual(await ben.ok("thread_list", { room: "created" }), { ok: true, threads: [thread] });
      const { status, thread: read } = await send(server, { user: "ben" }, "GET", `/threads/${id}`);
      assert.deepEqual([status, read], [200, thread]);
      await ana.thread("thread_create", { room: "created", body: "another" });
      await until("Ben is told of the other one", () => ben.named("thread_created").length === 2);
      assert.equal(ana.named("thread_created").length, 2, "each is told once");
      const ids = ben.named("thread_created").map(({ event_id }) => event_id);
      assert.ok(ids[0] < ids[1]);
    });

    it("replies, edits, reactions and deletions reach the members in their order", async () => {
      const [ana, ben] = await scene("told");
      const thread = await ana.thread("thread_create", { room: "told", body: "one" });
      const reply = await ben.comment("comment_create", { thread_id: thread.id, body: "two" });
      assert.deepEqual(reply.author, { id: "ben", name: "ben's name" });
      const edited = await ben.comment("comment_edit", { comment_id: reply.id, body: "two, edited" });
      assert.match(edited.edited_at, RFC3339_MS);
      assert.deepEqual(edited, { ...reply, body: "two, edited", edited_at: edited.edited_at });
      const liked = await ana.comment("reaction_add", { comment_id: reply.id, emoji: "👍" });
      assert.deepEqual(liked.reactions, { "👍": ["ana"] });
      const both = await ben.comment("reaction_add", { comment_id: reply.id, emoji: "👍" });
      assert.deepEqual(both.reactions, { "👍": ["ana", "ben"] });
      const party = await ben.comment("reaction_add", { comment_id: reply.id, emoji: ":party:" });
      assert.deepEqual(Object.keys(party.reactions).sort(), [":party:", "👍"]);
      const left = await ana.comment("reaction_remove", { comment_id: reply.id, emoji: "👍" });
      assert.deepEqual(left.reactions, { "👍": ["ben"], ":party:": ["ben"] });
      // What changes nothing is answered, and told to nobody.
      assert.deepEqual(await ana.comment("reaction_remove", { comment_id: reply.id, emoji: "👍" }), left);
      assert.deepEqual(await ben.comment("reaction_add", { comment_id: reply.id, emoji: "👍" }), left);
      assert.deepEqual(await ben.comment("comment_edit", { comment_id: reply.id, body: "two, edited" }), left);
      await ben.ok("comment_delete", { comment_id: reply.id });
      await ana.ok("thread_delete", { thread_id: thread.id });
      for (const client of [ana, ben]) {
        await until("the thread's end is told", () => client.named("thread_deleted").length > 0);
        const events = client.events.filter(({ name }) => /^(thread|comment)_/.test(name));
        assert.deepEqual(
          events.map(({ name }) => name),
          [
            "thread_created",
            "comment_created",
            ...Array(5).fill("comment_updated"),
            "comment_deleted",
            "thread_deleted",
          ],
        );
        for (const [at, event] of events.entries()) {
          if (at) assert.ok(event.event_id > events[at - 1].event_id, "the ids rise");
        }
        const payloads = events.map(({ name, event_id, ...payload }) => payload);
        assert.deepEqual(payloads[1], { room: "told", comment: reply });
        assert.deepEqual(payloads[2], { room: "told", comment: edited });
        assert.deepEqual(payloads[6], { room: "told", comment: left });
        assert.deepEqual(payloads[7], { room: "told", comment_id: reply.id, thread_id: thread.id });
        assert.deepEqual(payloads[8], { room: "told", thread_id: thread.id });
      }
      assert.deepEqual((await ana.ok("thread_list", { room: "told" })).threads, []);
    });

    it("a thread is resolved, opened again by request, and by a reply", async () => {
      const [ana, ben] = await scene("resolved");
      const { id } = await ana.thread("thread_create", { room: "resolved", body: "done?" });
      const resolved = await ben.thread("thread_resolve", { thread_id: id });
      assert.equal(resolved.status, "resolved");
      assert.equal(resolved.resolved_by.name, "ben's name");
      assert.match(resolved.resolved_at, RFC3339_MS);
      assert.deepEqual(await ana.thread("thread_resolve", { thread_id: id }), resolved, "a second time it stays");
      const list = async (status) => (await ana.ok("thread_list", { room: "resolved", status })).threads;
      assert.deepEqual([await list("open"), await list("resolved")], [[], [resolved]]);
      const open = await ana.thread("thread_reopen", { thread_id: id });
      assert.deepEqual([open.status, open.resolved_by, open.resolved_at], ["open", undefined, undefined]);
      assert.deepEqual(await ana.thread("thread_reopen", { thread_id: id }), open);
      await ana.thread("thread_resolve", { thread_id: id });
      const reply = await ben.comment("comment_create", { thread_id: id, body: "not yet" });
      const [reopened] = await list("open");
      assert.deepEqual([reopened.status, reopened.comments.length], ["open", 2]);
      await until("all is told", () => ana.named("thread_updated").length === 4);
      const statuses = ana.named("thread_updated").map(({ thread }) => thread.status);
      assert.deepEqual(statuses, ["resolved", "open", "resolved", "open"]);
      assert.deepEqual(ana.events.at(-1).name === "thread_updated" ? ana.events.at(-1).thread : reopened, reopened);
      assert.deepEqual(reopened.comments[1], reply);
      const { activities } = await ana.ok("activity_list", { room: "resolved" });
      const verbs = activities.map(({ verb }) => verb).filter((verb) => verb !== "created" && verb !== "edited");
      assert.deepEqual(verbs, ["reopened", "replied", "resolved", "reopened", "resolved", "commented"]);
      assert.deepEqual(activities[1].subject, { thread_id: id, comment_id: reply.id });
    });

    it("a deleted comment leaves its place, and the thread goes with its last comment", async () => {
      const [ana, ben] = await scene("tombstones");
      const thread = await ana.thread("thread_create", { room: "tombstones", body: "first", mentions: ["cleo"] });
      const [first] = thread.comments;
      await ben.comment("reaction_add", { comment_id: first.id, emoji: "🎉" });
      const second = await ben.comment("comment_create", { thread_id: thread.id, body: "second" });
      await ana.ok("comment_delete", { comment_id: first.id });
      const read = async () => (await ana.ok("thread_list", { room: "tombstones" })).threads;
      const [{ comments }] = await read();
      assert.match(comments[0].deleted_at, RFC3339_MS);
      const { deleted_at } = comments[0];
      assert.deepEqual(comments, [{ ...first, body: "", mentions: [], deleted_at }, second]);
      for (const [request, more] of [
        ["comment_delete", {}],
        ["comment_edit", { body: "again" }],
        ["reaction_add", { emoji: "👍" }],
        ["reaction_remove", { emoji: "🎉" }],
      ]) {
        assert.equal(await ana.code(request, { comment_id: first.id, ...more }), "not_found", request);
      }
      await ben.ok("comment_delete", { comment_id: second.id });
      assert.deepEqual(await read(), []);
      await until("both are told", () => ana.named("thread_deleted").length === 1);
      assert.equal(ana.named("comment_deleted").length, 2);
      assert.equal(await ana.code("thread_resolve", { thread_id: thread.id }), "not_found");
    });

    it("rights are those of the table: to view, to comment, to review, to manage, and the author's own", async () => {
      const [ana] = await scene("rights");
      const as = (user, role, documents) => connect(server, { user, role, documents });
      const vic = await as("vic", "viewer");
      const rea = await as("rea", "reviewer");
      const ann = await as("ann", "admin");
      const eve = await as("eve", "commenter");
      const sam = await as("sam", "service");
      const blind = await as("bob", "editor", { rights: "none" });
      const thread = await ana.thread("thread_create", { room: "rights", body: "one" });
      const [comment] = thread.comments;
      const requests = {
        thread_create: { room: "rights", body: "text" },
        thread_list: { room: "rights" },
        thread_resolve: { thread_id: thread.id },
        thread_reopen: { thread_id: thread.id },
        thread_delete: { thread_id: thread.id },
        comment_create: { thread_id: thread.id, body: "text" },
        comment_edit: { comment_id: comment.id, body: "text" },
        comment_delete: { comment_id: comment.id },
        reaction_add: { comment_id: comment.id, emoji: "👍" },
        reaction_remove: { comment_id: comment.id, emoji: "👍" },
      };
      const refusals = async (client, names = Object.keys(requests)) => {
        const refused = {};
        for (const name of names) {
          const ack = await client.request(name, requests[name]);
          if (!ack.ok) refused[name] = ack.error.code;
        }
        return refused;
      };
      const all = (code, except = []) =>
        Object.fromEntries(Object.keys(requests).flatMap((name) => (except.includes(name) ? [] : [[name, code]])));
      assert.deepEqual(await refusals(vic), all("forbidden", ["thread_list"]));
      assert.deepEqual(await refusals(sam), all("forbidden", ["thread_list"]));
      const named = ["thread_create", "thread_list"];
      assert.deepEqual(await refusals(blind), {
        ...all("not_found", named),
        ...Object.fromEntries(named.map((name) => [name, "forbidden"])),
      });
      const own = { thread_delete: "forbidden", comment_edit: "forbidden", comment_delete: "forbidden" };
      assert.deepEqual(await refusals(eve), own);
      assert.deepEqual(await refusals(rea), own);
      const most = Object.keys(requests).filter((name) => !name.endsWith("_delete"));
      assert.deepEqual(await refusals(ann, most), { comment_edit: "forbidden" }, "nobody edits another's text");
      assert.equal(
        (
          await send(
            server,
            { user: "vic", role: "viewer" },
            "POST",
            "/documents/rights/threads",
            requests.thread_create,
          )
        ).status,
        403,
      );
      // The author's name is the token's, whatever the payload says.
      const posed = await eve.thread("thread_create", {
        ...requests.thread_create,
        author: "ana",
        created_by: { id: "ana" },
      });
      assert.deepEqual([posed.created_by.id, posed.comments[0].author.id], ["eve", "eve"]);
      await ann.ok("comment_delete", requests.comment_delete);
      await ann.ok("thread_delete", requests.thread_delete);
    });

    it("what one may not know of is not found, with one and the same answer", async () => {
      const [ana] = await scene("secret");
      const thread = await ana.thread("thread_create", { room: "secret", body: "secret" });
      const [comment] = thread.comments;
      const rival = await connect(server, { user: "ana", team: "rival", role: "admin" });
      const blind = await connect(server, { user: "bob", role: "admin", documents: { secret: "none" } });
      const about = (thread_id, comment_id) => ({
        thread_get: { thread_id },
        thread_resolve: { thread_id },
        thread_reopen: { thread_id },
        thread_delete: { thread_id },
        comment_create: { thread_id, body: "x" },
        comment_edit: { comment_id, body: "x" },
        comment_delete: { comment_id },
        reaction_add: { comment_id, emoji: "👍" },
        reaction_remove: { comment_id, emoji: "👍" },
      });
      const answers = async (client, requests) => {
        const refused = {};
        for (const [name, payload] of Object.entries(requests)) refused[name] = await client.refusal(name, payload);
        return refused;
      };
      const unknown = await answers(ana, about(UNKNOWN, UNKNOWN));
      for (const error of Object.values(unknown)) assert.equal(error.code, "not_found");
      assert.deepEqual(await answers(ana, about("no id", "no id")), unknown);
      assert.deepEqual(await answers(rival, about(thread.id, comment.id)), unknown);
      assert.deepEqual(await answers(blind, about(thread.id, comment.id)), unknown);
      assert.equal(await rival.code("thread_list", { room: "secret" }), "not_found");
      assert.equal(await rival.code("thread_create", { room: "secret", body: "x" }), "not_found");
      await send(server, { user: "ana" }, "DELETE", "/documents/secret");
      assert.deepEqual(await answers(ana, about(thread.id, comment.id)), unknown);
      assert.equal(await ana.code("thread_list", { room: "secret" }), "not_found");
      await send(server, { user: "ana" }, "POST", "/documents/secret/restore");
      assert.deepEqual(
        (await ana.ok("thread_list", { room: "secret" })).threads,
        [thread],
        "it is back with its document",
      );
    });

    it("a malformed payload is refused with its field, a text that is too large with its limit", async () => {
      const [ana] = await scene("malformed");
      const thread = await ana.thread("thread_create", { room: "malformed", body: "one" });
      const comment_id = thread.comments[0].id;
      const thread_id = thread.id;
      const ok = anchor(ana.room.text, 0, 0);
      const room = "malformed";
      const refused = [
        ["thread_create", { body: "x" }, "invalid room"],
        ["thread_create", { room: 7, body: "x" }, "invalid room"],
        ["thread_create", { room }, "invalid body"],
        ["thread_create", { room, body: 7 }, "invalid body"],
        ["thread_create", { room, body: " \n " }, "invalid body"],
        ["thread_create", { room, body: "x\0" }, "invalid body"],
        ["thread_create", { room, body: "é".repeat(8193) }, "too_large"],
        ["thread_create", { room, body: "x", quote: 7 }, "invalid quote"],
        ["thread_create", { room, body: "x", quote: "q".repeat(2049) }, "too_large"],
        ["thread_create", { room, body: "x", mentions: "ben" }, "invalid mentions"],
        ["thread_create", { room, body: "x", mentions: [""] }, "invalid mentions"],
        ["thread_create", { room, body: "x", mentions: Array.from({ length: 51 }, (_, n) => `u${n}`) }, "conflict"],
        ["thread_create", { room, body: "x", anchor: "text" }, "invalid anchor"],
        ["thread_create", { room, body: "x", anchor: { start: ok.start } }, "invalid anchor"],
        ["thread_create", { room, body: "x", anchor: { ...ok, end: "!" } }, "invalid anchor"],
        ["thread_create", { room, body: "x", anchor: { ...ok, end: "A".repeat(1400) } }, "too_large"],
        ["thread_create", { room, body: "x", client_id: 7 }, "invalid client_id"],
        ["thread_list", {}, "invalid room"],
        ["thread_list", { room, status: "closed" }, "invalid status"],
        ["thread_list", { room, limit: 0 }, "invalid limit"],
        ["thread_list", { room, limit: 101 }, "invalid limit"],
        ["thread_list", { room, cursor: "next" }, "invalid cursor"],
        ["thread_resolve", {}, "invalid thread_id"],
        ["thread_reopen", { thread_id: 7 }, "invalid thread_id"],
        ["thread_delete", { thread_id: {} }, "invalid thread_id"],
        ["comment_create", { thread_id }, "invalid body"],
        ["comment_create", { body: "x" }, "invalid thread_id"],
        ["comment_create", { thread_id, body: "x".repeat(16_385) }, "too_large"],
        ["comment_edit", { comment_id }, "invalid body"],
        ["comment_edit", { body: "x" }, "invalid comment_id"],
        ["comment_edit", { comment_id, body: "x", mentions: 7 }, "invalid mentions"],
        ["comment_delete", { comment_id: ["x"] }, "invalid comment_id"],
        ["reaction_add", { comment_id }, "invalid emoji"],
        ["reaction_add", { comment_id, emoji: "fine" }, "invalid emoji"],
        ["reaction_add", { comment_id, emoji: "\u0007" }, "invalid emoji"],
        ["reaction_add", { comment_id, emoji: "👍".repeat(9) }, "too_large"],
        ["reaction_remove", { comment_id, emoji: 7 }, "invalid emoji"],
      ];
      for (const [request, payload, expected] of refused) {
        assert.equal(await ana.code(request, payload), expected, `${request} ${JSON.stringify(payload).slice(0, 100)}`);
      }
      for (const body of ["x".repeat(16_384), "<script>alert(1)</script>", "\u202Eright to left\n\n🦀"]) {
        const { comments } = await ana.thread("thread_create", { room, body, quote: "q".repeat(2048) });
        assert.equal(comments[0].body, body, "a text stays as it is");
      }
    });

    it("a repeated creation answers the first result, also two at once", async () => {
      const [ana, ben] = await scene("repeated");
      const create = { room: "repeated", body: "once", client_id: "key-1" };
      const [one, two] = await Promise.all([ana.thread("thread_create", create), ana.thread("thread_create", create)]);
      assert.deepEqual(one, two);
      assert.deepEqual(await ana.thread("thread_create", create), one);
      assert.notEqual((await ben.thread("thread_create", create)).id, one.id, "a key belongs to its caller");
      assert.equal(await ana.code("thread_create", { ...create, body: "other" }), "conflict");
      const reply = { thread_id: one.id, body: "reply", client_id: "key-1" };
      const replies = await Promise.all(Array.from({ length: 5 }, () => ana.comment("comment_create", reply)));
      for (const comment of replies) assert.deepEqual(comment, replies[0]);
      const path = `/threads/${one.id}/comments`;
      const post = () => send(server, { user: "ben" }, "POST", path, { body: "by HTTP" }, { "idempotency-key": "k" });
      const [first, second] = await Promise.all([post(), post()]);
      assert.deepEqual([first.status, first.comment], [201, second.comment]);
      const { threads } = await ana.ok("thread_list", { room: "repeated" });
      assert.deepEqual(
        threads.map(({ comments }) => comments.map(({ body }) => body)),
        [["once"], ["once", "reply", "by HTTP"]],
      );
      await until("all is told", () => ben.named("comment_created").length === 2);
      assert.equal(ben.named("thread_created").length, 2);
      // The answer stays, whatever becomes of the thread.
      await ana.ok("thread_delete", { thread_id: one.id });
      assert.deepEqual(await ana.comment("comment_create", reply), replies[0]);
    });

    it("all of it is there by HTTP", async () => {
      await scene("by http");
      const as = (user) => (method, path, body) => send(server, { user }, method, path, body);
      const [ana, ben] = [as("ana"), as("ben")];
      const created = await ana("POST", "/documents/by%20http/threads", { body: "one", quote: "text" });
      assert.equal(created.status, 201);
      const { id, comments } = created.thread;
      const [{ id: comment }] = comments;
      const reply = await ben("POST", `/threads/${id}/comments`, { body: "two" });
      assert.equal(reply.status, 201);
      assert.equal((await ana("PATCH", `/comments/${comment}`, { body: "one, edited" })).comment.body, "one, edited");
      const reactions = `/comments/${comment}/reactions/${encodeURIComponent("👩‍🚀")}`;
      assert.deepEqual((await ben("PUT", reactions)).comment.reactions, { "👩‍🚀": ["ben"] });
      assert.deepEqual((await ben("DELETE", reactions)).comment.reactions, {});
      assert.equal((await ben("POST", `/threads/${id}/resolve`)).thread.status, "resolved");
      const list = await ben("GET", "/documents/by%20http/threads?status=resolved&limit=1");
      assert.deepEqual(
        list.threads.map((thread) => [thread.id, thread.comments.length]),
        [[id, 2]],
      );
      assert.equal((await ben("GET", "/documents/by%20http/threads?status=open")).threads.length, 0);
      assert.equal((await ben("POST", `/threads/${id}/reopen`)).thread.status, "open");
      assert.equal((await ben("PATCH", `/comments/${comment}`, { body: "x" })).status, 403);
      assert.equal((await ben("DELETE", `/comments/${reply.comment.id}`)).status, 200);
      assert.equal((await ben("DELETE", `/threads/${id}`)).status, 403);
      assert.equal((await ana("DELETE", `/threads/${id}`)).status, 200);
      assert.equal((await ana("GET", `/threads/${id}`)).status, 404);
      assert.equal((await ana("GET", "/threads/no-id")).status, 404);
      assert.equal((await ana("GET", "/documents/nowhere/threads")).status, 404);
      assert.equal((await ana("POST", "/documents/by%20http/threads", {})).error.field, "body");
      assert.equal((await ana("POST", "/documents/by%20http/threads", { body: "x".repeat(20_000) })).status, 413);
      const anonymous = await fetch(`${server.url}/api/v1/threads/${id}`);
      assert.equal(anonymous.status, 401);
    });

    it("people are notified once a comment, of what is new to them, and never of their own deeds", async () => {
      const [ana] = await scene("noticed");
      await send(server, { user: "ana" }, "PATCH", "/documents/noticed", { title: "Plan" });
      const people = {};
      for (const user of ["ben", "cleo", "dan"]) people[user] = await connect(server, { user });
      const { ben, cleo, dan } = people;
      const notices = (client) => client.named("notification").map(({ kind, title, count }) => [kind, title, count]);
      const thread = await ana.thread("thread_create", {
        room: "noticed",
        body: `first ${"word ".repeat(100)}`,
        mentions: ["ana", "ben"],
      });
      const [mention] = await until(
        "Ben is told",
        () => ben.named("notification").length > 0 && ben.named("notification"),
      );
      assert.deepEqual([mention.kind, mention.title], ["mention", "ana's name mentioned you in “Plan”"]);
      assert.deepEqual([mention.room, mention.thread_id, mention.actor.id], ["noticed", thread.id, "ana"]);
      assert.equal([...mention.body].length, 200);
      assert.ok(mention.body.startsWith("first word word"));
      // Ben replies and mentions Cleo: Ana learns of a reply, Cleo of the mention alone.
      const reply = await ben.comment("comment_create", { thread_id: thread.id, body: "second", mentions: ["cleo"] });
      await until(
        "Ana and Cleo are told",
        () => ana.named("notification").length > 0 && cleo.named("notification").length > 0,
      );
      assert.deepEqual(notices(ana), [["reply", "ben's name replied in “Plan”", 1]]);
      assert.deepEqual(notices(cleo), [["mention", "ben's name mentioned you in “Plan”", 1]]);
      // An edit tells only who is new in it.
      await ben.comment("comment_edit", { comment_id: reply.id, body: "second, for Dan", mentions: ["cleo", "dan"] });
      await until("Dan is told", () => dan.named("notification").length > 0);
      assert.deepEqual(notices(dan), [["mention", "ben's name mentioned you in “Plan”", 1]]);
      await dan.comment("comment_edit", { comment_id: reply.id, body: "x" }).then(
        () => assert.fail("Dan edits another's text"),
        () => {},
      );
      // Everybody who takes part learns of the end.
      await ana.thread("thread_resolve", { thread_id: thread.id });
      for (const client of [ben, cleo, dan]) {
        await until("everybody is told", () => notices(client).some(([kind]) => kind === "thread_resolved"));
      }
      assert.deepEqual(notices(cleo).length, 2);
      assert.deepEqual(notices(ana).length, 1, "nobody is told of their own deeds");
      // A second reply is folded into the first one.
      await dan.comment("comment_create", { thread_id: thread.id, body: "third" });
      await until("Ana is told again", () => ana.named("notification").length === 2);
      assert.deepEqual(notices(ana)[1], ["reply", "dan's name replied in “Plan”", 2]);
    });

    it("an anchor is orphaned when stock Yjs finds nothing between its positions", async () => {
      const [ana, ben] = await scene("anchored");
      const { doc, text } = ana.room;
      const xml = doc.getXmlFragment("prosemirror");
      const paragraph = (at) => xml.get(at).get(0);
      await ana.room.edit(() => {
        text.insert(0, "one two three 🦀 four");
        for (const words of ["first paragraph", "second paragraph", "third paragraph"]) {
          const element = new Y.XmlElement("paragraph");
          element.insert(0, [new Y.XmlText(words)]);
          xml.push([element]);
        }
      });
      const anchors = {
        "a word": anchor(text, 4, 7),
        "a word, closed to the left": anchor(text, 4, 7, -1),
        "an emoji": anchor(text, 14, 16),
        "to the end": anchor(text, 8, text.length),
        "all of it": anchor(text, 0, text.length),
        "in the first paragraph": anchor(paragraph(0), 0, 5),
        "the whole second paragraph": anchor(paragraph(1), 0, paragraph(1).length),
        "over two paragraphs": { start: anchor(paragraph(0), 2, 2).start, end: anchor(paragraph(1), 5, 5).end },
        "all paragraphs": anchor(xml, 0, 3),
      };
      for (const [quote, anchor] of Object.entries(anchors)) {
        const thread = await ana.thread("thread_create", { room: "anchored", body: quote, quote, anchor });
        assert.equal(thread.orphaned, false, quote);
      }
      const states = async () => {
        const { threads } = await ben.ok("thread_list", { room: "anchored" });
        return Object.fromEntries(threads.map(({ quote, orphaned }) => [quote, orphaned]));
      };
      const expected = () => Object.fromEntries(Object.entries(anchors).map(([name, of]) => [name, isGone(doc, of)]));
      const steps = [
        ["text is typed before and in them", () => (text.insert(0, "zero "), text.insert(10, "x"))],
        ["a word is deleted", () => text.delete(9, 4)],
        ["the emoji is deleted", () => text.delete(text.toString().indexOf("🦀"), 2)],
        ["words of a paragraph are deleted", () => paragraph(0).delete(0, 5)],
        ["the second paragraph is deleted", () => xml.delete(1, 1)],
        ["the first paragraph is deleted", () => xml.delete(0, 1)],
        ["everything is deleted", () => (text.delete(0, text.length), xml.delete(0, xml.length))],
        ["something else is written", () => text.insert(0, "new")],
      ];
      let gone = 0;
      for (const [step, change] of steps) {
        await ana.room.edit(change);
        assert.deepEqual(await states(), expected(), step);
        gone = Math.max(gone, Object.values(expected()).filter(Boolean).length);
      }
      assert.equal(gone, Object.keys(anchors).length, "in the end all are gone");
      // The room answers as well when nobody has the document open.
      closeClients();
      await server.kill9();
      await server.launch();
      const { threads } = await send(server, { user: "ana" }, "GET", "/documents/anchored/threads");
      assert.deepEqual(Object.fromEntries(threads.map(({ quote, orphaned }) => [quote, orphaned])), expected());
      const [{ id }] = threads.filter(({ quote }) => quote === "an emoji");
      assert.equal(
        (await send(server, { user: "ana" }, "GET", `/threads/${id}`)).thread.orphaned,
        isGone(doc, anchors["an emoji"]),
      );
      assert.equal(
        (await send(server, { user: "ana" }, "POST", `/threads/${id}/resolve`)).thread.orphaned,
        isGone(doc, anchors["an emoji"]),
      );
    });

    it("an anchor in text that is still on its way is not orphaned", async () => {
      const [ana] = await scene("on its way");
      const offline = new Y.Doc();
      offline.getText("text").insert(0, "typed offline");
      const of = anchor(offline.getText("text"), 0, 5);
      const thread = await ana.thread("thread_create", { room: "on its way", body: "early", anchor: of });
      assert.equal(thread.orphaned, false);
      const late = await ana.join("on its way", offline);
      await until("it has arrived", () => late.unacknowledged === 0);
      const read = async () => (await ana.ok("thread_list", { room: "on its way" })).threads[0].orphaned;
      assert.equal(await read(), false);
      await late.edit(({ text }) => text.delete(0, 5));
      assert.equal(await read(), true);
    });

    it("all pages together have every thread once, the newest first", async () => {
      const [ana] = await scene("pages");
      const ids = [];
      for (let n = 0; n < 23; n += 1) {
        const { id } = await ana.thread("thread_create", { room: "pages", body: `${n}` });
        ids.unshift(id);
        if (n % 3 === 0) await ana.thread("thread_resolve", { thread_id: id });
      }
      const all = async (request) => {
        const met = [];
        let cursor;
        do {
          const page = await ana.ok("thread_list", { room: "pages", ...request, cursor });
          assert.ok(page.threads.length <= (request.limit ?? 50));
          for (const { comments } of page.threads) assert.equal(comments.length, 1);
          met.push(...page.threads.map(({ id }) => id));
          cursor = page.next_cursor;
        } while (cursor);
        return met;
      };
      for (const limit of [1, 7, 23, 100, undefined]) assert.deepEqual(await all({ limit }), ids, `${limit} a page`);
      const [open, resolved] = [await all({ limit: 4, status: "open" }), await all({ limit: 3, status: "resolved" })];
      assert.deepEqual([open.length, resolved.length], [15, 8]);
      assert.deepEqual([...open, ...resolved].sort(), [...ids].sort());
    });

    it("a page ends early when its texts are long, and every comment and reaction is in it", async () => {
      const [ana] = await scene("long");
      for (let thread = 0; thread < 3; thread += 1) {
        const { id, comments } = await ana.thread("thread_create", { room: "long", body: `${thread}` });
        await ana.comment("reaction_add", { comment_id: comments[0].id, emoji: "👀" });
        for (let n = 0; n < 40; n += 1) {
          await ana.comment("comment_create", { thread_id: id, body: `${n}`.padEnd(16_384, "x") });
        }
      }
      const first = await ana.ok("thread_list", { room: "long" });
      assert.deepEqual(
        first.threads.map(({ comments }) => comments[0].body),
        ["2", "1"],
      );
      for (const { comments } of first.threads) {
        assert.deepEqual(comments[0].reactions, { "👀": ["ana"] });
        assert.deepEqual(
          comments.slice(1).map(({ body }) => parseInt(body, 10)),
          Array.from({ length: 40 }, (_, n) => n),
        );
      }
      const second = await ana.ok("thread_list", { room: "long", cursor: first.next_cursor });
      assert.deepEqual(
        second.threads.map(({ comments }) => comments.length),
        [41],
      );
      assert.equal(second.next_cursor, undefined);
    });

    it("a thread has at most 1 MiB of text, a comment 20 emoji", async () => {
      const [ana, ben] = await scene("limits");
      const body = "x".repeat(16_384);
      const thread = await ana.thread("thread_create", { room: "limits", body: "few" });
      const comment_id = thread.comments[0].id;
      const emoji = Array.from({ length: 20 }, (_, n) => String.fromCodePoint(0x1f600 + n));
      for (const face of emoji) await ana.comment("reaction_add", { comment_id, emoji: face });
      assert.equal(await ana.code("reaction_add", { comment_id, emoji: "👍" }), "conflict");
      await ben.comment("reaction_add", { comment_id, emoji: emoji[0] });

      const large = await ana.thread("thread_create", { room: "limits", body });
      const [{ id: first }] = large.comments;
      for (let n = 1; n < 64; n += 1) await ana.comment("comment_create", { thread_id: large.id, body });
      assert.equal(await ana.code("comment_create", { thread_id: large.id, body: "x" }), "too_large");
      assert.equal(await ana.code("reaction_add", { comment_id: first, emoji: "👍" }), "too_large");
      await ana.comment("comment_edit", { comment_id: first, body: "short" });
      await ana.comment("reaction_add", { comment_id: first, emoji: "👍" });
      assert.equal(await ana.code("comment_edit", { comment_id: first, body }), "too_large");
      await ana.ok("comment_delete", { comment_id: first });
      await ana.comment("comment_create", { thread_id: large.id, body });
      assert.equal(await ana.code("comment_create", { thread_id: large.id, body: "x" }), "too_large");
    });

    it("a document has at most 20,000 threads, a thread 500 comments", async () => {
      const [ana] = await scene("full");
      const { id, comments } = await ana.thread("thread_create", { room: "full", body: "one" });
      closeClients();
      assert.equal((await server.stop()).code, 0);
      const many = (count) =>
        `with recursive n(i) as (select 1 union all select i + 1 from n where i < ${count})
         select '00000000-0000-7000-8000-' || (100000000000 + i)`;
      const url = server.env.DATABASE_URL;
      database.run(
        url,
        `insert into thread (thread_id, document_id, created_by, created_at, comments, body_bytes)
         ${many(19_998)}, document_id, created_by, created_at, 1, 1 from n, thread where thread_id = '${id}'`,
      );
      database.run(
        url,
        `insert into comment (comment_id, thread_id, author_id, body, mentions, created_at)
         ${many(498)}, thread_id, author_id, 'more', '[]', created_at from n, comment
         where comment_id = '${comments[0].id}'`,
      );
      database.run(url, `update thread set comments = 499 where thread_id = '${id}'`);
      await server.launch();
      const later = await connect(server, { user: "ana" });
      await later.thread("thread_create", { room: "full", body: "the last thread" });
      assert.equal(await later.code("thread_create", { room: "full", body: "one too many" }), "conflict");
      await later.comment("comment_create", { thread_id: id, body: "the last comment" });
      assert.equal(await later.code("comment_create", { thread_id: id, body: "one too many" }), "conflict");
      const { threads } = await later.ok("thread_list", { room: "full", limit: 2 });
      const bodies = threads.map((thread) => [thread.comments.length, thread.comments.at(-1).body]);
      assert.deepEqual(bodies, [
        [1, "the last thread"],
        [500, "the last comment"],
      ]);
    });
  });
}
