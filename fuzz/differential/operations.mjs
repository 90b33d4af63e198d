// Random operations for edits by the server, and the same operations in stock Yjs. crates/document/src/edit/operation.rs defines them.

import * as Y from "yjs";

const ROOTS = { text: Y.Text, array: Y.Array, map: Y.Map, xml: Y.XmlFragment };
const WORDS = ["a", "bc", "def ghi", "😀", "x😀y", "é日", "\n"];
const MARKS = [{ bold: true }, { bold: null }, { color: "red" }, { link: { href: "x", n: 0.5 } }, { bold: true, color: "red" }];
const VALUES = [0, -7, 63, 64, -64, 2 ** 31 - 1, 2 ** 31, -(2 ** 40), 0.5, 0.1, 1e300, "x", "😀", true, false, null, [1, [null]], { a: { b: [] } }];

/** The items of a list that have positions. */
function* counted(type) {
  for (let item = type._start; item !== null; item = item.right) if (!item.deleted && item.countable) yield item;
}

function inner(type, step) {
  if (typeof step === "string") return type._map.get(step).content.type;
  let left = step;
  for (const item of counted(type)) {
    if (left < item.length) return item.content.type;
    left -= item.length;
  }
  throw new Error(`nothing at ${step}`);
}

function resolve(doc, { root, path }) {
  return path.reduce(inner, doc.get(root, ROOTS[root]));
}

function parts(of) {
  return of.map(({ text, embed }) => {
    if (text) return { insert: text.text, attributes: text.attributes };
    return { insert: "value" in embed.content ? embed.content.value : made(embed.content), attributes: embed.attributes };
  });
}

/** New content as stock Yjs represents it. */
function made(content) {
  const [[kind, of]] = Object.entries(content);
  switch (kind) {
    case "value":
      return of;
    case "array":
      return Y.Array.from(of.map(made));
    case "map":
      return new Y.Map(Object.entries(of).map(([key, value]) => [key, made(value)]));
    case "text": {
      const text = new Y.Text();
      text.applyDelta(parts(of), { sanitize: false });
      return text;
    }
    case "xml_fragment": {
      const fragment = new Y.XmlFragment();
      fragment.insert(0, of.map(made));
      return fragment;
    }
    case "xml_element": {
      const element = new Y.XmlElement(of.name);
      for (const [name, value] of Object.entries(of.attributes)) element.setAttribute(name, value);
      element.insert(0, of.children.map(made));
      return element;
    }
    default: {
      const text = new Y.XmlText();
      for (const [name, value] of Object.entries(of.attributes)) text.setAttribute(name, value);
      text.applyDelta(parts(of.parts), { sanitize: false });
      return text;
    }
  }
}

function one(doc, operation) {
  const [[kind, of]] = Object.entries(operation);
  const type = resolve(doc, of.target);
  const at = of.at ?? type.length;
  // Search markers do not know the formatting at their position: with them Yjs sometimes uses the wrong one.
  type._searchMarker = null;
  switch (kind) {
    case "insert_text":
      return type.insert(at, of.text, of.attributes ? { ...of.attributes } : undefined);
    case "insert_embed":
      return type.insertEmbed(at, made(of.content), { ...of.attributes });
    case "format_text":
      return type.format(at, of.len, of.attributes);
    case "set_key":
      return type.set(of.key, made(of.content));
    case "remove_key":
      return type.delete(of.key);
    case "insert_values":
      return type.insert(at, of.contents.map(made));
    case "insert_nodes":
      return type.insert(at, of.nodes.map(made));
    case "set_attribute":
      return type.setAttribute(of.name, of.value);
    case "remove_attribute":
      return type.removeAttribute(of.name);
    default:
      return type.delete(at, of.len);
  }
}

/** Performs `operations` in `doc`, as one transaction. */
export function perform(doc, operations) {
  doc.transact(() => operations.forEach((operation) => one(doc, operation)));
}

/** A position that is not inside a character. */
function position(random, type) {
  const borders = [0];
  for (const item of counted(type)) {
    const text = item.content.constructor === Y.ContentString ? item.content.str : null;
    for (let at = 1; at <= item.length; at++) {
      const torn = text !== null && /[\ud800-\udbff]/.test(text[at - 1]) && /[\udc00-\udfff]/.test(text[at] ?? "");
      if (torn) borders.push(null);
      else borders.push(borders.length);
    }
  }
  return random.pick(borders.filter((border) => border !== null));
}

function range(random, type) {
  const [one, other] = [position(random, type), position(random, type)];
  return { at: Math.min(one, other), len: Math.abs(one - other) };
}

const where = (random, type) => (random.oneIn(4) ? null : position(random, type));
const marks = (random) => (random.oneIn(2) ? {} : { ...random.pick(MARKS) });
const some = (random, make) => Array.from({ length: random.below(3) }, make);

