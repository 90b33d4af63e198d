// The documents of a team: listed, named, removed and restored, and a list that follows what others do.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, afterEach, describe, it } from "node:test";
import { RealtimeError } from "@realtime-server/client";
import { Network } from "@realtime-server/harness/network";
import { freePort } from "@realtime-server/harness/process";
import { suiteServer } from "@realtime-server/harness/suite";
import { token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";
import { Relay } from "./support/relay.mjs";
import { client, closeAll, join, open, text } from "./support/scene.mjs";

const names = ({ documents }) => documents?.map(({ title, room }) => title ?? room);

/** Subscribes to a live value, as a component does; all subscriptions end after the test. */
const subscriptions = [];
function watch(live) {
  subscriptions.push(live.subscribe(() => {}));
  return live;
}

async function end() {
  for (const unsubscribe of subscriptions.splice(0)) unsubscribe();
  closeAll();
}

/** A client of a team of its own, so that its list has only the documents of one test. */
async function member(server, team, person) {
  const made = client(server, { person: { team, ...person } });
  await made.whenConnected();
  return made;
}

describe("the documents of a team", () => {
  const server = suiteServer();
  afterEach(end);

  it("are created with a title, found, renamed, removed and restored", async () => {
    const { documents } = await member(server, "one");
    const made = await documents.create("a room/of ours", { title: "Plan" });
    assert.deepEqual([made.room, made.title, made.created_by.id], ["a room/of ours", "Plan", "ana"]);
    assert.equal(made.permission, "edit");
    assert.deepEqual(await documents.get(made.room), made);
    assert.equal((await documents.rename(made.room, "The plan")).title, "The plan");
    assert.equal((await documents.rename(made.room, null)).title, undefined);
    await documents.rename(made.room, "Last plan");
    assert.deepEqual(names(await documents.list({ q: "LAST", sort: "title", limit: 5 })), ["Last plan"]);
    assert.deepEqual(names(await documents.list({ q: "first" })), []);
    assert.ok((await documents.remove(made.room)).deleted_at);
    assert.deepEqual(names(await documents.list()), []);
    assert.deepEqual(names(await documents.list({ trash: true })), ["Last plan"]);
    assert.ok((await documents.get(made.room)).deleted_at);
    const restored = await documents.restore(made.room, { documentId: made.document_id });
    assert.deepEqual([restored.document_id, restored.deleted_at], [made.document_id, undefined]);
  });

  it("come in pages", async () => {
    const { documents } = await member(server, "pages");
    for (const room of ["a", "b", "c"]) await documents.create(room);
    const found = [];
    let cursor;
    do {
      const page = await documents.list({ sort: "title", limit: 1, cursor });
      found.push(...names(page));
      cursor = page.next_cursor;
    } while (cursor);
    assert.deepEqual(found, ["a", "b", "c"]);
  });

  it("are refused with the code and the field of the server", async () => {
    const { documents } = await member(server, "refused");
    await documents.create("theirs");
    const refused = async (asked, expected) => {
      const error = await asked.then(() => assert.fail("it succeeded")).catch((error) => error);
      assert.ok(error instanceof RealtimeError, error.stack);
      assert.deepEqual({ code: error.code, field: error.field }, { field: undefined, ...expected });
    };
    await refused(documents.get("none"), { code: "not_found" });
    await refused(documents.create("theirs", { title: " " }), { code: "invalid", field: "title" });
    await refused(documents.get(".."), { code: "invalid", field: "room" });
    const viewer = await member(server, "refused", { user: "vic", role: "viewer" });
    await refused(viewer.documents.rename("theirs", "mine"), { code: "forbidden" });
    await refused(viewer.documents.remove("theirs"), { code: "forbidden" });
    await documents.remove("theirs");
    await documents.create("theirs");
    await refused(documents.restore("theirs"), { code: "conflict" });
  });

  it("need no connection, and a new token where the server does not accept the present one", async () => {
    const reasons = [];
    const own = client(server, {
      autoConnect: false,
      token(reason) {
        reasons.push(reason);
        return token({ team: "alone", ttl_s: reasons.length === 1 ? -3600 : 3600 });
      },
    });
    assert.deepEqual(names(await own.documents.list()), []);
    assert.deepEqual(reasons, ["request", "request"]);
  });

  it("use the token of the session, and another one where it is about to expire", async () => {
    const reasons = [];
    const own = client(server, { token: (reason) => (reasons.push(reason), token({ team: "tokens" })) });
    await own.whenConnected();
    await own.documents.list();
    assert.deepEqual(reasons, ["connect"]);
    const late = client(server, { token: (reason) => (reasons.push(reason), token({ team: "tokens", ttl_s: 4 })) });
    await late.whenConnected();
    await late.documents.list();
    assert.ok(reasons.includes("request"));
  });

  it("fail as disconnected, timeout, token_unavailable or with the reason of the signal", async () => {
    const away = client({ url: `http://127.0.0.1:${await freePort()}` }, { autoConnect: false });
    await assert.rejects(away.documents.list(), { code: "disconnected", retryable: true });
    const nobody = client(server, { autoConnect: false, token: () => Promise.reject(new TypeError("fetch failed")) });
    await assert.rejects(nobody.documents.list(), { code: "token_unavailable" });
    const silent = createServer(() => {}).listen(0, "127.0.0.1");
    after(() => silent.closeAllConnections() ?? silent.close());
    await until("it listens", () => silent.listening);
    const waiting = client({ url: `http://127.0.0.1:${silent.address().port}` }, { autoConnect: false });
    await assert.rejects(waiting.documents.list({ timeoutMs: 50 }), { code: "timeout" });
    const abort = new AbortController();
    const listed = waiting.documents.list({ signal: abort.signal });
    const gone = new Error("the user has gone");
    abort.abort(gone);
    await assert.rejects(listed, gone);
    await assert.rejects(waiting.documents.list({ signal: AbortSignal.abort(gone) }), gone);
  });

  it("fail as what a proxy means that answers in place of the server", async () => {
    const statuses = [502, 404, 429, 200];
    const proxy = createServer((_request, response) => response.writeHead(statuses.shift()).end("<html>"));
    after(() => proxy.close());
    proxy.listen(0, "127.0.0.1");
    await until("it listens", () => proxy.listening);
    const { documents } = client({ url: `http://127.0.0.1:${proxy.address().port}` }, { autoConnect: false });
    for (const code of ["disconnected", "not_found", "rate_limited", "invalid"]) {
      await assert.rejects(documents.list(), { code });
    }
  });
});

describe("a live list of documents", () => {
  const server = suiteServer();
  afterEach(end);

  it("shows what others create, name, remove and restore", async () => {
    const [ana, ben] = [await member(server, "live"), await member(server, "live", { user: "ben", role: "admin" })];
    const list = watch(ana.documents.watch());
    const trash = watch(ben.documents.watch({ trash: true }));
    const shows = (live, ...expected) =>
      until(`it shows ${expected}`, () => assert.deepEqual(names(live.getSnapshot()), expected) ?? true);
    await shows(list);
    await ben.documents.create("one", { title: "One" });
    await shows(list, "One");
    await ben.documents.create("two");
    await shows(list, "two", "One");
    assert.equal(list.getSnapshot().documents[0].permission, "edit");
    await ben.documents.rename("one", "First");
    await shows(list, "two", "First");
    await ben.documents.remove("one");
    await shows(list, "two");
    await shows(trash, "First");
    await ben.documents.restore("one");
    await shows(list, "two", "First");
    await shows(trash);
  });

  it("has only what matches its query, in its order", async () => {
    const { documents } = await member(server, "query");
    const list = watch(documents.watch({ q: "plan", sort: "title" }));
    const shows = (...expected) =>
      until(`it shows ${expected}`, () => assert.deepEqual(names(list.getSnapshot()), expected) ?? true);
    await documents.create("z", { title: "Plan Z" });
    await documents.create("other", { title: "Notes" });
    await documents.create("plan a");
    await shows("plan a", "Plan Z");
    await documents.rename("z", "Notes too");
    await shows("plan a");
    await documents.rename("other", "Plan B");
    await shows("plan a", "Plan B");
    await documents.rename("plan a", "Plan C");
    await shows("Plan B", "Plan C");
  });

  it("moves a document to the front when it is edited", async () => {
    const ana = await member(server, "edited");
    for (const room of ["old", "new"]) await ana.documents.create(room);
    const list = watch(ana.documents.watch());
    await until("both are there", () => names(list.getSnapshot())?.join() === "new,old");
    const writer = await join(server, "old", { person: { user: "ben", team: "edited" } });
    text(writer).insert(0, "news");
    await until("it is the first", () => names(list.getSnapshot()).join() === "old,new");
  });

  it("has missed nothing after a reconnect", async () => {
    const network = await Network.to(server);
    const ana = await member(network, "missed");
    const list = watch(ana.documents.watch());
    await until("it is fetched", () => list.getSnapshot().documents);
    network.cut();
    await until("it has noticed", () => ana.status === "connecting");
    await (await member(server, "missed", { user: "ben" })).documents.create("meanwhile");
    network.mend();
    await until("it is there", () => names(list.getSnapshot()).join() === "meanwhile");
    network.close();
  });

  it("loads more pages, and keeps them when something changes", async () => {
    const { documents } = await member(server, "long");
    await Promise.all(Array.from({ length: 60 }, (_, index) => documents.create(`room-${index}`)));
    const list = watch(documents.watch());
    await until("the first page is there", () => list.getSnapshot().documents?.length === 50);
    assert.equal(list.getSnapshot().hasMore, true);
    list.loadMore();
    assert.equal(list.getSnapshot().isLoadingMore, true);
    await until("all are there", () => list.getSnapshot().documents.length === 60);
    assert.deepEqual([list.getSnapshot().hasMore, list.getSnapshot().isLoadingMore], [false, false]);
    await documents.create("another");
    await until("it is there, too", () => list.getSnapshot().documents.length === 61);
  });

  it("tells the error, tries again, and does nothing once nobody subscribes", async () => {
    const network = await Network.to(server);
    network.cut();
    const ana = client(network, { person: { team: "failing" } });
    const list = ana.documents.watch();
    let told = 0;
    const unsubscribe = list.subscribe(() => (told += 1));
    await until("the error is told", () => list.getSnapshot().error?.code === "disconnected");
    assert.equal(list.getSnapshot().documents, undefined);
    network.mend();
    await until("it is fetched", () => list.getSnapshot().documents);
    assert.equal(list.getSnapshot().error, undefined);
    unsubscribe();
    await ana.whenConnected();
    const before = told;
    await ana.documents.create("unnoticed");
    const other = watch(ana.documents.watch());
    await until("another list has it", () => names(other.getSnapshot())?.join() === "unnoticed");
    assert.equal(told, before);
    network.close();
  });
});

describe("an open document", () => {
  const server = suiteServer();
  afterEach(end);

  it("knows its title and its owner, and is told of changes", async () => {
    const ana = await member(server, "titled");
    await ana.documents.create("named", { title: "Before" });
    const provider = open(ana, "named");
    await provider.whenSynced({ timeoutMs: 25_000 });
    assert.deepEqual([provider.state.document.title, provider.state.document.created_by.id], ["Before", "ana"]);
    const ben = await member(server, "titled", { user: "ben", role: "admin" });
    await ben.documents.rename("named", "After");
    await until("the title is new", () => provider.state.document.title === "After");
    await ben.documents.remove("named");
    await until("it has ended", () => provider.state.ended === "deleted");
    await assert.rejects(open(ben, "named-too").whenSynced({ timeoutMs: 1 }), { code: "timeout" });
    text(provider).insert(0, "too late");
    await assert.rejects(provider.whenSaved(), { code: "not_found" });
  });

  it("has the colour that the server gives to its user in the room, also at the caret", async () => {
    const people = ["ana", "ben", "cleo"].map((user) => ({ user, team: "coloured" }));
    const all = await Promise.all(people.map((person) => join(server, "coloured", { person })));
    assert.equal(new Set(all.map(({ state }) => state.color)).size, 3);
    const [{ awareness }] = all;
    for (const { doc, state } of all) {
      await until("it is at the caret", () => awareness.getStates().get(doc.clientID)?.user.color === state.color);
    }
  });

  it("is joined as soon as it is created, where it did not exist", async () => {
    const relay = new Relay();
    relay.instead = (event) => (event === "join_room" ? Relay.refusal("not_found") : undefined);
    const provider = open(relay, "room");
    await assert.rejects(provider.whenSynced(), { code: "not_found" });
    relay.instead = () => undefined;
    relay.tell("document_created", {});
    assert.equal(relay.of("join_room").length, 2, "it waits for its next attempt");
    await until("it is joined", () => provider.synced);
    relay.tell("document_created", {});
    assert.equal(relay.of("join_room").length, 2);
  });

  it("has another colour at the caret where the server gives another one in this room", async () => {
    const relay = new Relay();
    relay.color = "#0b6e63";
    const provider = open(relay, "room");
    await provider.whenSynced();
    assert.deepEqual([provider.state.color, provider.awareness.getLocalState().user.color], ["#0b6e63", "#0b6e63"]);
  });
});
