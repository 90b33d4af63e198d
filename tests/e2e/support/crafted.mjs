// Updates that Yjs would not write: put together by hand, most of them to do harm.
//
// The format is the first version of Yjs updates: the number of clients; for each the number of its blocks, its id, the
// clock of the first block, the blocks; then the deletions, the same way.

import * as encoding from "lib0/encoding";
import * as Y from "yjs";

const DELETED = 1;
const JSON_CONTENT = 2;
const STRING = 4;
const TYPE = 7;
const ANY = 8;
const WEAK_LINK = 7;
/** The flag of a block that is the value of a key. */
const KEYED = 0x20;
/** The flag of a block that names the block on its left. */
const FOLLOWING = 0x80;
const ARRAY = 117;
const OBJECT = 118;
/** A client id that no client has. */
export const NOBODY = 2 ** 40;
const HUGE = 2 ** 31 + 5;

/** Bytes, written by `write`. */
export function bytes(write) {
  const encoder = encoding.createEncoder();
  write((number) => encoding.writeVarUint(encoder, number), encoder);
  return encoding.toUint8Array(encoder);
}

/** An update of one client with `blocks` blocks from `clock` on, whose content `write` writes. */
function update(client, clock, blocks, write) {
  return bytes((number, encoder) => {
    for (const value of [1, blocks, client, clock]) number(value);
    write(number, encoder);
    number(0);
  });
}

/** A value of the key `key` of the map `map`, whose content `write` writes. */
function entry(client, clock, kind, write) {
  return update(client, clock, 1, (number, encoder) => {
    encoding.writeUint8(encoder, kind | KEYED);
    number(1);
    encoding.writeVarString(encoder, "map");
    encoding.writeVarString(encoder, "key");
    write(number, encoder);
  });
}

/** A: a first clock near 2^32, of client 1, for a document with a block of that client at clock 0. */
export const OVERFLOWING_CLOCK = Uint8Array.of(
  1,
  1,
  1,
  255,
  255,
  255,
  255,
  15,
  39,
  1,
  3,
  109,
  97,
  112,
  3,
  107,
  4,
  1,
  15,
  0,
);

/** B: depends on blocks of a client that does not exist, and breaks encoders that do not expect it while it is pending. */
export const POISONED_PENDING = Uint8Array.of(1, 1, 1, 47, 3, 107, 3, 4, 1, 15, 0);

/** C: bytes that look like a snapshot. */
export const FOREIGN_SNAPSHOT = Uint8Array.of(0, 1, 2, 0);

/** D: arrays within arrays in a plain value, `depth` of them. */
export function nestedValue(client, depth) {
  return entry(client, 0, ANY, (number) => {
    number(1);
    for (let level = 0; level < depth; level += 1) {
      number(ARRAY);
      number(1);
    }
    number(ARRAY);
    number(0);
  });
}

/** E: shared arrays within shared arrays: the levels from `from` up to, but without, `to` of one chain. */
export function nestedTypes(client, from, to) {
  return update(client, from, to - from, (number, encoder) => {
    for (let level = from; level < to; level += 1) {
      encoding.writeUint8(encoder, TYPE);
      if (level === 0) {
        number(1);
        encoding.writeVarString(encoder, "array");
      } else {
        for (const value of [0, client, level - 1]) number(value);
      }
      number(0);
    }
  });
}

/** F: a few bytes with counts of billions. */
export function hugeCounts(client) {
  const promise = (marker) => entry(client, 0, ANY, (number) => [1, marker, HUGE].forEach(number));
  return {
    "of clients": bytes((number) => number(HUGE)),
    "of clients, with a rest": bytes((number) => [HUGE, 1, 1, 0].forEach(number)),
    "of blocks": bytes((number) => [1, HUGE, client, 0].forEach(number)),
    "of deletions": bytes((number) => [0, HUGE].forEach(number)),
    "of a client's deletions": bytes((number) => [0, 1, client, HUGE].forEach(number)),
    "of values": entry(client, 0, ANY, (number) => number(HUGE)),
    "of an array's values": promise(ARRAY),
    "of an object's entries": promise(OBJECT),
    "of JSON values": entry(client, 0, JSON_CONTENT, (number) => number(HUGE)),
  };
}