function textParts(random) {
  return some(random, () => {
    if (!random.oneIn(4)) return { text: { text: random.pick(WORDS), attributes: marks(random) } };
    const content = random.oneIn(2) ? { value: { image: random.below(9) } } : { map: { __type: { value: "text" } } };
    return { embed: { content, attributes: marks(random) } };
  });
}

function xmlNode(random, depth) {
  const attributes = random.oneIn(3) ? { __type: "paragraph", n: random.pick(VALUES) } : {};
  if (depth === 0 || random.oneIn(2)) return { xml_text: { attributes, parts: textParts(random) } };
  const children = some(random, () => xmlNode(random, depth - 1));
  return { xml_element: { name: random.pick(["paragraph", "li"]), attributes, children } };
}

function content(random, depth = 2) {
  if (depth === 0 || random.oneIn(2)) return { value: random.pick(VALUES) };
  return random.pick([
    () => ({ array: some(random, () => content(random, depth - 1)) }),
    () => ({ map: { a: content(random, depth - 1), "": content(random, depth - 1) } }),
    () => ({ text: textParts(random) }),
    () => ({ xml_fragment: some(random, () => xmlNode(random, 1)) }),
    () => xmlNode(random, 1),
  ])();
}

function textOperation(random, type, target) {
  return random.pick([
    () => ({ insert_text: { target, at: where(random, type), text: random.pick(WORDS), attributes: random.oneIn(2) ? null : marks(random) } }),
    () => ({ insert_text: { target, at: where(random, type), text: random.pick(WORDS) } }),
    () => ({ insert_embed: { target, at: where(random, type), content: { value: { image: 1 } }, attributes: marks(random) } }),
    () => ({ insert_embed: { target, at: where(random, type), content: xmlNode(random, 1), attributes: marks(random) } }),
    () => ({ format_text: { target, ...range(random, type), attributes: { ...random.pick(MARKS) } } }),
    () => ({ delete_text: { target, ...range(random, type) } }),
  ])();
}

function attributeOperation(random, target) {
  const name = random.pick(["class", "id"]);
  return random.oneIn(3) ? { remove_attribute: { target, name } } : { set_attribute: { target, name, value: random.pick(VALUES) } };
}

function operation(random, type, target) {
  if (type instanceof Y.XmlText && random.oneIn(5)) return attributeOperation(random, target);
  if (type instanceof Y.Text) return textOperation(random, type, target);
  if (type instanceof Y.Map) {
    const key = random.pick(["a", "b", "key", ""]);
    return random.oneIn(3) ? { remove_key: { target, key } } : { set_key: { target, key, content: content(random) } };
  }
  if (type instanceof Y.XmlElement && random.oneIn(4)) return attributeOperation(random, target);
  if (type instanceof Y.XmlFragment) {
    if (random.oneIn(3)) return { delete_nodes: { target, ...range(random, type) } };
    return { insert_nodes: { target, at: where(random, type), nodes: some(random, () => xmlNode(random, 2)) } };
  }
  if (random.oneIn(3)) return { delete_values: { target, ...range(random, type) } };
  return { insert_values: { target, at: where(random, type), contents: some(random, () => content(random)) } };
}

/** `type` itself, or a type at any depth in it, with its path. */
function typeWithin(random, type, path) {
  const found = [];
  let at = 0;
  for (const item of counted(type)) {
    if (item.content instanceof Y.ContentType) found.push([item.content.type, at]);
    at += item.length;
  }
  for (const [key, item] of type._map) {
    if (!item.deleted && item.content instanceof Y.ContentType) found.push([item.content.type, key]);
  }
  if (found.length === 0 || random.oneIn(3)) return { type, path };
  const [inside, step] = random.pick(found);
  return typeWithin(random, inside, [...path, step]);
}

/** Whether a list has only content of its type. A forger may have written other content, of which Yjs deletes a part and skips a part. */
function isSound(type) {
  const kinds = [Y.ContentType];
  if (type instanceof Y.Text) kinds.push(Y.ContentString, Y.ContentEmbed, Y.ContentFormat);
  if (type instanceof Y.Array) kinds.push(Y.ContentAny, Y.ContentBinary, Y.ContentDoc);
  for (let item = type._start; item !== null; item = item.right) {
    if (!item.deleted && (!kinds.includes(item.content.constructor) || item.content.key === "__proto__")) return false;
  }
  return true;
}

/** A few operations, each of which is possible after those before it. They are performed in `doc`. */
export function operations(random, doc) {
  return Array.from({ length: 1 + random.few(4) }, () => {
    const root = random.pick(Object.keys(ROOTS));
    const { type, path } = typeWithin(random, doc.get(root, ROOTS[root]), []);
    if (!isSound(type)) return null;
    const made = operation(random, type, { root, path });
    one(doc, made);
    return made;
  }).filter((made) => made !== null);
}
