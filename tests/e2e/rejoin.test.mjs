// A client that joins again is sent what it lacks, and no deletions if it names the hash of its own and they are the same.
// On SQLite only, because what a client is sent does not depend on the database.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { afterEach, describe, it } from "node:test";
import * as Y from "yjs";
import { writeLargeDocument } from "@realtime-server/harness/large-document";
import { Random } from "@realtime-server/harness/random";
import { suiteServer } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";
import { newcomer, seen } from "./support/view.mjs";

const KB = 1000;

/** What a stock Yjs document has, for a join or a synchronisation. */
function has(doc) {
  const state_vector = Y.encodeStateVector(doc);
  const deletions = Y.encodeStateAsUpdate(doc, state_vector);
  return { state_vector, deletions_hash: createHash("sha256").update(deletions).digest() };
}

/** The ranges that a document has deleted, as text. */
const deletedIn = (doc) => Buffer.from(Y.encodeStateAsUpdate(doc, Y.encodeStateVector(doc))).toString("base64");

/** Sends a request, and counts the bytes that come until its answer. */
async function asked(client, event, payload) {
  const { engine } = client.socket.io;
  let bytes = 0;
  const count = ({ data }) => (bytes += data?.byteLength ?? Buffer.byteLength(data ?? ""));
  engine.on("packet", count);
  const ack = await client.ok(event, payload);
  engine.off("packet", count);
  return { ack, bytes };
}

describe("a client that joins again", () => {
  const server = suiteServer();
  afterEach(closeClients);

  it("is sent less than 1 KB of a document of 10 MB, if it lacks nothing and names the hash of its deletions", async () => {
    const size = await writeLargeDocument(server, "large", Y);
    assert.ok(size.bytes > 10_000 * KB && size.deletions > 400 * KB, JSON.stringify(size));
    const ana = await Client.connect(server);
    const { doc } = await ana.join("large");
    for (const event of ["join_room", "document_sync"]) {
      const stock = await asked(ana, event, { room: "large", state_vector: Y.encodeStateVector(doc) });
      assert.ok(stock.bytes > size.deletions, "without a hash, all deletions are sent");
      assert.equal(stock.ack.deletions_omitted, undefined);
      const { ack, bytes } = await asked(ana, event, { room: "large", ...has(doc) });
      console.log(`${event} without what it lacks: ${stock.bytes} bytes without a hash, ${bytes} with one`);
      assert.ok(bytes < KB, `${event} has ${bytes} bytes`);
      assert.equal(ack.deletions_omitted, true);
      assert.deepEqual([...ack.update], [0, 0], "an update of nothing");
    }
  });

  it("is sent the elements that it lacks without the deletions that it has, and with them if it lacks one", async () => {
    const [ana, ben] = [await Client.connect(server), await Client.connect(server, { person: { user: "ben" } })];
    const room = await ben.join("some");
    await room.edit(({ text }) => text.insert(0, "much too long"));
    await room.edit(({ text }) => text.delete(4, 4));
    const { doc } = await newcomer(server, "some");
    const join = () => ana.ok("join_room", { room: "some", ...has(doc) });
    await room.edit(({ text }) => text.insert(9, "!"));
    const inserted = await join();
    assert.equal(inserted.deletions_omitted, true);
    assert.equal(Y.decodeUpdate(new Uint8Array(inserted.update)).ds.clients.size, 0);
    Y.applyUpdate(doc, new Uint8Array(inserted.update));
    assert.equal(doc.getText("text").toString(), "much long!");
    await room.edit(({ text }) => text.delete(0, 5));
    const deleted = await join();
    assert.equal(deleted.deletions_omitted, undefined);
    Y.applyUpdate(doc, new Uint8Array(deleted.update));
    assert.equal(doc.getText("text").toString(), "long!");
  });

  it("misses no deletion, whatever happened while it was away", async () => {
    const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31);
    console.log(`SEED=${seed}`);
    const random = new Random(seed);
    const people = [];
    for (const user of ["ana", "ben", "cleo"]) {
      const client = await Client.connect(server, { person: { user } });
      people.push({ client, doc: new Y.Doc(), queue: [] });
    }
    for (const { doc, queue } of people) doc.on("update", (update, origin) => origin !== queue && queue.push(update));
    const answers = { omitted: 0, sent: 0 };
    const meet = async ({ client, doc, queue }, event) => {
      const ack = await client.ok(event, { room: "random", ...has(doc) });
      Y.applyUpdate(doc, new Uint8Array(ack.update), queue);
      answers[ack.deletions_omitted ? "omitted" : "sent"] += 1;
      queue.length = 0;
      const update = Y.encodeStateAsUpdate(doc, new Uint8Array(ack.state_vector));
      await client.ok("document_update", { room: "random", update });
    };
    for (const person of people) await meet(person, "join_room");
    for (let round = 0; round < 150; round += 1) {
      const person = random.of(people);
      for (let edits = random.below(4); edits > 0; edits -= 1) edit(person.doc, random);
      await meet(person, random.of(["join_room", "document_sync"]));
    }
    for (const person of [...people, ...people]) await meet(person, "document_sync");
    const { sent } = answers;
    for (const person of people) await meet(person, "document_sync");
    assert.equal(answers.sent, sent, "replicas that are the same have the same hash");
    const last = await newcomer(server, "random");
    for (const { doc } of people) {
      assert.equal(seen(doc), seen(last.doc));
      assert.equal(deletedIn(doc), deletedIn(last.doc));
    }
    console.log(answers);
    assert.ok(answers.omitted > 10 && answers.sent > 10, "both kinds of answers were tried");
  });
});

/** A random edit of a text or of a map with nested types. There are no surrogate pairs, whose halves Yjs replaces in one replica alone. */
function edit(doc, random) {
  const [text, map] = [doc.getText("text"), doc.getMap("map")];
  const at = random.below(text.length + 1);
  const key = `key ${random.below(3)}`;
  switch (random.below(6)) {
    case 0:
      return text.delete(at, Math.min(text.length - at, random.below(6)));
    case 1:
      return text.format(at, Math.min(text.length - at, 3), { bold: random.of([true, null]) });
    case 2:
      return map.set(key, new Y.Array());
    case 3:
      return map.get(key)?.push([new Y.Map([["inner", random.below(9)]])]);
    case 4:
      return map.delete(key);
    default:
      return text.insert(at, random.of(["a", "bc", "日本", "longer"]));
  }
}
