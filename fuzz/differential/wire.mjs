// Updates (encoding v1), decoded and encoded, so that every part can be changed.
//
// An update is `{ clients: [{ client, clock, blocks }], deletes: [{ client, ranges: [[clock, length]] }] }`; a block is
// `{ kind, flags, length }` with `origin` and `right` as `[client, clock]` or null, `parent` as a root's name or
// `[client, clock]`, `sub` as a key or null, and `content` as bytes.

import * as decoding from "lib0/decoding";
import * as encoding from "lib0/encoding";

export const GC = 0;
export const DELETED = 1;
export const BINARY = 3;
export const STRING = 4;
export const EMBED = 5;
export const FORMAT = 6;
export const TYPE = 7;
export const ANY = 8;
export const SUBDOCUMENT = 9;
export const SKIP = 10;

const readId = (from) => [decoding.readVarUint(from), decoding.readVarUint(from)];

/** Skips a block's content and gives its length in elements. */
function readContent(from, kind) {
  switch (kind) {
    case DELETED:
      return decoding.readVarUint(from);
    case STRING:
      return decoding.readVarString(from).length;
    case BINARY:
      decoding.readVarUint8Array(from);
      return 1;
    case EMBED:
      decoding.readVarString(from);
      return 1;
    case FORMAT:
      decoding.readVarString(from);
      decoding.readVarString(from);
      return 1;
    case TYPE:
      if ([3, 5].includes(decoding.readVarUint(from))) decoding.readVarString(from);
      return 1;
    case ANY: {
      const count = decoding.readVarUint(from);
      for (let at = 0; at < count; at++) decoding.readAny(from);
      return count;
    }
    case SUBDOCUMENT:
      decoding.readVarString(from);
      decoding.readAny(from);
      return 1;
    default:
      throw new Error(`kind ${kind}`);
  }
}

function readBlock(from) {
  const info = decoding.readUint8(from);
  const kind = info & 31;
  if (kind === GC || kind === SKIP) return { kind, flags: 0, length: decoding.readVarUint(from) };
  const block = { kind, flags: info & 0xe0, origin: null, right: null, parent: null, sub: null };
  if (info & 0x80) block.origin = readId(from);
  if (info & 0x40) block.right = readId(from);
  if (!(info & 0xc0)) {
    block.parent = decoding.readVarUint(from) === 1 ? decoding.readVarString(from) : readId(from);
    if (info & 0x20) block.sub = decoding.readVarString(from);
  }
  const start = from.pos;
  block.length = readContent(from, kind);
  block.content = from.arr.slice(start, from.pos);
  return block;
}

/** Decodes an update. */
export function read(update) {
  const from = decoding.createDecoder(update);
  const clients = [];
  for (let count = decoding.readVarUint(from); count > 0; count--) {
    const blocks = new Array(decoding.readVarUint(from));
    const client = decoding.readVarUint(from);
    const clock = decoding.readVarUint(from);
    for (let at = 0; at < blocks.length; at++) blocks[at] = readBlock(from);
    clients.push({ client, clock, blocks });
  }
  const deletes = [];
  for (let count = decoding.readVarUint(from); count > 0; count--) {
    const client = decoding.readVarUint(from);
    const ranges = [];
    for (let left = decoding.readVarUint(from); left > 0; left--) ranges.push(readId(from));
    deletes.push({ client, ranges });
  }
  return { clients, deletes };
}

function writeId(to, [client, clock]) {
  encoding.writeVarUint(to, client);
  encoding.writeVarUint(to, clock);
}

function writeBlock(to, block) {
  if (block.kind === GC || block.kind === SKIP) {
    encoding.writeUint8(to, block.kind);
    encoding.writeVarUint(to, block.length);
    return;
  }
  const flags = (block.origin ? 0x80 : 0) | (block.right ? 0x40 : 0) | (block.sub === null ? 0 : 0x20);
  encoding.writeUint8(to, block.kind | flags);
  if (block.origin) writeId(to, block.origin);
  if (block.right) writeId(to, block.right);
  if (!block.origin && !block.right) {
    if (typeof block.parent === "string") {
      encoding.writeVarUint(to, 1);
      encoding.writeVarString(to, block.parent);
    } else {
      encoding.writeVarUint(to, 0);
      writeId(to, block.parent);
    }
    if (block.sub !== null) encoding.writeVarString(to, block.sub);
  }
  encoding.writeUint8Array(to, block.content);
}

/** Encodes an update. */
export function write({ clients, deletes }) {
  const to = encoding.createEncoder();
  encoding.writeVarUint(to, clients.length);
  for (const { client, clock, blocks } of clients) {
    encoding.writeVarUint(to, blocks.length);
    writeId(to, [client, clock]);
    for (const block of blocks) writeBlock(to, block);
  }
  encoding.writeVarUint(to, deletes.length);
  for (const { client, ranges } of deletes) {
    encoding.writeVarUint(to, client);
    encoding.writeVarUint(to, ranges.length);
    for (const range of ranges) writeId(to, range);
  }
  return encoding.toUint8Array(to);
}

/** The bytes that `write` writes. */
export function bytes(write) {
  const to = encoding.createEncoder();
  write(to);
  return encoding.toUint8Array(to);
}