/** Blocks that are well-formed and abusive: they use up a client's clocks, or have impossible content. */
export function abuses(client) {
  return {
    "garbage collected blocks up to clock 2^32": update(client, 0, 1, (number) => [0, 2 ** 32 - 1].forEach(number)),
    "deleted content beyond clock 2^31": entry(client, 0, DELETED, (number) => number(HUGE)),
    "a first clock beyond 2^31": entry(client, HUGE, ANY, (number) => [1, 126].forEach(number)),
    "an empty block": entry(client, 0, DELETED, (number) => number(0)),
    "a client id beyond 2^53": entry(2 ** 53, 0, ANY, (number) => [1, 126].forEach(number)),
    "an unknown kind of content": entry(client, 0, 11, (number) => [1, 126].forEach(number)),
    "a weak link": entry(client, 0, TYPE, (number) => [WEAK_LINK, 0, 0, 0].forEach(number)),
    "invalid UTF-8": entry(client, 0, STRING, (_, encoder) =>
      encoding.writeVarUint8Array(encoder, Uint8Array.of(0xff, 0xfe)),
    ),
  };
}

/** Blocks of `length` clocks that stay pending: they follow a character of a client that does not exist. */
export const waiting = {
  text: (client, length) => following(client, 0, [NOBODY, 0], "x".repeat(length)),
  deletion: (client, length) => follower(client, 0, [NOBODY, 0], DELETED, (number) => number(length)),
};

/** `text`, to the right of the character `left`: `[client, clock]`. */
export function following(client, clock, left, text) {
  return follower(client, clock, left, STRING, (_, encoder) => encoding.writeVarString(encoder, text));
}

function follower(client, clock, left, kind, write) {
  return update(client, clock, 1, (number, encoder) => {
    encoding.writeUint8(encoder, kind | FOLLOWING);
    left.forEach(number);
    write(number, encoder);
  });
}

/** Malformed state vectors: with a count of billions, or an early end. */
export const HOSTILE_STATE_VECTORS = {
  "a count of billions": bytes((number) => number(HUGE)),
  "a count without entries": bytes((number) => number(3)),
  "half an entry": bytes((number) => [1, 7].forEach(number)),
  "no end of a number": Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255),
  nothing: new Uint8Array(0),
};

/** An empty document with a given client id, so that a random run can be repeated. */
export function replica(client) {
  const doc = new Y.Doc();
  doc.clientID = client;
  return doc;
}

/** Updates of one client; each builds upon the one before. */
export function chain(length) {
  const doc = replica(78);
  const updates = [];
  doc.on("update", (one) => updates.push(one));
  for (let link = 0; link < length; link += 1) doc.getText("text").insert(link, String.fromCodePoint(97 + (link % 26)));
  return updates;
}

/** The state of a document with content of every kind. */
export function everything() {
  const doc = replica(77);
  const text = doc.getText("text");
  text.insert(0, "formatted text with an embed, ünicode and 😀");
  text.format(3, 8, { bold: true });
  text.insertEmbed(5, { image: "x.png" });
  doc
    .getMap("map")
    .set("values", [1, -1.5, 2 ** 40, null, undefined, true, { deep: ["x"] }, new Uint8Array([1, 2, 3])]);
  doc.getMap("map").set("nested", new Y.Map([["list", Y.Array.from([1, 2, "three"])]]));
  const element = new Y.XmlElement("p");
  doc.getXmlFragment("xml").insert(0, [element, new Y.XmlText("words")]);
  element.setAttribute("class", "x");
  doc.getArray("array").insert(0, ["a", "b", "c"]);
  doc.getArray("array").delete(1, 1);
  text.delete(0, 4);
  return Y.encodeStateAsUpdate(doc);
}

/** A number as Yjs writes it. */
export function varUint(value) {
  return bytes((number) => number(value));
}
