import * as encoding from "lib0/encoding";
import * as Y from "yjs";
import { isWhollyIn, splitItem, type Content, type DeleteSet, type Struct } from "./content.js";

/**
 * Splits an update into parts of at most `bytesMax` bytes that have the same effect together. Only a single element that is larger,
 * such as an embedded picture, is not split. In their order, each part depends only on earlier parts and on what the receiver had
 * before the update. Deletions come last.
 */
export function splitUpdate(update: Uint8Array, bytesMax: number): Uint8Array[] {
  return update.byteLength <= bytesMax ? [update] : encodeParts(Y.decodeUpdate(update), bytesMax);
}

/** Encodes a decoded update, or some of its content, in parts like those of `splitUpdate`. Without content there are no parts. */
export function encodeParts({ structs, ds }: Content, bytesMax: number): Uint8Array[] {
  const parts: Part[] = [];
  let part = new Part(bytesMax);
  const next = () => {
    parts.push(part);
    part = new Part(bytesMax);
  };
  for (const struct of inOrder(structs)) {
    for (const piece of cut(struct, bytesMax - OVERHEAD_BYTES, ds)) {
      const bytes = encode(piece);
      if (part.hasRoomFor(piece, bytes) === "no") next();
      part.add(piece, bytes);
    }
  }
  for (const [client, ranges] of ds.clients) {
    for (const { clock, len } of ranges) {
      if (part.hasRoomForDeletion(client) === "no") next();
      part.delete(client, clock, len);
    }
  }
  if (!part.isEmpty) parts.push(part);
  return parts.map((one) => one.encode());
}

/** The most bytes of an update besides its blocks: counts, and the head of the first client. */
const OVERHEAD_BYTES = 40;

/** The most bytes of a client's head: two counts, an id, a clock. */
const HEAD_BYTES = 24;

/** The most bytes of a range of deletions. */
const RANGE_BYTES = 12;

/**
 * A part under construction. Its format is Yjs' encoding v1: the number of clients; for each the number of its blocks, its id,
 * the clock of the first block, the blocks; then the deletions, as clients with ranges.
 */
