// What is called saved is visible to everybody: edits that the server lacks are sent, whoever wrote them, and no others.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import * as Y from "yjs";
import { Network } from "@realtime-server/harness/network";
import { suiteServer } from "@realtime-server/harness/suite";
import { pause, until } from "@realtime-server/harness/until";
import { Relay } from "./support/relay.mjs";
import { closeAll, converged, join, open, text } from "./support/scene.mjs";

/** The updates that a provider sends from now on. */
function sent(provider) {
  const updates = [];
  provider.client.socket.onAnyOutgoing((event, payload) => event === "document_update" && updates.push(payload.update));
  return updates;
}

/** Connects two documents directly, as y-webrtc does: what one writes is in the other at once. */
function connectDirectly(one, other) {
  const pass = (from, to) => from.on("update", (update, origin) => origin !== connectDirectly && apply(to, update));
  const apply = (doc, update) => Y.applyUpdate(doc, update, connectDirectly);
  pass(one, other);
  pass(other, one);
}

describe("an edit that the server lacks", () => {
  const server = suiteServer();
  afterEach(closeAll);

  /** An update of a client that never returns, which the server does not have. */
  function lost(writing) {
    const doc = new Y.Doc();
    doc.getText("text").insert(0, writing);
    return Y.encodeStateAsUpdate(doc);
  }

  it("is sent after a reconnect, also if others wrote it", async () => {
    const network = await Network.to(server);
    const ana = await join(network, "lost");
    text(ana).insert(0, "mine");
    await ana.whenSaved();
    network.cut();
    await until("it knows", () => ana.status === "connecting");
    // As if the server had relayed it, and lost it.
    Y.applyUpdate(ana.doc, lost("theirs "), ana);
    assert.equal(ana.unsaved, 0, "an edit of another counts as unsaved");
    network.mend();
    await until("it is back", () => ana.synced);
    await ana.whenSaved();
    await converged([ana, await join(server, "lost")]);
    network.close();
  });

  it("is sent as soon as the server answers that an update is pending", async () => {
    const ana = await join(server, "lost-and-found");
    // As if the server had relayed it, and lost it.
    Y.applyUpdate(ana.doc, lost("theirs "), ana);
    text(ana).insert(7, "and mine");
    await ana.whenSaved();
    assert.equal(text(await join(server, "lost-and-found")).toString(), "theirs and mine");
  });

  it("is sent after a reconnect, also if it is a deletion", async () => {
    const network = await Network.to(server);
    const ana = await join(network, "lost-deletions");
    text(ana).insert(0, "too much");
    await ana.whenSaved();
    const before = Y.encodeStateAsUpdate(ana.doc);
    network.cut();
    await until("it knows", () => ana.status === "connecting");
    const other = new Y.Doc();
    Y.applyUpdate(other, before);
    other.getText("text").delete(0, 4);
    Y.applyUpdate(ana.doc, Y.encodeStateAsUpdate(other), ana);
    assert.equal(ana.unsaved, 0);
    network.mend();
    await until("it is back", () => ana.synced);
    await ana.whenSaved();
    assert.equal(text(await join(server, "lost-deletions")).toString(), "much");
    network.close();
  });

  it("does not exist where both have the same, and nothing is sent", async () => {
    const ana = await join(server, "same");
    for (let word = 0; word < 40; word += 1) {
      text(ana).insert(0, "word ");
      text(ana).delete(1, 2);
    }
    await ana.whenSaved();
    const updates = sent(ana);
    ana.client.socket.io.engine.close();
    await until("it is back", () => ana.synced && ana.status === "connected");
    await pause(100);
    assert.deepEqual(updates, []);
    assert.equal(ana.saved, true);
  });

  it("is sent without the deletions that the server already has", async () => {
    const network = await Network.to(server);
    const ana = await join(network, "fewer-deletions");
    text(ana).insert(0, "x".repeat(4_000));
    for (let at = 0; at < 2_000; at += 1) text(ana).delete(at, 1);
    await ana.whenSaved();
    const updates = sent(ana);
    network.cut();
    await until("it knows", () => ana.status === "connecting");
    text(ana).insert(0, "y");
    text(ana).delete(10, 1);
    network.mend();
    await ana.whenSaved();
    assert.equal(updates.length, 1);
    assert.ok(updates[0].byteLength < 100, `${updates[0].byteLength} bytes`);
    await converged([ana, await join(server, "fewer-deletions")]);
    network.close();
  });

  it("is not sent by a viewer, and not called saved", async () => {
    await (await join(server, "looked-at")).whenSaved();
    const vic = await join(server, "looked-at", { person: { user: "vic", role: "viewer" } });
    const updates = sent(vic);
    Y.applyUpdate(vic.doc, lost("from another tab"), "another tab");
    assert.equal(vic.saved, false);
    await pause(1_000);
    assert.deepEqual([vic.saved, updates], [false, []]);
    // Its author brings it after all.
    const ana = await join(server, "looked-at");
    Y.applyUpdate(ana.doc, Y.encodeStateAsUpdate(vic.doc), "another tab");
    await converged([ana, vic]);
  });
});

