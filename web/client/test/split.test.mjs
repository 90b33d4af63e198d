// A large update is cut into parts that say the same.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as Y from "yjs";
import { Random } from "../../../tests/e2e/support/random.mjs";
import { splitUpdate } from "../dist/split.js";

const LIMIT = 4_000;

/** A document of several people, with text, formats, embedded types and deletions. */
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
  it("is cut into parts of at most the given size that say the same in any order", () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const doc = written(seed);
      const whole = Y.encodeStateAsUpdate(doc);
      const parts = splitUpdate(whole, LIMIT);
      assert.ok(parts.length > 2);
      // The deletions stay whole.
      assert.ok(parts.slice(0, -1).every((part) => part.byteLength <= LIMIT));
      for (const order of [parts, parts.toReversed()]) {
        const copy = new Y.Doc();
        copy.getXmlFragment("xml");
        order.forEach((part) => Y.applyUpdate(copy, part));
        assert.deepEqual(content(copy), content(doc));
        assert.deepEqual(Y.encodeStateVector(copy), Y.encodeStateVector(doc));
      }
    }
  });

  it("is cut where it begins in the middle of what a client wrote, too", () => {
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

  it("stays as it is where it is small enough", () => {
    const update = Y.encodeStateAsUpdate(written(1));
    assert.deepEqual(splitUpdate(update, update.byteLength), [update]);
  });
});
