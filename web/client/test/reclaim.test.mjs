// Another client has written other content under this replica's Yjs client id: neither loses an edit.

import "fake-indexeddb/auto";
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { IndexeddbPersistence } from "y-indexeddb";
import * as Y from "yjs";
import { Network } from "@realtime-server/harness/network";
import { suiteServer } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";
import { Relay } from "./support/relay.mjs";
import { closeAll, converged, join, open, text } from "./support/scene.mjs";

/** The content of a document, in a form that can be compared. */
function content(doc) {
  return {
    text: doc.getText("text").toDelta(),
    rich: doc.getXmlFragment("rich").toString(),
    map: doc.getMap("map").toJSON(),
    list: doc.getArray("list").toJSON(),
  };
}

/** The content for a client that joins now. */
function newcomer(relay) {
  const doc = new Y.Doc();
  Y.applyUpdate(doc, Y.encodeStateAsUpdate(relay.doc));
  return content(doc);
}

/** A paragraph of rich text, as Tiptap writes it. */
function paragraph(doc, at, words) {
  const [element, inner] = [new Y.XmlElement("paragraph"), new Y.XmlText(words)];
  inner.format(0, 3, { bold: {} });
  element.setAttribute("align", "left");
  element.insert(0, [inner]);
  doc.getXmlFragment("rich").insert(at, [element]);
}

