// Editors: stock Yjs clients that make every kind of change, and send it late, twice, and in any order.

import * as Y from "yjs";

const WORDS = ["a", "bc", "def ghi", "😀", "x😀y", "é日", "\n"];
const KEYS = ["a", "b", "key", ""];
const MARKS = [{ bold: true }, { bold: null }, { color: "red" }, { link: { href: "x", n: 0.1 } }];

/** A value that an application might store. */
export function value(random) {
  return random.pick([
    () => random.below(100),
    () => -random.below(1 << 20),
    () => random.word() / 7,
    () => -0,
    () => 2 ** 40 + random.below(9),
    () => random.pick(WORDS),
    () => random.oneIn(2),
    () => null,
    () => undefined,
    () => new Uint8Array([random.below(256), 0]),
    () => [1, [random.pick(WORDS)], {}],
    () => ({ a: random.below(9), b: { c: [null] }, "": NaN }),
    () => 2n ** 60n + 1n,
  ])();
}

function newType(random) {
  return random.pick([
    () => new Y.Map([["k", value(random)]]),
    () => Y.Array.from([random.below(9), random.pick(WORDS)]),
    () => new Y.Text(random.pick(WORDS)),
    () => new Y.Map(),
    () => new Y.XmlElement(random.pick(["p", "li"])),
    () => new Y.XmlText(random.pick(WORDS)),
    () => new Y.XmlFragment(),
    () => new Y.Doc({ guid: random.pick(["g", "h"]), autoLoad: random.oneIn(3), gc: !random.oneIn(3) }),
  ])();
}

const range = (random, length) => {
  const at = random.below(length);
  return [at, Math.min(length - at, 1 + random.few(5))];
};

function editText(random, text) {
  const { length } = text;
  const [at, len] = range(random, length);
  switch (random.below(7)) {
    case 0:
      return length > 0 && text.delete(at, len);
    case 1:
      return length > 0 && text.format(at, len, random.pick(MARKS));
    case 2:
      return text.insertEmbed(random.below(length + 1), { image: random.word() / 3 }, random.pick([{}, ...MARKS]));
    case 3:
      return text.insert(random.below(length + 1), random.pick(WORDS), random.pick(MARKS));
    default:
      return text.insert(random.oneIn(3) ? length : random.below(length + 1), random.pick(WORDS));
  }
}

function editMap(random, map) {
  const key = random.pick(KEYS);
  if (random.oneIn(4)) map.delete(key);
  else map.set(key, random.oneIn(3) ? newType(random) : value(random));
}

function editList(random, list) {
  const [at, len] = range(random, list.length);
  if (list.length > 0 && random.oneIn(3)) return list.delete(at, len);
  const some = Array.from({ length: 1 + random.few(3) }, () => {
    if (random.oneIn(3)) return newType(random);
    const one = value(random);
    // A map accepts these two values, a list does not.
    return one === undefined || typeof one === "bigint" ? null : one;
  });
  return list.insert(random.below(list.length + 1), some);
}

function editXml(random, xml) {
  const [at, len] = range(random, xml.length);
  if (xml.length > 0 && random.oneIn(4)) return xml.delete(at, len);
  if (xml instanceof Y.XmlElement && random.oneIn(3)) {
    const key = random.pick(["class", "id"]);
    return random.oneIn(4) ? xml.removeAttribute(key) : xml.setAttribute(key, random.pick(WORDS));
  }
  const child = random.oneIn(2) ? new Y.XmlElement("p") : new Y.XmlText(random.pick(WORDS));
  return xml.insert(random.below(xml.length + 1), [child]);
}

function editType(random, type) {
  if (type instanceof Y.XmlText && random.oneIn(5)) return type.setAttribute("a", random.pick(WORDS));
  if (type instanceof Y.Text) return editText(random, type);
  if (type instanceof Y.Map) return editMap(random, type);
  if (type instanceof Y.XmlFragment) return editXml(random, type);
  return editList(random, type);
}

/** `type` itself, or a type at any depth in it. */
function typeWithin(random, type) {
  const inner = [];
  for (let item = type._start; item !== null; item = item.right) {
    if (!item.deleted && item.content instanceof Y.ContentType) inner.push(item.content.type);
  }
  for (const item of type._map.values()) {
    if (!item.deleted && item.content instanceof Y.ContentType) inner.push(item.content.type);
  }
  return inner.length > 0 && !random.oneIn(3) ? typeWithin(random, random.pick(inner)) : type;
}

/** A client that edits. */
export class Editor {
  #random;
  #inbox = [];
  #outbox = [];
  #undo;
  /** The error after which it makes no more edits. */
  broken = null;

  constructor(random, client) {
    this.#random = random;
    this.doc = new Y.Doc({ guid: "editor", gc: !random.oneIn(5) });
    this.doc.clientID = client;
    this.doc.on("update", (update, origin) => origin !== this.#inbox && this.#outbox.push(update));
    this.roots = [this.doc.getText("text"), this.doc.getArray("array"), this.doc.getMap("map")];
    this.roots.push(this.doc.getXmlFragment("xml"));
    if (random.oneIn(2)) this.#undo = new Y.UndoManager(this.roots, { captureTimeout: 0 });
  }

  /** Receives updates that the room relayed. They are applied later. */
  receive(updates) {
    this.#inbox.push(...updates);
  }

  applyReceived() {
    const received = this.#inbox.splice(0);
    this.#attempt(() => received.forEach((update) => Y.applyUpdate(this.doc, update, this.#inbox)));
  }

  /** Does something that may fail: a forger may have written other content for known elements, or content that a type cannot have. */
  #attempt(run) {
    if (this.broken) return;
    try {
      run();
    } catch (error) {
      this.broken = error;
    }
  }

  edit() {
    this.#attempt(() => this.#edit());
  }

  #edit() {
    const random = this.#random;
    if (this.#undo && random.oneIn(4)) {
      if (random.oneIn(3)) this.#undo.redo();
      else this.#undo.undo();
      return;
    }
    this.doc.transact(() => {
      for (let times = 1 + random.few(3); times > 0; times--) editType(random, typeWithin(random, random.pick(this.roots)));
    });
  }

  /** All updates that have not been sent. */
  rest() {
    return this.#outbox.splice(0);
  }

  /** The updates that are sent now: usually all, in order. */
  send() {
    const random = this.#random;
    const all = this.#outbox.splice(0);
    if (all.length > 0 && random.oneIn(8)) {
      // Some updates are sent later, twice, in another order, or merged into one.
      const split = random.below(all.length + 1);
      this.#outbox.push(...all.splice(split));
      if (all.length > 0 && random.oneIn(2)) all.push(random.pick(all));
      if (all.length > 1 && random.oneIn(3)) return [Y.mergeUpdates(all)];
      return random.shuffled(all);
    }
    if (random.oneIn(30)) return [...all, Y.encodeStateAsUpdate(this.doc)];
    return all;
  }
}
