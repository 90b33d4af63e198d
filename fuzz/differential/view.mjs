// The visible content and the elements of a Yjs document, as text to compare.

import * as Y from "yjs";

/** A value, with its keys in order. -0 counts as 0, because yrs does not keep it. */
export function canonical(value) {
  switch (typeof value) {
    case "number":
      return `${value}`;
    case "bigint":
      return `${value}n`;
    case "undefined":
      return "undefined";
    case "string":
    case "boolean":
      return JSON.stringify(value);
  }
  if (value === null) return "null";
  if (value instanceof Uint8Array) return `<${Buffer.from(value).toString("hex")}>`;
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  return `{${Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`)
    .join()}}`;
}

/** Content without its place. `inner` describes a shared type. */
function content(of, inner) {
  switch (of.constructor) {
    case Y.ContentString:
      return JSON.stringify(of.str);
    case Y.ContentAny:
      return of.arr.map(canonical).join();
    case Y.ContentBinary:
      return canonical(of.content);
    case Y.ContentEmbed:
      return `embed ${canonical(of.embed)}`;
    case Y.ContentFormat:
      return `format ${JSON.stringify(of.key)} ${canonical(of.value)}`;
    case Y.ContentDeleted:
      return "deleted";
    case Y.ContentType:
      return `${of.type.constructor.name} ${of.type.nodeName ?? ""}${inner(of.type)}`;
    default: {
      const { gc, autoLoad } = of.opts;
      return `document ${JSON.stringify(of.doc.guid)} ${canonical({ gc, autoLoad })}`;
    }
  }
}

function node(type) {
  const list = [];
  let text = "";
  const flush = () => {
    if (text !== "") list.push(JSON.stringify(text));
    text = "";
  };
  for (let item = type._start; item !== null; item = item.right) {
    if (item.deleted) continue;
    if (item.content.constructor === Y.ContentString) {
      text += item.content.str;
    } else {
      flush();
      list.push(content(item.content, node));
    }
  }
  flush();
  const entries = [];
  for (const [key, item] of type._map) {
    if (item.deleted) continue;
    const { constructor } = item.content;
    const values = item.content.getContent();
    const last = () => canonical(values[item.length - 1]);
    const whole = constructor !== Y.ContentAny && constructor !== Y.ContentString;
    entries.push(`${JSON.stringify(key)}:${whole ? content(item.content, node) : last()}`);
  }
  return list.length + entries.length === 0 ? "" : `(${list.join()}${entries.sort().map((entry) => ` ${entry}`)})`;
}

/** All visible content, whatever types the roots have. */
export function view(doc) {
  const roots = [...doc.share].map(([name, type]) => [name, node(type)]).filter(([, seen]) => seen !== "");
  return roots
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, seen]) => `${JSON.stringify(name)}${seen}`)
    .join("\n");
}

/** The visible content of a type: its list, with the formatting of each part, and its entries. */
function look(type) {
  const list = [];
  let text = "";
  let textMarks = "{}";
  const flush = () => {
    if (text !== "") list.push(`${JSON.stringify(text)}${textMarks}`);
    text = "";
  };
  const marks = {};
  for (let item = type._start; item !== null; item = item.right) {
    if (item.deleted) continue;
    const { content: of } = item;
    if (of.constructor === Y.ContentFormat) {
      if (of.value === null) delete marks[of.key];
      else marks[of.key] = of.value;
      continue;
    }
    const now = canonical(marks);
    if (of.constructor === Y.ContentString) {
      if (now !== textMarks) flush();
      textMarks = now;
      text += of.str;
    } else {
      flush();
      // The grouping of values into items is not visible.
      const values = of.constructor === Y.ContentAny ? of.arr.map(canonical) : [content(of, look)];
      list.push(...values.map((value) => `${value}${now}`));
    }
  }
  flush();
  const entries = [...type._map]
    .filter(([, item]) => !item.deleted)
    .map(([key, item]) => `${JSON.stringify(key)}:${content(item.content, look)}`);
  return list.length + entries.length === 0 ? "" : `(${list.join()}${entries.sort().map((entry) => ` ${entry}`)})`;
}

/** All visible content, as in `view`, but with the formatting of each part instead of marks. */
export function shown(doc) {
  return [...doc.share]
    .map(([name, type]) => `${JSON.stringify(name)}${look(type)}`)
    .filter((seen) => seen.endsWith(")"))
    .sort()
    .join("\n");
}

const id = (of) => (of ? `${of.client}:${of.clock}` : "-");

function place(item) {
  if (item.origin || item.rightOrigin) return "";
  const { parent } = item;
  const where = parent._item ? id(parent._item.id) : JSON.stringify(Y.findRootTypeKey(parent));
  return ` in ${where} ${JSON.stringify(item.parentSub)}`;
}

/** All elements of a newcomer with `update`, with their origins, and which of them are deleted. */
export function state(update) {
  const doc = opened(update);
  const clients = [...doc.store.clients].sort(([a], [b]) => a - b);
  const lines = clients.flatMap(([client, structs]) =>
    structs.map((it) => {
      const at = `${client}:${it.id.clock}+${it.length}${it.deleted ? " deleted" : ""}`;
      if (it.constructor === Y.GC) return `${at} collected`;
      return `${at} ${id(it.origin)} ${id(it.rightOrigin)}${place(it)} ${content(it.content, () => "")}`;
    }),
  );
  return lines.join("\n");
}

/** A newcomer with `update`. */
export function opened(update) {
  const doc = new Y.Doc({ guid: "newcomer" });
  Y.applyUpdate(doc, update);
  return doc;
}

/** The missing elements on which pending blocks of a document depend; null if nothing is pending. */
export function missing(doc) {
  const { pendingStructs, pendingDs } = doc.store;
  if (pendingStructs !== null) return JSON.stringify([...pendingStructs.missing]);
  return pendingDs === null ? null : "elements that are to be deleted";
}
