import * as encoding from "lib0/encoding";
import * as Y from "yjs";

/**
 * Cuts an update into several that say the same together, each of at most `bytesMax` where possible: what cannot be cut, such as
 * one pasted text or the ranges of all deletions, stays whole. They have to be applied in order, or kept until they can be.
 *
 * The format is that of Yjs' update encoding v1: for each client a number of structs, its id, a clock and the structs; then the
 * delete set.
 */
export function splitUpdate(update: Uint8Array, bytesMax: number): Uint8Array[] {
  if (update.byteLength <= bytesMax) return [update];
  const { structs, ds } = Y.decodeUpdate(update);
  const parts: Uint8Array[] = [];
  let run: typeof structs = [];
  let runBytes = 0;
  for (const struct of structs) {
    const bytes = encodedBytes(struct);
    const previous = run.at(-1);
    const follows = previous?.id.client === struct.id.client && previous.id.clock + previous.length === struct.id.clock;
    if (previous && (!follows || runBytes + bytes > bytesMax - OVERHEAD_BYTES)) {
      parts.push(encodeStructs(run));
      run = [];
      runBytes = 0;
    }
    // A gap in the clocks is said by where the next run begins.
    if (struct instanceof Y.Skip) continue;
    run.push(struct);
    runBytes += bytes;
  }
  if (run.length > 0) parts.push(encodeStructs(run));
  parts.push(encodeDeletions(ds));
  return parts;
}

/** What an update takes besides its structs: counts, an id, a clock, an empty delete set. */
const OVERHEAD_BYTES = 40;

type Structs = ReturnType<typeof Y.decodeUpdate>["structs"];
type DeleteSet = ReturnType<typeof Y.decodeUpdate>["ds"];

function encodedBytes(struct: Structs[number]): number {
  const encoder = new Y.UpdateEncoderV1();
  struct.write(encoder, 0);
  return encoding.length(encoder.restEncoder);
}

function encodeStructs(run: Structs): Uint8Array {
  const first = run[0];
  if (!first) return new Uint8Array([0, 0]);
  const encoder = new Y.UpdateEncoderV1();
  encoding.writeVarUint(encoder.restEncoder, 1);
  encoding.writeVarUint(encoder.restEncoder, run.length);
  encoding.writeVarUint(encoder.restEncoder, first.id.client);
  encoding.writeVarUint(encoder.restEncoder, first.id.clock);
  for (const struct of run) struct.write(encoder, 0);
  encoding.writeVarUint(encoder.restEncoder, 0);
  return encoder.toUint8Array();
}

function encodeDeletions(ds: DeleteSet): Uint8Array {
  const encoder = encoding.createEncoder();
  encoding.writeVarUint(encoder, 0);
  encoding.writeVarUint(encoder, ds.clients.size);
  for (const [client, ranges] of ds.clients) {
    encoding.writeVarUint(encoder, client);
    encoding.writeVarUint(encoder, ranges.length);
    for (const { clock, len } of ranges) {
      encoding.writeVarUint(encoder, clock);
      encoding.writeVarUint(encoder, len);
    }
  }
  return encoding.toUint8Array(encoder);
}
