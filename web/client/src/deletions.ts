import { digest } from "lib0/hash/sha256";
import * as Y from "yjs";

/** Fewer bytes of deletions are sent by the server with each answer: that costs less than a hash. */
const BYTES_MIN = 1024;

/**
 * All deletions of `doc` at present, as an update without elements; undefined if they are few.
 *
 * The server compares its own deletions with these by their hash, because a state vector tells nothing about deletions.
 */
export function manyDeletions(doc: Y.Doc): Uint8Array | undefined {
  const deletions = Y.encodeStateAsUpdate(doc, Y.encodeStateVector(doc));
  return deletions.byteLength < BYTES_MIN ? undefined : deletions;
}

/** The hash of deletions, as the server has to be sent it. */
export function hashOf(deletions: Uint8Array): Uint8Array {
  return digest(deletions);
}