describe("an edit that another client made", () => {
  const server = suiteServer();
  afterEach(closeAll);

  it("is saved within a second where two users also exchange updates directly", async () => {
    const [ana, ben] = [
      await join(server, "direct", { person: { user: "ana" } }),
      await join(server, "direct", { person: { user: "ben" } }),
    ];
    connectDirectly(ana.doc, ben.doc);
    for (let key = 0; key < 150; key += 1) {
      text(ana).insert(text(ana).length, "a");
      await pause(10);
      text(ben).insert(Math.floor(text(ben).length / 2), "b");
      await pause(10);
    }
    const typed = performance.now();
    await until("both are saved", () => ana.saved && ben.saved);
    const took = performance.now() - typed;
    // A slow machine takes a while to save any edit.
    ana.doc.getMap("map").set("usual", true);
    await ana.whenSaved();
    const usual = performance.now() - typed - took;
    assert.ok(took < Math.max(1_000, 5 * usual), `saved after ${took} ms, and usually after ${usual} ms`);
    assert.equal(text(ana).length, 300);
    await converged([ana, ben, await join(server, "direct")]);
    assert.deepEqual([ana.state.error, ben.state.error], [undefined, undefined]);
  });

  it("is left to its author for a moment, and then sent if the author is absent", async () => {
    const ana = await join(server, "brought");
    let sentAt;
    ana.client.socket.onAnyOutgoing((event) => event === "document_update" && (sentAt ??= performance.now()));
    const doc = new Y.Doc();
    doc.getText("text").insert(0, "from a script");
    const appliedAt = performance.now();
    Y.applyUpdate(ana.doc, Y.encodeStateAsUpdate(doc));
    assert.equal(ana.saved, false);
    await ana.whenSaved();
    assert.ok(sentAt - appliedAt > 100, `sent too early, after ${sentAt - appliedAt} ms`);
    assert.equal(text(await join(server, "brought")).toString(), "from a script");
  });

  it("is not sent if its author has sent it, and is saved then", async () => {
    const [ana, ben] = [await join(server, "twice"), await join(server, "twice", { person: { user: "ben" } })];
    connectDirectly(ana.doc, ben.doc);
    const updates = sent(ben);
    for (let key = 0; key < 20; key += 1) text(ana).insert(0, "once ");
    assert.equal(ben.saved, false);
    await ben.whenSaved();
    const structs = updates.flatMap((update) => Y.decodeUpdate(update).structs);
    assert.deepEqual(structs, []);
  });

  it("is sent at once if it is undone here", async () => {
    const ana = await join(server, "undone");
    const undo = new Y.UndoManager(text(ana));
    text(ana).insert(0, "typed");
    await ana.whenSaved();
    const updates = sent(ana);
    undo.undo();
    await until("it is sent", () => updates.length === 1, 300);
    await ana.whenSaved();
  });
});

describe("a pending update", () => {
  const providers = [];
  afterEach(() => providers.splice(0).forEach((provider) => provider.destroy()));

  /** A provider whose server is `relay`. */
  async function enter(relay, options) {
    const provider = open(relay, "room", options);
    providers.push(provider);
    await provider.whenSynced;
    return provider;
  }

  it("is unsaved until the server answers that nothing is missing", async () => {
    const relay = new Relay();
    const ana = await enter(relay);
    // An edit of someone else that this replica was shown, and the server has lost.
    const other = new Y.Doc();
    other.getText("text").insert(0, "lost ");
    relay.tell("document_update", { update: Y.encodeStateAsUpdate(other) });
    assert.equal(ana.saved, true);
    const claims = [];
    ana.on("change", ({ saved }) => claims.push(saved && !relay.isPending && relay.doc.getText("text").length > 0));
    text(ana).insert(5, "and found");
    await ana.whenSaved();
    assert.equal(relay.doc.getText("text").toString(), "lost and found");
    assert.deepEqual(
      claims.filter((claim, index) => claim !== (index === claims.length - 1)),
      [],
      "saved was claimed once, at the end",
    );
    assert.equal(ana.unsaved, 0);
  });

  it("is asked about less and less often while nobody sends what it builds upon", async () => {
    const relay = new Relay();
    const ana = await enter(relay);
    let isPending = true;
    relay.instead = (event) => (event === "document_update" && isPending ? { seq: 1, pending: true } : undefined);
    text(ana).insert(0, "waiting");
    await until("it was asked twice", () => relay.of("document_sync").length >= 2);
    await pause(1_000);
    const asked = relay.of("document_sync").length;
    assert.ok(asked >= 2 && asked <= 5, `asked ${asked} times in a second`);
    assert.equal(ana.saved, false);
    relay.requests.length = 0;
    relay.reconnect();
    await until("it is tried again at once", () => relay.of("document_update").length > 0, 200);
    isPending = false;
    await ana.whenSaved();
  });
});

