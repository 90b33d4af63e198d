// A large update is cut into parts, each of which is valid by itself, and which together have the same content.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as Y from "yjs";
import { Random } from "@realtime-server/harness/random";
import { splitUpdate } from "../dist/split.js";

const LIMIT = 4_000;

/** A document of several users, with text, formats, embedded types and deletions. */
function written(seed) {
  const random = new Random(seed);
  const docs = Array.from({ length: 3 }, () => new Y.Doc());
  for (let step = 0; step < 400; step += 1) {
    const doc = random.of(docs);
    const text = doc.getText("text");
    const at = random.below(text.length + 1);
    const way = random.below(6);
    if (way === 0 && at < text.length) text.delete(at, 1);
    else if (way === 1 && at < text.length) text.format(at, 1, { bold: random.below(2) === 0 });
    else if (way === 2) doc.getMap("map").set(`key ${random.below(9)}`, new Y.Array());
    else if (way === 3) doc.getXmlFragment("xml").push([new Y.XmlElement("p")]);
    else text.insert(at, "word ".repeat(1 + random.below(60)));
    if (random.below(10) === 0) docs.forEach((other) => Y.applyUpdate(other, Y.encodeStateAsUpdate(doc)));
  }
  docs.forEach((other) => Y.applyUpdate(docs[0], Y.encodeStateAsUpdate(other)));
  return docs[0];
}

const content = (doc) => [
  doc.getText("text").toDelta(),
  doc.getMap("map").toJSON(),
  doc.getXmlFragment("xml").toString(),
];

describe("a large update", () => {
  it("is cut into parts of at most the given size that result in the same document in any order", () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const doc = written(seed);
      const whole = Y.encodeStateAsUpdate(doc);
      const parts = splitUpdate(whole, LIMIT);
      assert.ok(parts.length > 2);
      assert.ok(parts.every((part) => part.byteLength <= LIMIT));
      for (const order of [parts, parts.toReversed()]) {
        const copy = new Y.Doc();
        copy.getXmlFragment("xml");
        order.forEach((part) => Y.applyUpdate(copy, part));
        assert.deepEqual(content(copy), content(doc));
        assert.deepEqual(Y.encodeStateVector(copy), Y.encodeStateVector(doc));
      }
    }
  });

  it("is cut correctly if it begins in the middle of the blocks of a client", () => {
    const doc = written(99);
    const early = new Y.Doc();
    const late = new Y.Doc();
    Y.applyUpdate(early, Y.encodeStateAsUpdate(doc));
    early.getText("text").insert(0, "x".repeat(50));
    for (let key = 0; key < 2_000; key += 1)
      early.getText("text").insert((key * 7) % early.getText("text").length, "yz");
    Y.applyUpdate(late, Y.encodeStateAsUpdate(doc));
    const difference = Y.encodeStateAsUpdate(early, Y.encodeStateVector(late));
    splitUpdate(difference, LIMIT).forEach((part) => Y.applyUpdate(late, part));
    assert.deepEqual(content(late), content(early));
  });

  it("is cut so that no part depends on a later one", () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const copy = new Y.Doc();
      for (const part of splitUpdate(Y.encodeStateAsUpdate(written(seed)), 1_000)) {
        Y.applyUpdate(copy, part);
        assert.equal(copy.store.pendingStructs, null);
        assert.equal(copy.store.pendingDs, null);
      }
    }
  });

  it("is cut within a single text, but never within a character", () => {
    const doc = new Y.Doc();
    const one = "añ€😀".repeat(3_000);
    doc.getText("text").insert(0, one);
    doc.getText("text").insert(5, "in the middle");
    for (const limit of [101, 1_000, 4_001]) {
      const parts = splitUpdate(Y.encodeStateAsUpdate(doc), limit);
      assert.ok(parts.length > 30_000 / limit);
      assert.ok(parts.every((part) => part.byteLength <= limit));
      const copy = new Y.Doc();
      parts.forEach((part) => Y.applyUpdate(copy, part));
      assert.equal(copy.getText("text").toString(), doc.getText("text").toString());
    }
  });

  it("is cut within the values of an array, and within many deletions", () => {
    const doc = new Y.Doc();
    doc.getArray("list").insert(
      0,
      Array.from({ length: 5_000 }, (_, index) => ({ index, word: "x".repeat(index % 30) })),
    );
    for (let at = 0; at < 2_000; at += 1) doc.getArray("list").delete(at, 1);
    const parts = splitUpdate(Y.encodeStateAsUpdate(doc), LIMIT);
    assert.ok(parts.every((part) => part.byteLength <= LIMIT));
    const copy = new Y.Doc();
    parts.forEach((part) => Y.applyUpdate(copy, part));
    assert.deepEqual(copy.getArray("list").toJSON(), doc.getArray("list").toJSON());
    assert.deepEqual(Y.encodeStateVector(copy), Y.encodeStateVector(doc));
  });

  it("keeps a single value whole, without its content if that is deleted", () => {
    const doc = new Y.Doc({ gc: false });
    const text = doc.getText("text");
    text.insertEmbed(0, { image: "x".repeat(2 * LIMIT) });
    text.insert(0, "before ");
    text.insert(text.length, " after");
    const largest = () => Math.max(...splitUpdate(Y.encodeStateAsUpdate(doc), LIMIT).map((part) => part.byteLength));
    assert.ok(largest() > 2 * LIMIT);
    text.delete(7, 1);
    assert.ok(largest() < 200);
    const copy = new Y.Doc();
    splitUpdate(Y.encodeStateAsUpdate(doc), LIMIT).forEach((part) => Y.applyUpdate(copy, part));
    assert.equal(copy.getText("text").toString(), "before  after");
  });

  it("is not cut if it is small enough", () => {
    const update = Y.encodeStateAsUpdate(written(1));
    assert.deepEqual(splitUpdate(update, update.byteLength), [update]);
  });
});
