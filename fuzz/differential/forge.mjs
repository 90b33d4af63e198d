// A forger, who writes updates by hand: mostly well-formed ones, with as many kinds of false claims as possible.

import * as encoding from "lib0/encoding";
import { value } from "./edits.mjs";
import { ANY, BINARY, DELETED, EMBED, FORMAT, GC, SKIP, STRING, SUBDOCUMENT, TYPE, bytes, read, write } from "./wire.mjs";

const ROOTS = ["text", "array", "map", "xml", "text", "other"];
const KEYS = ["a", "b", "key", ""];
const TEXTS = ["x", "yz", "😀", "é", "forged"];
const JSONS = ["null", "1", '{"a":[0.1,-0]}', '"\\ud83d\\ude00"', "9007199254740993", "1e999", '"\\ud800"', '{"a":1,"a":2}'];

const anyOf = (random) => {
  if (!random.oneIn(12)) return (to) => encoding.writeAny(to, value(random));
  return random.pick([
    (to) => encoding.writeUint8Array(to, new Uint8Array([125, 0x40])),
    (to) => encoding.writeUint8Array(to, new Uint8Array([122, 0, 0, 0, 0, 0, 0, 0, random.below(9)])),
    (to) => encoding.writeUint8Array(to, new Uint8Array([125, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20])),
    (to) => encoding.writeUint8Array(to, new Uint8Array([124, 0x7f, 0xc0, 0, random.below(9)])),
    (to) => encoding.writeUint8Array(to, new Uint8Array([118, 1, 9, ...Buffer.from("__proto__"), 118, 0])),
    (to) => encoding.writeUint8Array(to, new Uint8Array([118, 2, 1, 97, 126, 1, 97, 120])),
  ]);
};

const optionsOf = (random) =>
  random.pick([{}, { gc: false }, { autoLoad: true, shouldLoad: true }, null, undefined, 5, { gc: 0 }, { guid: "z" }, "x"]);

/** Content of a random kind, with its length in elements. */
function content(random) {
  const kind = random.pick([DELETED, BINARY, STRING, STRING, STRING, EMBED, FORMAT, TYPE, TYPE, ANY, ANY, SUBDOCUMENT]);
  switch (kind) {
    case DELETED: {
      const length = 1 + random.few(4);
      return { kind, length, content: bytes((to) => encoding.writeVarUint(to, length)) };
    }
    case STRING: {
      const text = random.pick(TEXTS);
      return { kind, length: text.length, content: bytes((to) => encoding.writeVarString(to, text)) };
    }
    case ANY: {
      const values = Array.from({ length: 1 + random.few(3) }, () => anyOf(random));
      const all = bytes((to) => {
        encoding.writeVarUint(to, values.length);
        for (const one of values) one(to);
      });
      return { kind, length: values.length, content: all };
    }
    case BINARY:
      return { kind, length: 1, content: bytes((to) => encoding.writeVarUint8Array(to, new Uint8Array([7]))) };
    case EMBED:
      return { kind, length: 1, content: bytes((to) => encoding.writeVarString(to, random.pick(JSONS))) };
    case FORMAT: {
      const all = bytes((to) => {
        encoding.writeVarString(to, random.pick(["bold", "color", "__proto__"]));
        encoding.writeVarString(to, random.pick(["true", "null", ...JSONS]));
      });
      return { kind, length: 1, content: all };
    }
    case TYPE: {
      const type = random.below(7);
      const all = bytes((to) => {
        encoding.writeVarUint(to, type);
        if (type === 3 || type === 5) encoding.writeVarString(to, "p");
      });
      return { kind, length: 1, content: all };
    }
    default: {
      const all = bytes((to) => {
        encoding.writeVarString(to, random.pick(["g", ""]));
        encoding.writeAny(to, optionsOf(random));
      });
      return { kind, length: 1, content: all };
    }
  }
}

/** A forger, who knows all ids in `doc`, a member's document. */
export class Forger {
  #random;
  #doc;
  #own;

  constructor(random, doc, own) {
    this.#random = random;
    this.#doc = doc;
    this.#own = own;
  }

