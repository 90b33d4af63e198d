// Updates at which stock Yjs throws are refused: otherwise a few bytes would break every stock client of a room.
//
// Each structure below makes Yjs 13.6 throw, when it is applied or when it is collected later. A client in which that
// happens stays connected and misses all later updates.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import * as encoding from "lib0/encoding";
import * as Y from "yjs";
import { suiteServer } from "@realtime-server/harness/suite";
import { KIND, TYPE, block, deleted, subdocument, text, type, update, values } from "./support/blocks.mjs";
import { checkError, closeClients } from "./support/client.mjs";
import { Scene } from "./support/scene.mjs";
import { sameForAll } from "./support/view.mjs";

const EVE = 4_242;
const EVES_OTHER = 4_243;
const ENTRY = { root: "map", key: "entry" };
/** The key of a map that is the value of ENTRY. */
const NESTED = { inside: [EVE, 0], key: "nested" };
const TEXT = { root: "text" };

const eves = (...blocks) => update([{ client: EVE, clock: 0, blocks }]);
const deletion = (...ranges) => update([], [[EVE, ...ranges]]);
const json = (kind, place, ...strings) =>
  block(kind, place, (encoder) => strings.forEach((string) => encoding.writeVarString(encoder, string)));

/** One update each, at which Yjs throws. */
const AT_ONCE = {
  "a subdocument with the options null": eves(subdocument(ENTRY, null)),
  "a subdocument with the options undefined": eves(subdocument(ENTRY, undefined)),
  "a subdocument with the options null in a list": eves(subdocument({ root: "array" }, null)),
  "a subdocument with the options null behind honest text": eves(text(TEXT, "honest"), subdocument(ENTRY, null)),
  "an embedded object that is no JSON": eves(json(KIND.embed, TEXT, "undefined")),
  "a format whose value is no JSON": eves(json(KIND.format, TEXT, "bold", "undefined")),
};

/**
 * Several updates each, of which the last makes Yjs throw: it collects a map and finds an element therein that is not
 * deleted, for of the value of a key Yjs deletes the last element only.
 */
const LATER = {
  "a key with a value of two characters, one of them deleted": [
    eves(type(ENTRY, TYPE.map), text(NESTED, "ab")),
    deletion([2, 1]),
    deletion([0, 1]),
  ],
  "a key with two plain values, one of them deleted": [
    eves(type(ENTRY, TYPE.map), values(NESTED, 1, 2)),
    deletion([2, 1]),
    deletion([0, 1]),
  ],
  "a key with a value of two characters and another put between them": [
    eves(type(ENTRY, TYPE.map), text(NESTED, "ab")),
    update([{ client: EVES_OTHER, clock: 0, blocks: [values({ left: [EVE, 1], right: [EVE, 2] }, 1)] }]),
    deletion([0, 1]),
  ],
};

/** Unusual structures at which Yjs does not throw: the rules for the others must not refuse them. */
const HARMLESS = {
  "subdocuments with every option that Yjs writes": eves(
    subdocument(ENTRY, {}),
    subdocument({ root: "array" }, { autoLoad: true, gc: false, meta: { a: [1, null] } }),
  ),
  "a deleted value of a key": eves(type(ENTRY, TYPE.map), deleted(NESTED, 1)),
  "a type in a text": eves(type(TEXT, TYPE.map), values({ inside: [EVE, 0], key: "key" }, 1)),
  "a format with the value null": eves(json(KIND.format, TEXT, "bold", "null"), text({ left: [EVE, 0] }, "not bold")),
  "keys that every object of JavaScript has": eves(
    values({ root: "map", key: "__proto__" }, 1),
    values({ root: "map", key: "constructor" }, 1),
  ),
};

// On SQLite alone: the document decides, and either database stores the accepted updates as bytes.
describe("updates at which stock Yjs throws", () => {
  const server = suiteServer({ env: { REQUESTS_PER_SECOND: 10_000 } });
  let scene;
  beforeEach(async () => (scene = await Scene.set(server)));
  afterEach(closeClients);

  const goOn = async () => {
    await scene.unharmed();
    await sameForAll(server, scene.room, [scene.ana, scene.ben]);
  };

  for (const [structure, bytes] of Object.entries(AT_ONCE)) {
    it(`${structure} is refused, and not relayed`, async () => {
      assert.throws(() => Y.applyUpdate(new Y.Doc(), bytes), "it is harmless to Yjs");
      await scene.isRefused(bytes);
      await goOn();
    });
  }

  for (const [structure, updates] of Object.entries(LATER)) {
    it(`${structure} is refused before Yjs would throw`, async () => {
      const doc = new Y.Doc();
      assert.throws(() => updates.forEach((bytes) => Y.applyUpdate(doc, bytes)), "it is harmless to Yjs");
      const refused = [];
      for (const bytes of updates) {
        const ack = await scene.eve.request("document_update", { room: scene.room, update: bytes });
        if (!ack.ok) refused.push(checkError(ack.error).code);
      }
      await goOn();
      assert.ok(refused.includes("invalid"), `nothing was refused as invalid: ${refused}`);
    });
  }

  for (const [structure, bytes] of Object.entries(HARMLESS)) {
    it(`${structure}: accepted, since Yjs does not throw`, async () => {
      Y.applyUpdate(new Y.Doc(), bytes);
      await scene.eve.ok("document_update", { room: scene.room, update: bytes });
      await goOn();
    });
  }
});