class Part {
  readonly #bytesMax: number;
  readonly #sections = new Map<number, { clock: number; end: number; blocks: Uint8Array[] }>();
  readonly #deletions = new Map<number, { clock: number; len: number }[]>();
  #bytes = OVERHEAD_BYTES;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get isEmpty(): boolean {
    return this.#sections.size === 0 && this.#deletions.size === 0;
  }

  /** Whether a block may be added. An empty part has room for any. The blocks of a client have to be consecutive, without gaps. */
  hasRoomFor({ id }: Struct, block: Uint8Array): "yes" | "no" {
    const section = this.#sections.get(id.client);
    if (section && section.end !== id.clock) return "no";
    const bytes = this.#bytes + block.byteLength + (section ? 0 : HEAD_BYTES);
    return this.isEmpty || bytes <= this.#bytesMax ? "yes" : "no";
  }

  add({ id, length }: Struct, block: Uint8Array): void {
    const section = this.#sections.get(id.client) ?? { clock: id.clock, end: id.clock, blocks: [] };
    if (section.blocks.length === 0) this.#bytes += HEAD_BYTES;
    this.#sections.set(id.client, section);
    section.end += length;
    section.blocks.push(block);
    this.#bytes += block.byteLength;
  }

  hasRoomForDeletion(client: number): "yes" | "no" {
    const bytes = this.#bytes + RANGE_BYTES + (this.#deletions.has(client) ? 0 : HEAD_BYTES);
    return this.isEmpty || bytes <= this.#bytesMax ? "yes" : "no";
  }

  delete(client: number, clock: number, len: number): void {
    const ranges = this.#deletions.get(client) ?? [];
    if (ranges.length === 0) this.#bytes += HEAD_BYTES;
    this.#deletions.set(client, ranges);
    ranges.push({ clock, len });
    this.#bytes += RANGE_BYTES;
  }

  encode(): Uint8Array {
    const encoder = encoding.createEncoder();
    const numbers = (...values: number[]) => values.forEach((value) => encoding.writeVarUint(encoder, value));
    numbers(this.#sections.size);
    for (const [client, { clock, blocks }] of this.#sections) {
      numbers(blocks.length, client, clock);
      blocks.forEach((block) => encoding.writeUint8Array(encoder, block));
    }
    numbers(this.#deletions.size);
    for (const [client, ranges] of this.#deletions) {
      numbers(client, ranges.length);
      ranges.forEach(({ clock, len }) => numbers(clock, len));
    }
    return encoding.toUint8Array(encoder);
  }
}

/** The blocks in such an order that each comes after those on which it depends. Blocks of one client keep their order. */
function* inOrder(structs: readonly Struct[]): Generator<Struct> {
  const queues = new Map<number, { blocks: Struct[]; next: number }>();
  for (const struct of structs) {
    const queue = queues.get(struct.id.client) ?? { blocks: [], next: 0 };
    queues.set(struct.id.client, queue);
    queue.blocks.push(struct);
  }
  /** The client whose blocks have to come before this one, if there is one. */
  const needed = (struct: Struct) => {
    if (!(struct instanceof Y.Item)) return undefined;
    // A parent without an id is a root type of the document.
    const parent: unknown = struct.parent;
    for (const id of [struct.origin, struct.rightOrigin, parent]) {
      if (!(id instanceof Y.ID) || id.client === struct.id.client) continue;
      const queue = queues.get(id.client);
      const first = queue?.blocks[queue.next];
      if (first && first.id.clock <= id.clock) return id.client;
    }
    return undefined;
  };
  for (const client of queues.keys()) {
    const waiting = [client];
    for (let current = client; ; current = waiting.at(-1) ?? client) {
      const queue = queues.get(current);
      const struct = queue?.blocks[queue.next];
      const first = struct && needed(struct);
      if (first !== undefined && !waiting.includes(first)) {
        waiting.push(first);
        continue;
      }
      if (queue && struct) {
        queue.next += 1;
        yield struct;
      }
      if (waiting.length > 1) waiting.pop();
      else if (!struct) break;
    }
  }
}

/** Splits a block into pieces of about `bytesMax`. Large content that the update itself deletes is left out. */
function* cut(struct: Struct, bytesMax: number, deletions: DeleteSet): Generator<Y.Item | Y.GC> {
  // Gaps are not encoded: the first clock of the next block shows them.
  if (struct instanceof Y.Skip) return;
  if (!(struct instanceof Y.Item)) {
    yield struct;
    return;
  }
  let rest = struct;
  for (;;) {
    const length = lengthWithin(rest.content, bytesMax);
    if (length < rest.length && isWhollyIn(deletions, rest)) {
      const { id, origin, rightOrigin, parent, parentSub } = rest;
      // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- Yjs declares contents without their base
      yield new Y.Item(id, null, origin, null, rightOrigin, parent, parentSub, new Y.ContentDeleted(rest.length));
      return;
    }
    if (length >= rest.length || rest.length === 1) break;
    const right = splitItem(rest, Math.max(1, length));
    yield rest;
    rest = right;
  }
  yield rest;
}

const TEXT = new TextEncoder();

/** How many elements from the beginning of a content fit into `bytesMax`. */
function lengthWithin(content: Y.Item["content"], bytesMax: number): number {
  if (content instanceof Y.ContentString) {
    if (content.str.length * 3 <= bytesMax) return content.str.length;
    // The result never ends within a surrogate pair.
    return TEXT.encodeInto(content.str.slice(0, bytesMax + 1), new Uint8Array(bytesMax)).read;
  }
  if (content instanceof Y.ContentAny || content instanceof Y.ContentJSON) {
    const encoder = encoding.createEncoder();
    const index = (content.arr as unknown[]).findIndex((value) => {
      if (content instanceof Y.ContentJSON)
        encoding.writeVarString(encoder, value === undefined ? "undefined" : JSON.stringify(value));
      else encoding.writeAny(encoder, value as Parameters<typeof encoding.writeAny>[1]);
      return encoding.length(encoder) > bytesMax;
    });
    return index < 0 ? content.arr.length : index;
  }
  if (content instanceof Y.ContentBinary || content instanceof Y.ContentEmbed) {
    const encoder = new Y.UpdateEncoderV1();
    content.write(encoder, 0);
    return encoding.length(encoder.restEncoder) > bytesMax ? 0 : 1;
  }
  return content.getLength();
}

function encode(struct: Y.Item | Y.GC): Uint8Array {
  const encoder = new Y.UpdateEncoderV1();
  struct.write(encoder, 0);
  return encoding.toUint8Array(encoder.restEncoder);
}