describe("a large edit", () => {
  afterEach(closeAll);

  const LARGE = "0123456789abcdef".repeat(640 * 1024);

  it("is sent in parts, and a part that is refused for a moment is sent again", async () => {
    const relay = new Relay();
    const ana = open(relay, "room");
    await ana.whenSynced;
    let [onTheWay, most, part] = [0, 0, 0];
    const answers = [];
    const { send } = relay;
    relay.send = (event, payload, answered) => {
      if (event !== "document_update") return send.call(relay, event, payload, answered);
      onTheWay += payload.update.byteLength;
      most = Math.max(most, onTheWay);
      return send.call(relay, event, payload, (answer) => {
        onTheWay -= payload.update.byteLength;
        answers.push(answer);
        answered(answer);
      });
    };
    let returned = 0;
    relay.instead = (event, { state_vector }) => {
      const { clientID } = ana.doc;
      if (event === "document_sync")
        returned = Y.getState(relay.doc.store, clientID) - Y.decodeStateVector(state_vector).get(clientID);
      part += event === "document_update" ? 1 : 0;
      return event === "document_update" && part === 5 ? Relay.refusal("overloaded") : undefined;
    };
    text(ana).insert(0, LARGE);
    await until("a part was refused", () => ana.state.error?.code === "overloaded");
    assert.equal(ana.saved, false);
    await ana.whenSaved();
    assert.ok(most <= 2 * 1024 * 1024, `${most} bytes on their way`);
    assert.equal(relay.doc.getText("text").length, LARGE.length);
    assert.equal(returned, 0, "acknowledged edits are asked for again");
    assert.equal(ana.state.error, undefined);
  });

  it("is sent as a whole while the database is away, so that others see it", async () => {
    const relay = new Relay();
    const ana = open(relay, "room");
    await ana.whenSynced;
    relay.tell("document_storage", { status: "unavailable" });
    const acks = [];
    const { send } = relay;
    relay.send = (event, payload, answered) =>
      send.call(relay, event, payload, (answer) => acks.push(() => answered(answer)));
    text(ana).insert(0, LARGE);
    await until("all of it is there", () => relay.doc.getText("text").length === LARGE.length);
    assert.equal(ana.saved, false);
    acks.forEach((answer) => answer());
    await ana.whenSaved();
  });

  it("is cut into smaller parts where the server refuses one as too large", async () => {
    const relay = new Relay();
    const ana = open(relay, "room");
    await ana.whenSynced;
    relay.instead = (event, { update }) =>
      event === "document_update" && update.byteLength > 50_000 ? Relay.refusal("too_large") : undefined;
    text(ana).insert(0, LARGE.slice(0, 1_000_000));
    await ana.whenSaved();
    assert.equal(relay.doc.getText("text").length, 1_000_000);
  });
});

describe("an update of the server that cannot be applied", () => {
  afterEach(closeAll);

  /** The calls of `console.error` during the test. */
  function listenToConsole(test) {
    return test.mock.method(console, "error", () => {}).mock;
  }

  const GARBAGE = Uint8Array.of(1, 1, 1, 0, 31, 200);

  it("is reported once, and the document is synchronised", async (test) => {
    const said = listenToConsole(test);
    const relay = new Relay();
    const ana = open(relay, "room");
    await ana.whenSynced;
    relay.doc.getText("text").insert(0, "missed");
    relay.tell("document_update", { update: GARBAGE });
    relay.tell("document_update", { update: GARBAGE });
    assert.equal(ana.synced, false);
    await until("it is here", () => ana.synced && text(ana).toString() === "missed");
    assert.equal(said.callCount(), 1);
    assert.equal(ana.state.error, undefined);
  });

  it("is told where the synchronisation cannot be applied either: nothing is called saved, and it is tried again", async (test) => {
    const said = listenToConsole(test);
    const relay = new Relay();
    const ana = open(relay, "room");
    await ana.whenSynced;
    const answer = { update: GARBAGE, state_vector: Y.encodeStateVector(relay.doc), seq: 1 };
    relay.instead = (event) => (event === "document_sync" ? answer : undefined);
    relay.tell("document_update", { update: GARBAGE });
    await until("it is said", () => ana.state.error);
    assert.deepEqual([ana.state.error.code, ana.synced, said.callCount()], ["invalid", false, 1]);
    text(ana).insert(0, "meanwhile");
    assert.equal(ana.saved, false);
    relay.instead = () => undefined;
    await ana.whenSaved();
    assert.deepEqual([ana.synced, ana.state.error], [true, undefined]);
    assert.equal(relay.doc.getText("text").toString(), "meanwhile");
  });
});
