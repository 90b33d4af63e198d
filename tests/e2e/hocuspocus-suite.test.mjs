// The cases of the tests of Hocuspocus about its provider (`tests/provider` of ueberdosis/hocuspocus), on this server. Each
// test names the cases that it answers, by file and title. The cases about the server are in
// hocuspocus-server-suite.test.mjs. docs/stock-clients.md says what was left out, and lists the differences.
//
// They are about what a client sees, which is the same with every database, so they run on SQLite alone.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import * as Y from "yjs";
import { token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";
import { PEER_URL, differs, suitePeer } from "./support/peer.mjs";
import { HOCUSPOCUS_MAJORS, Hocuspocus, Socket, closeStock } from "./support/stock.mjs";
import { order, record, shown } from "./support/suites.mjs";

/** Provider 4 gathers what is written within this time, if it is told to. */
const FLUSH_MS = 100;
const UPDATE = "A document update";
const AWARENESS = "Awareness states update";

describe("the suite of Hocuspocus about its provider", () => {
  const server = suitePeer({ ROOM_IDLE_MS: 50 });
  afterEach(closeStock);

  const open = (room, options) => Hocuspocus.open(server, room, options);
  /** Opens documents one after the other, each for a person of its own. */
  const both = async (room, options) => [
    await open(room, { person: { user: "ana" }, ...options }),
    await open(room, { person: { user: "ben" }, ...options }),
  ];
  /** Waits until the server has handled all that `one` has sent: what comes after it has reached `other`. */
  const fence = async (one, other) => {
    one.provider.setAwarenessField("fence", (shown(one, one)?.fence ?? 0) + 1);
    await until("the fence is seen", () => shown(other, one)?.fence === shown(one, one).fence);
  };
  const view = (room, options) => open(room, { person: { user: "vera", role: "viewer" }, ...options });
  const change = (doc) => {
    doc.getMap("test").set("foo", "bar");
    return doc;
  };

  for (const major of HOCUSPOCUS_MAJORS) {
    describe(`provider ${major}`, () => {
      const name = (room) => `${room}-${major}`;

      // onOpen, onConnect, onMessage, onSynced: "… callback is executed"; onClose, onDisconnect: the same. Each in both forms.
      it("tells of the connection's events, by callbacks and to listeners", async () => {
        const called = new Set();
        const on = (event) => () => called.add(event);
        const events = ["Open", "Connect", "Message", "Synced", "Close", "Disconnect"];
        const callbacks = Object.fromEntries(events.map((event) => [`on${event}`, on(`callback ${event}`)]));
        const one = new Hocuspocus(server, name("events"), { major, ...callbacks });
        for (const event of events) one.provider.on(event.toLowerCase(), on(`listener ${event}`));
        await until("it is synchronised", () => one.provider.synced);
        assert.equal(called.size, 8, [...called].join());
        one.socket.provider.disconnect();
        await until("all have come", () => called.size === 12);
      });

      // onAuthenticated: "executes the onAuthenticated callback", "… a function that returns a promise", "… a string".
      it("is authenticated by a token, and by a function that returns one now or later", async () => {
        const given = token();
        for (const [number, form] of [given, () => given, async () => given].entries()) {
          const scopes = [];
          const onAuthenticated = ({ scope }) => scopes.push(scope);
          const one = new Hocuspocus(server, name(`token-${number}`), { major, token: form, onAuthenticated });
          await until("it is authenticated", () => one.provider.isAuthenticated);
          assert.deepEqual(scopes, ["read-write"]);
        }
      });

      // onAuthenticationFailed: "executes the onAuthenticationFailed callback".
      it("is told once that its token is refused, and stays connected", async () => {
        const reasons = [];
        const onAuthenticationFailed = ({ reason }) => reasons.push(reason);
        const one = new Hocuspocus(server, name("refused"), { major, token: "no-token", onAuthenticationFailed });
        await one.denied();
        assert.deepEqual(reasons, [differs({ ours: "unauthorized", theirs: "permission-denied" })]);
        assert.deepEqual([one.provider.isAuthenticated, one.socket.closes], [false, []]);
      });

      // onAuthenticationFailedRetry: "provider retries auth with token function after initial failure".
      it("gets in with a second token on the same connection", async () => {
        let asked = 0;
        const one = new Hocuspocus(server, name("retried"), {
          major,
          token: () => ((asked += 1) === 1 ? "no-token" : token()),
          async onAuthenticationFailed() {
            await one.provider.sendToken();
            one.provider.startSync();
          },
        });
        await until("it is in", () => one.provider.isAuthenticated && one.provider.synced);
        one.text.insert(0, "in");
        await one.saved();
        assert.deepEqual([asked, one.denials.length, one.socket.connects], [2, 1, 1]);
      });

      // onAuthenticationFailedRetry: "second provider with same doc name succeeds after first fails auth".
      it("opens a document that was denied to another provider of its connection", async () => {
        const socket = Object.assign(new Socket(server, { major }), { isShared: true });
        const denied = new Hocuspocus(server, name("second"), { socket, token: "no-token" });
        await denied.denied();
        const one = await open(name("second"), { socket });
        one.text.insert(0, "in");
        await one.saved();
        assert.deepEqual([denied.provider.isAuthenticated, one.denials], [false, []]);
      });

      // hasUnsyncedChanges: "initially doesn't have unsynced changes", "has unsynced changes when updating".
      it("counts a change from the moment that it is made, also before it is connected", async () => {
        const one = new Hocuspocus(server, name("counted"), { major });
        assert.deepEqual([one.provider.hasUnsyncedChanges, one.provider.synced], [false, false]);
        one.text.insert(0, "early");
        assert.equal(one.provider.hasUnsyncedChanges, true);
        await until("it is synchronised", () => one.provider.synced);
        await one.saved();
        one.text.insert(0, "late ");
        assert.equal(one.provider.hasUnsyncedChanges, true);
        await one.saved();
        assert.equal((await open(name("counted"), { major })).content, "late early");
      });

      // hasUnsyncedChanges: "… in readonly mode", "… in readonly mode and receiving external update".
      it("counts what a viewer changes for good, also while others write", async () => {
        const [writer, viewer] = [await open(name("viewed"), { major }), await view(name("viewed"), { major })];
        await viewer.saved();
        change(viewer.doc);
        await fence(viewer, writer);
        assert.equal(viewer.provider.unsyncedChanges, 1);
        writer.text.insert(0, "of others");
        await writer.saved();
        await until("the viewer has it", () => viewer.content === "of others");
        await fence(viewer, writer);
        assert.equal(viewer.provider.unsyncedChanges, 1);
        assert.equal(writer.doc.getMap("test").size, 0);
      });

      // hasUnsyncedChanges: "… in readonly mode and initial document has changed".
      it("counts what a viewer has changed before it connects for good", async () => {
        const [writer, doc] = [await open(name("brought"), { major }), change(new Y.Doc())];
        const viewer = await view(name("brought"), { major, doc });
        await fence(viewer, writer);
        assert.deepEqual([viewer.provider.hasUnsyncedChanges, writer.doc.getMap("test").size], [true, 0]);
      });

      // hasUnsyncedChanges: "… in readonly mode and initial document has changed (deletion)".
      it("counts what a viewer has deleted before it connects for good", async () => {
        const writer = await open(name("deleted"), { major });
        change(writer.doc);
        await writer.saved();
        const doc = new Y.Doc();
        Y.applyUpdate(doc, Y.encodeStateAsUpdate(writer.doc));
        doc.getMap("test").delete("foo");
        const viewer = await view(name("deleted"), { major, doc });
        await fence(viewer, writer);
        assert.equal(writer.doc.getMap("test").get("foo"), "bar");
        assert.equal(viewer.provider.hasUnsyncedChanges, true);
      });

      // hasUnsyncedChanges: "has no unsynced changes when in readonly mode and no changes", "… document has not changed".
      it("has nothing to count for a viewer that changes nothing, once it was answered", async () => {
        const counts = [];
        const onUnsyncedChanges = ({ number }) => counts.push(number);
        await open(name("unchanged"), { major });
        const viewer = await view(name("unchanged"), { major, onUnsyncedChanges });
        await viewer.saved();
        assert.deepEqual([counts[0], counts.at(-1)], [1, 0]);
      });

      // observe, observeDeep: "… is called just once", "… for every single change", "… once for a single transaction".
      it("observes each of its own changes once, and none again that comes from the server", async () => {
        const [one, other] = await both(name("observed"), { major });
        const type = one.doc.get("xmlText", Y.XmlText);
        const seen = { observe: 0, observeDeep: 0 };
        for (const how of Object.keys(seen)) type[how](() => (seen[how] += 1));
        const abc = () => [..."abc"].forEach((letter, at) => type.insert(at, letter));
        for (const [edit, expected] of [
          [() => type.insert(0, "a"), 1],
          [abc, 4],
          [() => one.doc.transact(abc), 5],
        ]) {
          edit();
          await one.saved();
          await fence(other, one);
          assert.deepEqual(seen, { observe: expected, observeDeep: expected });
        }
      });

      // onSynced: "… when the document is actually synced", "… even if it takes longer", "… even when the onConnect takes longer".
      it("has the content when it says that it is synchronised, also if the document has to be loaded", async () => {
        const writer = await open(name("loaded"), { major });
        writer.doc.getArray("foo").insert(0, ["bar"]);
        await writer.saved();
        const synced = async () => {
          const contents = [];
          const onSynced = () => contents.push(one.doc.getArray("foo").toJSON());
          const one = new Hocuspocus(server, name("loaded"), { major, onSynced });
          await until("it is synchronised", () => contents.length > 0);
          assert.deepEqual(contents, [["bar"]]);
          return one;
        };
        const reader = await synced();
        if (PEER_URL) return;
        for (const one of [writer, reader]) one.close();
        await until("it is not in memory", async () => (await server.metric("realtime_rooms")) === 0);
        await synced();
      });

      // onSynced: "send all messages according to the protocol"; onAwarenessChange: "gets the current awareness states …";
      // server/onAuthenticate: "confirms the `Token` message with an `Authenticated` message"; server/beforeSync: all three.
      it("is answered in the order of the protocol, and asked once for what it has", async () => {
        const other = await open(name("order"), { major, person: { user: "ben" } });
        other.provider.setAwarenessField("foo", "bar");
        const [frames, sent] = [[], []];
        const onOutgoingMessage = ({ message }) => sent.push(message.description);
        const one = new Hocuspocus(server, name("order"), { major, onOutgoingMessage });
        record(one, frames);
        await until("it has the states", () => shown(one, other)?.foo === "bar");
        await one.saved();
        assert.deepEqual(order(frames), ["authenticated", "step 1", "step 2", "status"]);
        assert.equal(sent.filter((message) => message === UPDATE).length, 0);
        assert.equal(sent.filter((message) => message === "First sync step").length, 1);
        one.doc.getArray("foo").insert(0, ["bar"]);
        await one.saved();
        assert.equal(sent.filter((message) => message === UPDATE).length, 1);
        assert.equal(order(frames).filter((kind) => kind === "status").length, 2);
      });

      // onAwarenessChange, onAwarenessUpdate: "… callback is executed", "shares awareness state with other users";
      // onAwarenessChange: "… even when no awareness fields are set"; awarenessEcho: the two about local changes.
      it("shows its state to those who are there and to who comes later, and takes it along", async () => {
        const [one, other] = await both(name("shared"), { major });
        one.provider.setAwarenessField("foo", "bar");
        await until("it is seen", () => shown(other, one)?.foo === "bar");
        const counts = [];
        const onAwarenessChange = ({ states }) => counts.push(states.length);
        const later = await open(name("shared"), { major, person: { user: "cleo" }, onAwarenessChange });
        await until("it is seen by who came later", () => counts.at(-1) >= 2 && shown(later, one)?.foo === "bar");
        one.close();
        await until("it is gone", () => [other, later].every((reader) => !shown(reader, one)));
        // onAwarenessChange: "… callback is executed on provider destroy".
        other.close();
        await until("it is alone", () => counts.at(-1) === 1);
        later.close();
        assert.equal(counts.at(-1), 0);
      });

      // onAwarenessChange, onAwarenessUpdate: "does not share awareness state with users in other documents".
      it("shows its state in its own document only", async () => {
        const [one, other] = [await open(name("here"), { major }), await open(name("there"), { major })];
        const third = await open(name("here"), { major, person: { user: "ben" } });
        one.provider.setAwarenessField("name", "player2");
        await fence(one, third);
        other.provider.setAwarenessField("name", "player1");
        await other.saved();
        assert.deepEqual([...other.awareness.getStates().keys()], [other.doc.clientID]);
      });

      // subdocs: "subdocs are not loaded by default".
      it("has documents in the document, without their content", async () => {
        const [one, other] = await both(name("subdocs"), { major });
        const inner = new Y.Doc();
        inner.getText().insert(0, "hi!");
        one.doc.getMap("subdocs").set("one", inner);
        const found = await until("it is there", () => other.doc.getMap("subdocs").get("one"));
        assert.deepEqual([found.guid, found.getText().toString()], [inner.guid, ""]);
      });

      // onStateless: "executes the onStateless callback"; server/onStateless: its four.
      it("sends stateless messages to the others in the document, behind its edits, and viewers send none", async () => {
        const heard = [];
        const hear = (who) => ({ major, onStateless: ({ payload }) => heard.push([who, payload]) });
        const room = name("stateless");
        const one = await open(room, { person: { user: "ana" }, ...hear("one") });
        const seen = [];
        const onStateless = ({ payload }) => seen.push([payload, other.content]);
        const other = await open(room, { person: { user: "ben" }, major, onStateless });
        const viewer = await view(room, hear("viewer"));
        const elsewhere = await open(name("elsewhere"), { person: { user: "cleo" }, ...hear("elsewhere") });
        viewer.provider.sendStateless("from the viewer");
        await fence(viewer, other);
        one.text.insert(0, "edited");
        one.provider.sendStateless("Grüße");
        one.provider.sendStateless("x".repeat(100_000));
        await fence(one, other);
        await fence(one, viewer);
        await elsewhere.saved();
        // Their own server gives them to its hooks, and this one here has none.
        const [said, told] = PEER_URL ? [[], []] : [[["Grüße", "edited"]], [["viewer", "Grüße"]]];
        assert.deepEqual(seen, said);
        assert.deepEqual(heard, told);
        assert.deepEqual([...one.socket.closes, ...viewer.socket.closes], []);
      });
    });
  }

  // awarenessEcho: "does not echo awareness received from the server back to it". Provider 3 does.
  it("the state of another is not sent back by provider 4", async () => {
    const [one, other] = await both("echo");
    const sent = [];
    other.provider.on("outgoingMessage", ({ message }) => sent.push(message.description));
    await fence(one, other);
    await fence(other, one);
    assert.deepEqual(sent, [AWARENESS]);
  });

  // flushDelay: "batches rapid document updates into a single outgoing message", "a merged batch still converges on another
  // client", "reports unsynced changes during the batch window and clears after sync", "collapses rapid awareness changes …";
  // server/flushDelay: "a batching server still converges on connected clients".
  it("what provider 4 gathers is one write, and all of it arrives", async () => {
    const [one, other] = await both("gathered", { flushDelay: FLUSH_MS });
    await one.saved();
    const sent = [];
    one.provider.on("outgoingMessage", ({ message }) => sent.push(message.description));
    for (const key of ["a", "b", "c"]) one.doc.getMap("test").set(key, 1);
    for (const cursor of [1, 2, 3]) one.provider.setAwarenessField("cursor", cursor);
    assert.deepEqual([sent, one.provider.unsyncedChanges], [[], 1]);
    await one.saved();
    await until("all arrive", () => other.doc.getMap("test").size === 3 && shown(other, one)?.cursor === 3);
    assert.deepEqual(sent, [UPDATE, AWARENESS]);
  });

  // flushDelay: "sends one message per update when flushDelay is disabled".
  it("each change is a write of its own where provider 4 gathers nothing, and each is answered", async () => {
    const one = await open("single");
    await one.saved();
    const frames = record(one);
    for (const key of ["a", "b", "c"]) one.doc.getMap("test").set(key, 1);
    assert.equal(one.provider.unsyncedChanges, 3);
    await one.saved();
    const kinds = order(frames);
    assert.equal(kinds.filter((kind) => kind === "status").length, 3);
    // Theirs sends a client its own writes again.
    if (!PEER_URL) assert.equal(kinds.length, 3);
  });
});