  /** A forged update. `sent` has the updates of others. */
  update(sent) {
    const random = this.#random;
    if (sent.length > 0 && random.oneIn(3)) {
      const copy = random.pick(sent).update;
      try {
        return write(this.#copied(read(copy)));
      } catch {
        return copy;
      }
    }
    const clients = Array.from({ length: random.pick([0, 1, 1, 1, 1, 2]) }, () => this.#section());
    const deletes = random.oneIn(3) ? [this.#deletes()] : [];
    return write({ clients, deletes });
  }

  /** `update` with a few bytes changed. */
  mutated(update) {
    const random = this.#random;
    const out = [...update];
    for (let times = 1 + random.few(3); times > 0; times--) {
      const at = random.below(out.length);
      const byte = random.oneIn(2) ? random.below(256) : random.pick([0, 1, 2, 10, 127, 128, 255]);
      random.pick([
        () => out.splice(at, 1, byte),
        () => out.splice(at, 1),
        () => out.splice(at, 0, byte),
        () => out.splice(at, 1, (out[at] ?? 0) ^ (1 << random.below(8))),
      ])();
    }
    return Uint8Array.from(out);
  }

  #clients() {
    return [...this.#doc.store.clients.keys()];
  }

  #clock(client) {
    const structs = this.#doc.store.clients.get(client);
    const last = structs?.[structs.length - 1];
    return last ? last.id.clock + last.length : 0;
  }

  #client() {
    const random = this.#random;
    const known = this.#clients();
    return known.length > 0 && random.oneIn(3) ? random.pick(known) : this.#own;
  }

  /** The id of an element, which exists in most cases. */
  #id() {
    const random = this.#random;
    const known = this.#clients();
    if (known.length === 0 || random.oneIn(40)) return [this.#own, random.below(4)];
    const client = random.pick(known);
    return [client, random.below(this.#clock(client) + (random.oneIn(20) ? 3 : 0))];
  }

  /** The id of a type, which exists in most cases. */
  #type() {
    const random = this.#random;
    if (random.oneIn(6)) return this.#id();
    for (let tries = 0; tries < 8; tries++) {
      const [client, structs] = random.pick([...this.#doc.store.clients, [0, []]]);
      const struct = structs.length > 0 ? random.pick(structs) : null;
      if (struct?.content?.type) return [client, struct.id.clock];
    }
    return this.#id();
  }

  /** Two neighbours, as an editor has them that inserts between them. */
  #between() {
    const random = this.#random;
    const left = this.#id();
    const structs = this.#doc.store.clients.get(left[0]) ?? [];
    const item = structs.find((it) => it.id.clock <= left[1] && left[1] < it.id.clock + it.length);
    if (!item?.content) return [left, null];
    if (random.oneIn(2)) left[1] = item.id.clock + item.length - 1;
    const within = left[1] < item.id.clock + item.length - 1;
    const right = within ? [left[0], left[1] + 1] : item.right && [item.right.id.client, item.right.id.clock];
    return [left, right];
  }

  /** Two elements near each other, in any order: no editor has such neighbours. */
  #around() {
    const random = this.#random;
    const left = this.#id();
    const structs = this.#doc.store.clients.get(left[0]) ?? [];
    const item = structs.find((it) => it.id.clock <= left[1] && left[1] < it.id.clock + it.length);
    if (!item?.content) return [left, this.#id()];
    let other = item;
    const side = random.pick(["left", "right"]);
    for (let steps = random.below(5); steps > 0 && other[side]; steps--) other = other[side];
    return [left, [other.id.client, other.id.clock + random.below(other.length)]];
  }

  #block(before) {
    const random = this.#random;
    if (random.oneIn(25)) return { kind: random.pick([GC, SKIP]), length: 1 + random.few(4) };
    const block = { ...content(random), origin: null, right: null, parent: null, sub: null };
    const where = random.below(10);
    if (where < 3) [block.origin, block.right] = this.#between();
    else if (where < 5) block.origin = before && random.oneIn(2) ? before : this.#id();
    else if (where === 5) block.right = this.#id();
    else if (where === 6) [block.origin, block.right] = random.oneIn(4) ? [this.#id(), this.#id()] : this.#around();
    else if (where < 9) block.parent = random.pick(ROOTS);
    else block.parent = this.#type();
    if (random.oneIn(3)) block.sub = random.pick(KEYS);
    return block;
  }

  #section() {
    const random = this.#random;
    const client = this.#client();
    const end = this.#clock(client);
    const clock = random.oneIn(4) ? random.below(end + 2) : end;
    let before = null;
    let at = clock;
    const blocks = Array.from({ length: 1 + random.few(5) }, () => {
      const block = this.#block(before);
      at += block.length;
      before = [client, at - 1];
      return block;
    });
    return { client, clock, blocks };
  }

  #deletes() {
    const random = this.#random;
    const [client] = this.#id();
    const end = this.#clock(client) + (random.oneIn(8) ? 4 : 0);
    const ranges = Array.from({ length: 1 + random.few(3) }, () => {
      const start = random.below(end);
      return [start, 1 + random.few(Math.max(1, end - start))];
    });
    return { client, ranges };
  }

  /** The update of another client, under the forger's id or with other content. */
  #copied(update) {
    const random = this.#random;
    const { clients, deletes } = update;
    for (const section of clients) {
      const { blocks } = section;
      const at = random.below(blocks.length);
      const block = blocks[at];
      random.pick([
        () => {
          // The same elements with other content.
          if (block.kind === STRING) {
            const text = "#".repeat(block.length);
            block.content = bytes((to) => encoding.writeVarString(to, text));
          } else Object.assign(block, content(random));
        },
        () => (section.clock += random.below(4)),
        () => (section.clock = Math.max(0, section.clock - 1 - random.below(3))),
        () => blocks.splice(at, 1, { kind: random.pick([GC, SKIP]), length: block.length }),
        () => blocks.splice(at, 1),
        () => blocks.splice(at, 0, this.#block(null)),
        () => blocks.push(this.#block([section.client, section.clock])),
        () => (section.client = this.#own),
        () => block.content && Object.assign(block, { origin: this.#id() }),
        () => block.content && Object.assign(block, { right: this.#id() }),
      ])();
    }
    const kept = clients.filter(({ blocks }) => blocks.length > 0);
    if (random.oneIn(2)) {
      const own = this.#section();
      if (!kept.some(({ client }) => client === own.client)) kept.push(own);
    }
    kept.sort((a, b) => b.client - a.client);
    return { clients: kept, deletes: random.oneIn(4) ? [] : deletes };
  }
}
