// Documents: they show the edits of all, keep their own through every failure, and are called saved only when they are.

import "fake-indexeddb/auto";
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { people } from "@realtime-server/client";
import { IndexeddbPersistence } from "y-indexeddb";
import * as Y from "yjs";
import { postgres, sqlite } from "@realtime-server/harness/databases";
import { Network } from "@realtime-server/harness/network";
import { Server } from "@realtime-server/harness/server";
import { suiteServer } from "@realtime-server/harness/suite";
import { token } from "@realtime-server/harness/tokens";
import { pause, until } from "@realtime-server/harness/until";
import { client, closeAll, converged, join, open, text } from "./support/scene.mjs";

const persistence = (name, doc) => new IndexeddbPersistence(name, doc);

describe("a document", () => {
  const server = suiteServer();
  afterEach(closeAll);

  it("is the same for two users who write at once, and for one who joins later", async () => {
    const [ana, ben] = await Promise.all([join(server, "both"), join(server, "both", { person: { user: "ben" } })]);
    for (let key = 0; key < 50; key += 1) {
      text(ana).insert(0, "a");
      text(ben).insert(text(ben).length, "b");
    }
    await converged([ana, ben]);
    assert.equal(text(ana).length, 100);
    const cleo = await join(server, "both", { person: { user: "cleo", role: "viewer" } });
    await converged([ana, ben, cleo]);
  });

  it("emits the events of other Yjs providers: status, sync, synced", async () => {
    const told = [];
    const provider = open(client(server), "told");
    provider.on("status", ({ status }) => told.push(status));
    provider.on("sync", (synced) => told.push(["sync", synced]));
    provider.on("synced", (synced) => told.push(["synced", synced]));
    await provider.whenSynced;
    provider.client.socket.io.engine.close();
    await until("it is back", () => provider.status === "connected" && provider.synced && told.length > 4);
    const connected = ["connected", ["sync", true], ["synced", true]];
    assert.deepEqual(told, [...connected, "connecting", ["sync", false], ["synced", false], ...connected]);
  });

  it("sends the content that it had before it was opened", async () => {
    const doc = new Y.Doc();
    doc.getText("text").insert(0, "from elsewhere");
    const provider = open(client(server), "imported", { doc });
    assert.equal(provider.saved, false);
    await provider.whenSaved();
    assert.equal(text(await join(server, "imported")).toString(), "from elsewhere");
  });

  it("is one of several on a connection", async () => {
    const own = client(server);
    const rooms = ["one", "two", "three"].map((room) => open(own, room));
    await Promise.all(rooms.map(({ whenSynced }) => whenSynced));
    rooms.forEach((provider) => text(provider).insert(0, provider.room));
    await Promise.all(rooms.map((provider) => provider.whenSaved()));
    rooms[1].destroy();
    text(rooms[0]).insert(0, "still ");
    await rooms[0].whenSaved();
    for (const room of ["one", "two", "three"]) {
      assert.equal(text(await join(server, room)).toString(), room === "one" ? "still one" : room);
    }
    const again = open(own, "two");
    await again.whenSynced;
    assert.equal(text(again).toString(), "two");
  });

  it("merges what was written on both sides of a broken network", async () => {
    const networks = await Promise.all([Network.to(server), Network.to(server)]);
    const [ana, ben] = await Promise.all(networks.map((network) => join(network, "offline")));
    text(ana).insert(0, "middle");
    await converged([ana, ben]);
    networks.forEach((network) => network.cut());
    await until("both know", () => ana.status === "connecting" && ben.status === "connecting");
    assert.equal(ana.synced, false);
    text(ana).insert(0, "left ");
    text(ben).insert(text(ben).length, " right");
    text(ben).delete(0, 1);
    assert.deepEqual([ana.saved, ana.unsaved, ben.saved, ben.unsaved], [false, 1, false, 2]);
    networks.forEach((network) => network.mend());
    await converged([ana, ben]);
    assert.equal(text(ana).toString(), "left iddle right");
    networks.forEach((network) => network.close());
  });

  it("sends deletions that were made without a connection", async () => {
    const network = await Network.to(server);
    const ana = await join(network, "deleted");
    text(ana).insert(0, "too much");
    await ana.whenSaved();
    network.cut();
    await until("it knows", () => ana.status === "connecting");
    text(ana).delete(0, 4);
    network.mend();
    await ana.whenSaved();
    assert.equal(text(await join(server, "deleted")).toString(), "much");
    network.close();
  });

  it("is saved when the server is killed and started again while both write", async () => {
    const both = await Promise.all([join(server, "killed"), join(server, "killed")]);
    const writing = setInterval(() => both.forEach((provider) => text(provider).insert(0, "x")), 2);
    for (let round = 0; round < 3; round += 1) {
      await pause(50);
      await server.kill9();
      await server.launch();
      await until("both are back", () => both.every(({ synced }) => synced));
    }
    clearInterval(writing);
    await converged(both);
    assert.ok(text(both[0]).toString().length > 0);
  });

  it("sends many edits as few updates, and at once when it was quiet", async () => {
    const ana = await join(server, "many");
    const ben = await join(server, "many");
    let arrived = 0;
    ben.doc.on("update", () => (arrived += 1));
    for (let key = 0; key < 1_000; key += 1) text(ana).insert(0, "k");
    assert.equal(ana.unsaved, 1_000);
    await converged([ana, ben]);
    assert.ok(arrived < 20, `${arrived} updates arrived`);
  });

  it("sends an edit that is larger than the limit of an update in several parts", async () => {
    const network = await Network.to(server);
    const ana = await join(network, "large");
    network.cut();
    await until("it knows", () => ana.status === "connecting");
    const limit = 2 * 1024 * 1024;
    for (let part = 0; part < 50; part += 1) ana.doc.getMap("map").set(`part ${part}`, "x".repeat(100_000));
    ana.doc.getMap("map").delete("part 7");
    assert.ok(Y.encodeStateAsUpdate(ana.doc).byteLength > 2 * limit);
    network.mend();
    await ana.whenSaved();
    assert.equal(ana.state.error, undefined);
    await converged([ana, await join(server, "large")]);
    network.close();
  });

  for (const mebibytes of [3, 10]) {
    it(`saves a pasted text of ${mebibytes} MiB, while others continue to write`, async () => {
      const [ana, ben] = await Promise.all([join(server, `paste-${mebibytes}`), join(server, `paste-${mebibytes}`)]);
      let largest = 0;
      ana.client.socket.onAnyOutgoing((event, { update }) => {
        if (event === "document_update") largest = Math.max(largest, update.byteLength);
      });
      text(ana).insert(0, "0123456789abcd😀".repeat(mebibytes * 64 * 1024));
      text(ana).insert(5, "typed behind it");
      text(ben).insert(0, "Ben writes. ");
      await until("all of it is saved", () => ana.saved && ben.saved, 60_000);
      assert.ok(largest <= 512 * 1024, `an update of ${largest} bytes`);
      const cleo = await join(server, `paste-${mebibytes}`);
      await converged([ana, ben, cleo]);
      assert.equal(text(cleo).length, mebibytes * 1024 * 1024 + 15 + 12);
      assert.equal(ana.state.error, undefined);
    });
  }

  it("tells the error of an edit that is too large and cannot be cut, and is not saved", async () => {
    const ana = await join(server, "oversized");
    text(ana).insertEmbed(0, { image: "x".repeat(3 * 1024 * 1024) });
    await until("it is refused", () => ana.state.error);
    assert.equal(ana.state.error.code, "too_large");
    assert.equal(ana.saved, false);
    text(ana).insert(0, "not saved either");
    await pause(100);
    assert.equal(ana.saved, false);
    text(ana).delete(0, text(ana).length);
    text(ana).insert(0, "a little");
    await ana.whenSaved();
    assert.equal(ana.state.error, undefined);
    assert.equal(text(await join(server, "oversized")).toString(), "a little");
  });

  it("is disconnected when its client has given up, and tells why", async () => {
    let answer = "no token at all";
    const refused = open(client(server, { token: () => answer }), "given-up");
    await until("it is told", () => refused.status === "disconnected");
    assert.equal(refused.state.error.code, "unauthorized");
    answer = token();
    refused.client.connect();
    assert.deepEqual([refused.status, refused.state.error], ["connecting", undefined]);
    await refused.whenSynced;
  });

  it("shows a user by the name in the token, unless the application sets another one", async () => {
    const ana = await join(server, "introduced", { person: { user: "ana", name: "Ana" } });
    const ben = await join(server, "introduced", { person: { user: "ben", name: "Ben" } });
    await until(
      "each sees both names",
      () =>
        [ana, ben].every((one) =>
          people(one.awareness)
            .map(({ name }) => name)
            .sort()
            .every((name, index) => name === ["Ana", "Ben"][index]),
        ) && people(ana.awareness).length === 2,
    );
    ana.awareness.setLocalStateField("user", { id: "ana", name: "Ana", color: "#123456" });
    ana.client.socket.io.engine.close();
    await until("she is back", () => ana.status === "connected" && ana.synced);
    assert.equal(ana.awareness.getLocalState().user.color, "#123456");
  });

  it("is read-only for a viewer, whose edits are not sent and never called saved", async () => {
    const ana = await join(server, "guarded");
    text(ana).insert(0, "kept");
    await ana.whenSaved();
    const vic = await join(server, "guarded", { person: { user: "vic", role: "viewer" } });
    assert.deepEqual([vic.readOnly, vic.state.permission, vic.saved], [true, "view", true]);
    text(vic).insert(0, "not ");
    assert.equal(vic.saved, false);
    vic.client.socket.io.engine.close();
    await until("it is back", () => vic.synced && vic.status === "connected");
    assert.equal(vic.saved, false);
    assert.equal(text(await join(server, "guarded")).toString(), "kept");
  });

  it("waits until somebody creates it, where the user may only view", async () => {
    const vic = open(client(server, { person: { user: "vic", role: "viewer" } }), "unborn");
    await until("it is told", () => vic.state.error?.code === "not_found");
    assert.equal(vic.status, "connecting");
    const ana = await join(server, "unborn");
    text(ana).insert(0, "here now");
    await converged([ana, vic]);
    assert.equal(vic.state.error, undefined);
  });

  it("is closed to a user without the right view, until the token has it", async () => {
    let documents = { secret: "none" };
    await join(server, "secret");
    const out = client(server, { token: () => token({ user: "out", documents }) });
    const provider = open(out, "secret");
    await until("it is refused", () => provider.state.error);
    assert.deepEqual([provider.state.error.code, provider.status], ["forbidden", "disconnected"]);
    documents = {};
    out.disconnect();
    out.connect();
    await provider.whenSynced;
  });

  it("shows the users in the room, by the names that the server knows, until they leave", async () => {
    const network = await Network.to(server);
    const ana = await join(server, "seen", { person: { user: "ana", name: "Ana" } });
    const ben = await join(network, "seen", { person: { user: "ben", name: "Ben", role: "viewer" } });
    ana.awareness.setLocalStateField("user", { name: "Ana", id: "ana", color: "#123456" });
    ben.awareness.setLocalStateField("user", { name: "Cleo", id: "cleo" });
    await until("each sees both", () => people(ana.awareness).length === 2 && people(ben.awareness).length === 2);
    await until("each has their own name", () => {
      const seen = people(ana.awareness).map(({ id, name, isSelf }) => [id, name, isSelf]);
      assert.deepEqual(seen, [
        ["ana", "Ana", true],
        ["ben", "Ben", false],
      ]);
      return true;
    });
    await until("Ben sees Ana's colour", () => people(ben.awareness).some(({ color }) => color === "#123456"));
    network.cut();
    await until("Ben is gone", () => people(ana.awareness).length === 1);
    await until("Ben sees nobody", () => people(ben.awareness).length === 1);
    network.mend();
    await until("they see each other", () => people(ana.awareness).length === 2 && people(ben.awareness).length === 2);
    ben.destroy();
    await until("Ben has left", () => people(ana.awareness).length === 1);
    network.close();
  });

  it("is left and joined again by the application", async () => {
    const ana = await join(server, "left");
    ana.disconnect();
    assert.equal(ana.status, "disconnected");
    text(ana).insert(0, "written outside");
    assert.equal(ana.saved, false);
    ana.connect();
    await ana.whenSaved();
    assert.equal(text(await join(server, "left")).toString(), "written outside");
  });

  it("does not mix with another document of the same name", async () => {
    const other = await Server.start({ database: sqlite });
    try {
      const target = { port: server.port };
      const network = await Network.to(target);
      const ana = await join(network, "renamed", { persistence });
      text(ana).insert(0, "of the first document");
      await ana.whenSaved();
      network.cut();
      target.port = other.port;
      text(ana).insert(0, "unsaved, ");
      network.mend();
      await until("it is told", () => ana.state.ended);
      assert.deepEqual([ana.state.ended, ana.state.error.code, ana.saved], ["replaced", "conflict", false]);
      assert.equal(text(ana).toString(), "unsaved, of the first document");
      assert.equal(text(await join(other, "renamed")).toString(), "", "nothing of it was sent");
      await until("the copy was moved aside", async () => {
        const fresh = new Y.Doc();
        const copy = new IndexeddbPersistence("renamed", fresh);
        await copy.whenSynced;
        await copy.destroy();
        return fresh.getText("text").length === 0;
      });
      const databases = (await indexedDB.databases()).map(({ name }) => name);
      assert.ok(databases.some((name) => name.startsWith("renamed#")));
      network.close();
    } finally {
      await other.kill9();
    }
  });

  it("is restored after a reload without the network, from its copy in the browser", async () => {
    const network = await Network.to(server);
    const first = await join(network, "reloaded", { persistence });
    text(first).insert(0, "before");
    await first.whenSaved();
    network.cut();
    await until("it knows", () => first.status === "connecting");
    text(first).insert(6, " and offline");
    // y-indexeddb writes on its own time and has no way to ask for it.
    await until("the copy is written", async () => {
      const doc = new Y.Doc();
      const copy = persistence("reloaded", doc);
      await copy.whenSynced;
      await copy.destroy();
      return doc.getText("text").toString() === "before and offline";
    });
    first.destroy();
    first.client.destroy();

    const second = open(client(network), "reloaded", { persistence });
    await until("the copy is there", () => text(second).toString() === "before and offline");
    assert.equal(second.saved, false, "it is called saved without an answer of the server");
    await until("the permission is remembered", () => second.state.permission === "edit");
    network.mend();
    await second.whenSaved();
    assert.equal(text(await join(server, "reloaded")).toString(), "before and offline");
    network.close();
  });
});

