// Documents with titles and a trash: by HTTP, and as events to the team. Sections 3 and 7 of the protocol.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { databases, sqlite } from "@realtime-server/harness/databases";
import { suiteServer } from "@realtime-server/harness/suite";
import { token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";
import { Client, checkError, closeClients } from "./support/client.mjs";
import { RawSocket } from "./support/raw.mjs";

const DOCUMENTS = "/api/v1/documents";
/** How often a team is told that a document is edited. */
const NOTICE_EVERY_MS = 5_000;
const EVENTS = ["document_created", "document_changed", "document_deleted", "room_closed"];

/** The requests of one person. */
class Caller {
  constructor(server, person) {
    this.server = server;
    this.person = person;
  }

  async send(method, path, body) {
    const response = await fetch(this.server.url + DOCUMENTS + path, {
      method,
      headers: { authorization: `Bearer ${token(this.person)}` },
      body: typeof body === "string" ? body : body && JSON.stringify(body),
    });
    assert.equal(response.headers.get("cache-control"), "no-store");
    return { status: response.status, body: await response.json() };
  }

  /** A request that has to succeed; its document. */
  async ok(method, path, body) {
    const answer = await this.send(method, path, body);
    assert.ok(answer.status === 200 || answer.status === 201, `${method} ${path}: ${JSON.stringify(answer)}`);
    assert.equal(answer.body.ok, true);
    return answer.body.document;
  }

  /** A request that has to be refused; `status code`, and the field where there is one. */
  async refusal(method, path, body) {
    const { status, body: answer } = await this.send(method, path, body);
    const { code, field } = checkError(answer.error);
    return [status, code, field].filter(Boolean).join(" ");
  }

  async rooms(query = "") {
    const { status, body } = await this.send("GET", query);
    assert.equal(status, 200, JSON.stringify(body));
    return body.documents.map(({ room }) => room);
  }
}

/** A client that keeps the events about documents in their order. */
async function listener(server, person) {
  const client = await Client.connect(server, { person });
  client.events = [];
  for (const name of EVENTS) client.socket.on(name, (payload) => client.events.push({ name, ...payload }));
  client.names = (room) => client.events.filter((event) => event.room === room).map(({ name }) => name);
  return client;
}

for (const database of databases) {
  describe(`documents with titles on ${database.name}`, () => {
    const server = suiteServer({ database });
    afterEach(closeClients);

    const caller = (person) => new Caller(server, person);

    it("a document is created with a title, found, given another title, and loses it", async () => {
      const ana = caller({ name: "Ana Li" });
      const created = await ana.send("PUT", "/plan", { title: "  Launch plan " });
      assert.equal(created.status, 201);
      const { document, permission } = created.body;
      assert.equal(permission, "edit");
      assert.equal(document.title, "Launch plan");
      assert.deepEqual(document.created_by, { id: "ana", name: "Ana Li" });
      assert.equal(document.deleted_at, undefined);
      assert.deepEqual(await caller({ user: "ben", role: "viewer" }).ok("GET", "/plan"), document);

      const again = await ana.send("PUT", "/plan");
      assert.deepEqual([again.status, again.body.document], [200, document], "it exists and is not changed");
      assert.equal((await ana.ok("PUT", "/plan", { title: "Plan B" })).title, "Plan B");
      assert.equal((await ana.ok("PATCH", "/plan", { title: "Plan C" })).title, "Plan C");
      assert.equal((await ana.ok("PATCH", "/plan", { title: null })).title, undefined);
      const { title, ...rest } = document;
      assert.deepEqual(await ana.ok("GET", "/plan"), rest, `only the title ${title} has changed`);
    });

    it("join_room answers with the title of the moment, and the members are told of each new one", async () => {
      const ana = caller();
      await ana.ok("PUT", "/titled", { title: "One" });
      const ben = await listener(server, { user: "ben" });
      const room = await ben.join("titled");
      assert.equal(room.joined.document.title, "One");
      assert.equal(room.joined.document.document_id, room.joined.document_id);
      await ana.ok("PATCH", "/titled", { title: "Two" });
      const changed = await until("Ben is told", () => ben.events.find(({ by }) => by && ben.events.length > 0));
      assert.equal(changed.name, "document_changed");
      assert.equal(changed.document.title, "Two");
      assert.equal(changed.by.id, "ana");
      assert.ok(Number.isInteger(changed.event_id));
      await ana.ok("PATCH", "/titled", { title: "Two" });
      const late = await (await Client.connect(server, { person: { user: "eve" } })).join("titled");
      assert.equal(late.joined.document.title, "Two");
      await ana.ok("PATCH", "/titled", { title: "Three" });
      await until("Ben is told of the third", () => ben.events.length >= 2);
      assert.deepEqual(
        ben.events.map(({ document }) => document.title),
        ["Two", "Three"],
        "once each, and not of a title that it had already",
      );
    });

    it("the team is told what is created, edited and deleted, except of what one may not view", async () => {
      const ben = await listener(server, { user: "ben" });
      const blind = await listener(server, { user: "eve", documents: { told: "none" } });
      const rival = await listener(server, { user: "zoe", team: "rival" });
      const ana = await Client.connect(server, { person: { user: "ana", name: "Ana" } });
      const room = await ana.join("told");
      const { document_id } = room.joined;
      const created = await until("it is created", () => ben.events[0]);
      assert.equal(created.name, "document_created");
      assert.equal(created.document.created_by.name, "Ana");
      await room.edit(({ text }) => text.insert(0, "a word"));
      const edited = await until("it is edited", () => ben.events[1]);
      assert.equal(edited.name, "document_changed");
      assert.equal(edited.event_id, undefined, "it is not kept");
      assert.ok(edited.document.updated_at > created.document.updated_at);
      // The next notice comes later, with the last edit; where a slow machine takes longer for the edits, there are more.
      const began = performance.now();
      for (let n = 0; n < 5; n += 1) await room.edit(({ text }) => text.insert(0, "more "));
      const most = 3 + Math.floor((performance.now() - began) / NOTICE_EVERY_MS);
      const { updated_at } = await caller().ok("GET", "/told");
      await until("the last edit is told", () => ben.events.at(-1).document.updated_at >= updated_at);
      assert.ok(ben.events.length <= most, `${ben.events.length - 2} notices for five edits`);
      await caller().ok("DELETE", "/told");
      const deleted = await until("it is deleted", () => ben.events.find(({ name }) => name === "document_deleted"));
      assert.equal(deleted.document_id, document_id);
      assert.equal(deleted.by.id, "ana");
      assert.ok(deleted.document.deleted_at);
      await caller({ user: "zoe", team: "rival" }).ok("PUT", "/last");
      await until("the rival has its own event", () => rival.events.length > 0);
      assert.deepEqual(rival.names("told"), []);
      await caller().ok("PUT", "/seen-by-all");
      await until("Eve sees another one", () => blind.names("seen-by-all").length > 0);
      assert.deepEqual(blind.names("told"), []);
    });

    it("a deleted document closes its room, and is restored with its content and its id", async () => {
      const [ana, ben] = [await listener(server, { user: "ana" }), await listener(server, { user: "ben" })];
      const room = await ana.join("doomed");
      const { document_id } = room.joined;
      const bens = await ben.join("doomed");
      await room.edit(({ text }) => text.insert(0, "kept"));
      const deleted = await caller().ok("DELETE", "/doomed");
      assert.equal(deleted.document_id, document_id);
      for (const client of [ana, ben]) {
        await until("the room is closed", () => client.events.find(({ name }) => name === "room_closed"));
        assert.deepEqual(client.names("doomed").slice(-2), ["document_deleted", "room_closed"]);
        assert.equal(client.events.at(-1).code, "not_found");
      }
      assert.equal((await ben.refusal("leave_room", "doomed")).code, "conflict", "nobody is in the room");
      assert.equal((await caller().ok("GET", "/doomed")).deleted_at, deleted.deleted_at);
      assert.ok(!(await caller().rooms()).includes("doomed"));
      assert.deepEqual(await caller().rooms("?trash=true&q=doomed"), ["doomed"]);
      const viewer = await Client.connect(server, { person: { user: "vic", role: "viewer" } });
      assert.equal((await viewer.refusal("join_room", "doomed")).code, "not_found");

      const restored = await caller().ok("POST", "/doomed/restore");
      assert.equal(restored.document_id, deleted.document_id);
      assert.equal(restored.deleted_at, undefined);
      await until("its return is told", () => ben.names("doomed").at(-1) === "document_created");
      const again = await viewer.join("doomed");
      assert.equal(again.text.toString(), "kept");
      assert.equal(again.joined.document_id, document_id);
      assert.deepEqual(bens.faults, []);
    });

    it("another document may have a deleted one's name; then that is restored only once it is free", async () => {
      const ana = await Client.connect(server, { person: { user: "ana" } });
      const first = await ana.join("twice");
      const { document_id } = first.joined;
      await first.edit(({ text }) => text.insert(0, "first"));
      await caller().ok("DELETE", "/twice");
      const second = await (await Client.connect(server, { person: { user: "ben" } })).join("twice");
      assert.notEqual(second.joined.document_id, document_id);
      assert.equal(second.text.toString(), "");
      await second.edit(({ text }) => text.insert(0, "second"));
      assert.equal(await caller().refusal("POST", "/twice/restore"), "409 conflict");
      await caller({ user: "ben" }).ok("DELETE", "/twice");
      assert.deepEqual(await caller({ role: "admin" }).rooms("?trash=true&q=twice"), ["twice", "twice"]);
      const restored = await caller().ok("POST", "/twice/restore", { document_id });
      assert.equal(restored.document_id, document_id);
      const joined = await (await Client.connect(server, { person: { user: "eve" } })).join("twice");
      assert.equal(joined.text.toString(), "first");
    });

    it("an event of the team does not end the download of a large document, and is not missed in silence", async () => {
      const writer = await Client.connect(server, { person: { user: "ana" } });
      const room = await writer.join("large");
      for (let part = 0; part < 8; part += 1) {
        await room.edit(({ map }) => map.set(`${part}`, "x".repeat(1.9 * 2 ** 20)));
      }
      const raw = await RawSocket.connect(server, { user: "slow" });
      raw.webSocket.pause();
      raw.send('421["join_room","large"]');
      await until("it has joined", async () => (await writer.ok("join_room", "large")).members.length === 2);
      await caller().ok("PUT", "/meanwhile");
      await caller().ok("PATCH", "/large", { title: "Larger" });
      await caller().ok("GET", "/large");
      raw.webSocket.resume();
      await until("the document is there", () => raw.frames.some((frame) => frame.length > 15 * 2 ** 20));
      const has = (name) => raw.frames.some((frame) => String(frame.slice(0, 60)).includes(name));
      await until("it has the event, or is made to connect again", () => has("document_created") || raw.closed);
      raw.close();
    });

    it("of restorations and creations at once one has the name", async () => {
      for (let round = 0; round < 10; round += 1) {
        const path = `/contested-${round}`;
        const ids = [];
        for (let n = 0; n < 3; n += 1) {
          await caller().ok("PUT", path);
          ids.push((await caller().ok("DELETE", path)).document_id);
        }
        const restoring = ids.map((document_id) => caller().send("POST", `${path}/restore`, { document_id }));
        const [created, ...restored] = await Promise.all([caller().send("PUT", path), ...restoring]);
        assert.ok([200, 201].includes(created.status), "whoever comes second finds the document");
        const statuses = restored.map(({ status }) => status);
        const wins = statuses.filter((status) => status === 200).length;
        assert.equal(wins + (created.status === 201 ? 1 : 0), 1, statuses.join());
        assert.ok(
          statuses.every((status) => status === 200 || status === 409),
          statuses.join(),
        );
      }
    });

    it("an edit that is on its way while its document is deleted is refused or durable, never both", async () => {
      for (let round = 0; round < 10; round += 1) {
        const name = `race-${round}`;
        const writer = await Client.connect(server, { person: { user: "ana" } });
        const room = await writer.join(name);
        await room.edit(({ text }) => text.insert(0, "0"));
        const deleting = caller().ok("DELETE", `/${name}`);
        const edits = Array.from({ length: 20 }, () => room.edit(({ text }) => text.insert(0, "x")));
        const answers = await Promise.allSettled(edits);
        await deleting;
        const accepted = answers.filter(({ status }) => status === "fulfilled").length;
        for (const { code } of room.refusals) assert.ok(["not_found", "conflict"].includes(code), code);
        await caller().ok("POST", `/${name}/restore`);
        const reader = await (await Client.connect(server, { person: { user: "ben" } })).join(name);
        assert.ok(reader.text.length >= accepted + 1, `${accepted} were acknowledged: ${reader.text}`);
        closeClients();
      }
    });

    it("rights: who may view, edit, delete and restore", async () => {
      await caller().ok("PUT", "/rights", { title: "Rights" });
      const [viewer, reviewer] = [caller({ user: "vic", role: "viewer" }), caller({ user: "rex", role: "reviewer" })];
      const none = caller({ user: "eve", documents: { rights: "none" } });
      const [editor, admin] = [caller({ user: "ben" }), caller({ user: "ada", role: "admin" })];
      for (const [who, method, expected] of [
        [none, "GET", "403 forbidden"],
        [viewer, "PUT", "403 forbidden"],
        [reviewer, "PATCH", "403 forbidden"],
        [editor, "DELETE", "403 forbidden"],
        [none, "DELETE", "403 forbidden"],
      ]) {
        const body = method === "PATCH" ? { title: "Mine" } : undefined;
        assert.equal(await who.refusal(method, "/rights", body), expected, `${who.person.user} ${method}`);
      }
      assert.equal((await editor.ok("PATCH", "/rights", { title: "Edited" })).title, "Edited");
      await admin.ok("DELETE", "/rights");
      assert.equal(await editor.refusal("POST", "/rights/restore"), "403 forbidden");
      assert.deepEqual(await editor.rooms("?trash=true&q=edited"), []);
      assert.deepEqual(await caller().rooms("?trash=true&q=edited"), ["rights"], "its creator may");
      await caller().ok("POST", "/rights/restore");
      await caller().ok("DELETE", "/rights");
      await admin.ok("POST", "/rights/restore");
      const rival = caller({ user: "zoe", team: "rival", role: "admin" });
      assert.equal(await rival.refusal("GET", "/rights"), "404 not_found");
      assert.equal(await rival.refusal("DELETE", "/rights"), "404 not_found");
      assert.equal(await rival.refusal("POST", "/rights/restore"), "404 not_found");
    });

    it("lists are searched and sorted, and paged in each order", async () => {
      const ana = caller({ team: "sorted" });
      const titles = ["Zebra", "apple", "Mango tree", undefined, "Äpfel", "mango leaf"];
      for (const [n, title] of titles.entries()) await ana.ok("PUT", `/doc-${n}`, { title });
      assert.deepEqual(await ana.rooms("?sort=title"), ["doc-1", "doc-3", "doc-5", "doc-2", "doc-0", "doc-4"]);
      assert.deepEqual(await ana.rooms("?sort=created"), ["doc-5", "doc-4", "doc-3", "doc-2", "doc-1", "doc-0"]);
      assert.deepEqual(await ana.rooms("?q=MANGO&sort=title"), ["doc-5", "doc-2"]);
      assert.deepEqual(await ana.rooms(`?q=${encodeURIComponent("äPF")}`), ["doc-4"]);
      assert.deepEqual(await ana.rooms("?q=doc-3"), ["doc-3"], "one without a title is found by its name");
      assert.deepEqual(await ana.rooms("?q=doc-1"), [], "one with a title is not");
      for (const sort of ["updated", "created", "title"]) {
        const all = await ana.rooms(`?sort=${sort}`);
        const paged = [];
        let cursor = "";
        do {
          const { body } = await ana.send("GET", `?sort=${sort}&limit=2${cursor}`);
          paged.push(...body.documents.map(({ room }) => room));
          cursor = body.next_cursor && `&cursor=${body.next_cursor}`;
        } while (cursor);
        assert.deepEqual(paged, all, sort);
      }
      const { body } = await ana.send("GET", "?sort=title&limit=1");
      assert.equal(await ana.refusal("GET", `?cursor=${body.next_cursor}`), "400 invalid cursor");
      for (const query of ["?sort=name", "?sort=deleted", "?trash=maybe", "?trash=true&sort=title"]) {
        assert.match(await ana.refusal("GET", query), /^400 invalid (sort|trash)$/, query);
      }
      assert.equal(await ana.refusal("GET", `?q=${"x".repeat(256)}`), "400 invalid q");
    });

    it("malformed requests are refused with the field, and change nothing", async () => {
      const ana = caller({ team: "malformed" });
      await ana.ok("PUT", "/here", { title: "Here" });
      for (const [method, path, body, expected] of [
        ["PATCH", "/here", undefined, "400 invalid title"],
        ["PATCH", "/here", { title: 7 }, "400 invalid title"],
        ["PATCH", "/here", { title: " " }, "400 invalid title"],
        ["PATCH", "/here", { title: "a\nb" }, "400 invalid title"],
        ["PUT", "/here", { title: "x".repeat(256) }, "400 invalid title"],
        ["PUT", "/here", "{", "400 invalid body"],
        ["PUT", "/here", "[]", "400 invalid body"],
        ["PUT", "/here", `"${"x".repeat(17_000)}"`, "413 too_large"],
        ["PUT", "/a%2Cb", undefined, "400 invalid room"],
        ["PUT", "/%FF", undefined, "400 invalid room"],
        ["PATCH", "/nowhere", { title: "x" }, "404 not_found"],
        ["DELETE", "/nowhere", undefined, "404 not_found"],
        ["GET", "/nowhere", undefined, "404 not_found"],
        ["POST", "/here/restore", undefined, "404 not_found"],
        ["POST", "/here/restore", { document_id: "no id" }, "400 invalid document_id"],
      ]) {
        assert.equal(await ana.refusal(method, path, body), expected, `${method} ${path} ${JSON.stringify(body)}`);
      }
      assert.deepEqual(await ana.rooms(), ["here"]);
      assert.equal((await ana.ok("GET", "/here")).title, "Here");
      assert.equal((await ana.ok("PUT", "/a%2Fb", { title: "A slash" })).room, "a/b");
    });
  });
}

describe("documents that only the API creates", () => {
  const server = suiteServer({ database: sqlite, env: { DOCUMENT_CREATION: "api" } });
  afterEach(closeClients);

  it("an unknown document is neither joined nor written to, and is after it was created", async () => {
    const ana = await Client.connect(server, { person: { user: "ana" } });
    assert.equal((await ana.refusal("join_room", "strict")).code, "not_found");
    const update = await fetch(`${server.url}${DOCUMENTS}/strict/updates`, {
      method: "POST",
      headers: { authorization: `Bearer ${token()}`, "content-type": "application/octet-stream" },
      body: new Uint8Array([0, 0]),
    });
    assert.equal(update.status, 404);
    const caller = new Caller(server, { user: "ben" });
    await caller.ok("PUT", "/strict", { title: "Strict" });
    const room = await ana.join("strict");
    assert.equal(room.joined.document.title, "Strict");
    await room.edit(({ text }) => text.insert(0, "written"));
    await caller.ok("DELETE", "/strict");
    await until("the room is closed", () => room.closed.length === 1);
    assert.equal((await ana.refusal("join_room", "strict")).code, "not_found");
  });
});