describe("a client id under which another client has written", () => {
  const server = suiteServer();
  afterEach(closeAll);

  /** Ana in a document with edits of hers, and `forge`, by which another client with her client id writes on the server. */
  async function begun(options) {
    const relay = new Relay();
    const ana = open(relay, "room", options);
    await ana.whenSynced;
    text(ana).insert(0, "shared start, shared end");
    paragraph(ana.doc, 0, "shared paragraph");
    ana.doc.getMap("map").set("shared", 1);
    await ana.whenSaved();
    const forge = (write) => {
      const forger = new Y.Doc();
      Y.applyUpdate(forger, Y.encodeStateAsUpdate(relay.doc));
      forger.clientID = ana.doc.clientID;
      write(forger);
      Y.applyUpdate(relay.doc, Y.encodeStateAsUpdate(forger));
    };
    return { relay, ana, forge, oldId: ana.doc.clientID };
  }

  function typed({ doc }) {
    doc.getText("text").insert(12, " ANA😀");
    doc.getText("text").format(13, 3, { bold: true });
    doc.getText("text").insertEmbed(13, { image: "a.png" });
    paragraph(doc, 1, "Ana's paragraph");
    doc.getXmlFragment("rich").get(0).get(0).insert(6, " ANA");
    doc.getMap("map").set("ana", { deep: [1, 2] });
    doc.getMap("map").set("nested", new Y.Map([["list", Y.Array.from(["a"])]]));
    doc.getArray("list").insert(0, ["ana", { n: 1 }]);
  }

  function forged(doc) {
    doc.getText("text").insert(0, "FORGED ");
    doc.getMap("map").set("forged", true);
    doc.getArray("list").insert(0, ["forged"]);
    paragraph(doc, 0, "Forged paragraph");
  }

  function checked({ relay, ana, oldId }) {
    assert.notEqual(ana.doc.clientID, oldId);
    assert.deepEqual(content(ana.doc), newcomer(relay));
    const { map, list, rich } = content(ana.doc);
    assert.equal(text(ana).toString(), "FORGED shared start ANA😀, shared end");
    assert.deepEqual(map, { shared: 1, forged: true, ana: { deep: [1, 2] }, nested: { list: ["a"] } });
    assert.deepEqual(list.toSorted(), ["ana", { n: 1 }, "forged"].toSorted());
    for (const words of ["Forged", "Ana's", "shared ANA"])
      assert.ok(rich.replaceAll(/<[^>]*>/g, "").includes(words.slice(0, 3)));
    assert.match(rich, /Ana/);
    assert.equal(relay.isPending, false);
  }

  it("is noticed after a reconnect: edits made meanwhile are written again under a new one", async () => {
    const scene = await begun();
    const { relay, ana, forge } = scene;
    relay.instead = (event) => (event === "document_update" ? Relay.refusal("disconnected") : undefined);
    typed(ana);
    forge(forged);
    relay.instead = () => undefined;
    let rebuilt = 0;
    ana.on("rebuilt", () => (rebuilt += 1));
    relay.reconnect();
    await ana.whenSaved();
    checked(scene);
    assert.deepEqual([rebuilt, ana.state.error], [1, undefined]);
    text(ana).insert(0, "And on. ");
    await ana.whenSaved();
    assert.deepEqual(content(ana.doc), newcomer(relay));
  });

  it("is replaced when the server refuses an update because of it", async () => {
    const scene = await begun();
    const { relay, ana, forge } = scene;
    forge(forged);
    let refusals = 0;
    relay.instead = (event, { update }) => {
      if (event !== "document_update" || Y.decodeUpdate(update).structs[0]?.id.client !== scene.oldId) return undefined;
      refusals += 1;
      return Relay.refusal("conflict", "known clocks came with other content");
    };
    typed(ana);
    await ana.whenSaved();
    assert.ok(refusals > 0);
    assert.equal(relay.of("join_room").length, 1, "no new connection was needed");
    checked(scene);
  });

  it("is replaced without loss of what others wrote beside these edits", async () => {
    const scene = await begun();
    const { relay, ana, forge } = scene;
    const ben = new Y.Doc();
    relay.instead = (event) => (event === "document_update" ? Relay.refusal("disconnected") : undefined);
    typed(ana);
    // Ben was shown it by another way, and wrote behind it; so did somebody behind the forged text.
    Y.applyUpdate(ben, Y.encodeStateAsUpdate(ana.doc));
    ben.getText("text").insert(19, " BEN");
    Y.applyUpdate(ana.doc, Y.encodeStateAsUpdate(ben), "another way");
    forge(forged);
    relay.doc.getText("text").insert(7, "CLEO ");
    relay.instead = () => undefined;
    relay.reconnect();
    await ana.whenSaved();
    assert.equal(text(ana).toString(), "FORGED CLEO shared start ANA😀 BEN, shared end");
    assert.deepEqual(content(ana.doc), newcomer(relay));
  });

  it("is replaced without deletions for peers that have the document by other ways", async () => {
    const { relay, ana, forge } = await begun();
    const peer = new Y.Doc();
    Y.applyUpdate(peer, Y.encodeStateAsUpdate(ana.doc));
    ana.doc.on("update", (update) => Y.applyUpdate(peer, update));
    relay.instead = (event) => (event === "document_update" ? Relay.refusal("disconnected") : undefined);
    text(ana).insert(0, "typed ");
    forge(forged);
    relay.instead = () => undefined;
    relay.reconnect();
    await ana.whenSaved();
    assert.match(text(ana).toString(), /typed.*shared start/);
    assert.deepEqual(content(ana.doc), newcomer(relay));
    assert.match(peer.getText("text").toString(), /shared start, shared end/);
    assert.match(peer.getText("text").toString(), /typed/);
  });

  it("is removed from the copy in the browser", async () => {
    const persistence = (name, doc) => new IndexeddbPersistence(name, doc);
    const { relay, ana, forge } = await begun({ persistence });
    relay.instead = (event) => (event === "document_update" ? Relay.refusal("disconnected") : undefined);
    text(ana).insert(0, "typed ");
    forge(forged);
    relay.instead = () => undefined;
    relay.reconnect();
    await ana.whenSaved();
    await until("the copy is that of the server", async () => {
      const doc = new Y.Doc();
      const copy = new IndexeddbPersistence("room", doc);
      await copy.whenSynced;
      await copy.destroy();
      return doc.getText("text").toString() === relay.doc.getText("text").toString();
    });
  });

  it("is noticed with the real server as well", async () => {
    const network = await Network.to(server);
    const ana = await join(network, "forged");
    text(ana).insert(0, "start");
    await ana.whenSaved();
    network.cut();
    await until("it knows", () => ana.status === "connecting");
    const forger = await join(server, "forged");
    forger.doc.clientID = ana.doc.clientID;
    text(forger).insert(0, "FORGED ");
    await forger.whenSaved();
    text(ana).insert(5, " mine");
    network.mend();
    await ana.whenSaved();
    await converged([ana, forger, await join(server, "forged")]);
    assert.equal(text(ana).toString(), "FORGED start mine");
    network.close();
  });

  it("is replaced when Yjs wrote an element that the server refuses, which is written again", async () => {
    const ana = await join(server, "crossed");
    const ben = await join(server, "crossed");
    text(ana).insert(0, "ab");
    await ana.whenSaved();
    const oldId = ana.doc.clientID;
    ana.doc.transact((transaction) => {
      text(ana).insert(2, "c");
      // As Yjs's undo does at times: an element with one and the same on both sides.
      const both = Y.getItem(ana.doc.store, Y.createID(oldId, 2));
      const id = Y.createID(oldId, 3);
      const item = new Y.Item(id, both, both.lastId, both, both.id, text(ana), null, new Y.ContentString("d"));
      item.integrate(transaction, 0);
    });
    assert.equal(text(ana).toString(), "abcd");
    await ana.whenSaved();
    assert.equal(ana.state.error, undefined);
    assert.notEqual(ana.doc.clientID, oldId);
    text(ana).insert(4, "e");
    await ana.whenSaved();
    await converged([ana, ben, await join(server, "crossed")]);
    assert.equal(text(ana).toString(), "abcde");
  });
});
