// What the suites of Hocuspocus look at and write: the frames of its protocol, and the states that a provider knows.

import { createDecoder, readVarString, readVarUint } from "lib0/decoding";
import { createEncoder, toUint8Array, writeUint8Array, writeVarString, writeVarUint } from "lib0/encoding";

const SYNC = ["step 1", "step 2", "update"];
const AUTH = ["token", "denied", "authenticated"];
const KINDS = { 0: SYNC, 1: "awareness", 2: AUTH, 3: "query", 5: "stateless", 7: "close", 8: "status" };

/** The address and the kind of a frame of Hocuspocus. */
export function read(frame) {
  const decoder = createDecoder(new Uint8Array(frame));
  const address = readVarString(decoder);
  const kind = KINDS[readVarUint(decoder)];
  return { address, kind: Array.isArray(kind) ? kind[readVarUint(decoder)] : kind };
}

/** All frames that arrive for `one` from now on, as `read` returns them, added to `frames`. */
export function record(one, frames = []) {
  one.provider.on("message", ({ event }) => frames.push(read(event.data)));
  return frames;
}

/** The kinds of frames, without those about awareness states, which may come at any time. */
export function order(frames) {
  return frames.map(({ kind }) => kind).filter((kind) => kind !== "awareness" && kind !== "query");
}

/** The state of `other` that `one` knows, both documents of stock clients. */
export function shown(one, other) {
  return one.awareness.getStates().get(other.doc.clientID);
}

/** Frames that a test sends itself: about the document `room`. */
export const frame = {
  /** With these `bytes` behind the address. */
  raw(room, bytes) {
    return frame.of(room, (encoder) => writeUint8Array(encoder, Uint8Array.from(bytes)));
  },

  /** Of a kind whose content is a text. */
  text(room, kind, text) {
    return frame.of(room, (encoder) => {
      writeVarUint(encoder, kind);
      writeVarString(encoder, text);
    });
  },

  /** With a token. */
  auth(room, given) {
    return frame.of(room, (encoder) => {
      writeUint8Array(encoder, Uint8Array.of(2, 0));
      writeVarString(encoder, given);
    });
  },

  /** With what `write` puts behind the address. */
  of(room, write) {
    const encoder = createEncoder();
    writeVarString(encoder, room);
    write(encoder);
    return toUint8Array(encoder);
  },
};