/** A copy in the browser whose content arrives when `deliver` is called. */
class SlowCopy {
  stored = new Map();
  #resolve;
  whenSynced = new Promise((resolve) => (this.#resolve = resolve));

  constructor(content, documentId) {
    this.content = content;
    if (documentId) this.stored.set("document_id", documentId);
  }

  open = (_name, doc) => {
    this.doc = doc;
    return this;
  };

  deliver() {
    Y.applyUpdate(this.doc, this.content, this);
    this.#resolve();
  }

  /** What is read of the copy besides its content comes after this. */
  told = Promise.resolve();
  get = (key) => this.told.then(() => this.stored.get(key));
  set = async (key, value) => void this.stored.set(key, value);
  clearData = async () => {};
  destroy = () => {};
}

describe("a copy in the browser that is read late", () => {
  const server = suiteServer();
  afterEach(closeAll);

  const content = () => {
    const doc = new Y.Doc();
    doc.getText("text").insert(0, "typed before the reload. ");
    return Y.encodeStateAsUpdate(doc);
  };

  for (const isKnown of [true, false]) {
    it(`is sent when it comes${isKnown ? "" : ", also if it was never connected"}`, async () => {
      const room = `late-${isKnown}`;
      const { document_id: documentId } = await (await join(server, room)).client.request("join_room", { room });
      const copy = new SlowCopy(content(), isKnown ? documentId : undefined);
      const ana = await join(server, room, { persistence: copy.open });
      assert.equal(text(ana).toString(), "", "the document waits for its copy longer than it should");
      copy.deliver();
      assert.equal(ana.saved, false);
      await ana.whenSaved();
      assert.equal(text(await join(server, room)).toString(), "typed before the reload. ");
      await until("the id is stored", () => copy.stored.get("document_id") === documentId);
    });
  }

  it("is not sent if it belongs to another document of the same name", async () => {
    const copy = new SlowCopy(content(), "another document");
    const ana = await join(server, "late-replaced", { persistence: copy.open });
    const sent = [];
    ana.client.socket.onAnyOutgoing((event) => sent.push(event));
    let tell;
    copy.told = new Promise((resolve) => (tell = resolve));
    copy.deliver();
    // A reconnect in the moment in which the id is not read yet.
    ana.connected();
    await pause(800);
    tell();
    await until("it is told", () => ana.state.ended === "replaced");
    assert.equal(text(await join(server, "late-replaced")).toString(), "");
    assert.ok(!sent.includes("document_update"), `${sent} were sent`);
  });
});

describe("a document whose database stops", () => {
  const server = suiteServer({ database: postgres });
  afterEach(closeAll);

  it("is relayed and unsaved while the database is away, and saved when it is back", async () => {
    const [ana, ben] = await Promise.all([join(server, "outage"), join(server, "outage", { person: { user: "ben" } })]);
    text(ana).insert(0, "durable. ");
    await converged([ana, ben]);
    await postgres.cluster.stop("immediate");
    const claims = [];
    ana.on("change", ({ saved }) => claims.push(saved));
    text(ana).insert(9, "not yet.");
    await until("Ben sees it", () => text(ben).toString() === "durable. not yet.");
    await until("both are told", () => [ana, ben].every(({ state }) => state.storage === "unavailable"));
    assert.equal(ana.saved, false);
    assert.equal(ana.unsaved, 1);
    // A new connection does not make it saved either, although the server has it in memory.
    ana.client.socket.io.engine.close();
    await until("it is back", () => ana.synced && ana.status === "connected");
    await pause(300);
    assert.equal(ana.saved, false);
    assert.ok(!claims.includes(true), "saved was never claimed");
    await postgres.cluster.start();
    await ana.whenSaved();
    await until("both are told", () => [ana, ben].every(({ state }) => state.storage === "ok"));
    await server.kill9();
    await server.launch();
    assert.equal(text(await join(server, "outage")).toString(), "durable. not yet.");
  });
});
