// Elements whose left and right neighbour lie in different parents.
//
// An element names the neighbours between which it belongs. Where these are in different types, or are values of different
// keys, replicas of Yjs would differ for ever, with equal state vectors.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { suiteServer } from "@realtime-server/harness/suite";
import { TYPE, text, type, update, values } from "./support/blocks.mjs";
import { Client, checkError, closeClients } from "./support/client.mjs";
import { Scene } from "./support/scene.mjs";
import { sameForAll } from "./support/view.mjs";

const EVE = 4_242;
const EVES_OTHER = 4_243;

/** The content that the tests build upon: two texts, two lists, two keys, and types within types. */
const GROUND = update([
  {
    client: EVE,
    clock: 0,
    blocks: [
      text({ root: "text" }, "abcd"), // 0 to 3
      values({ root: "array" }, 1, 2, 3), // 4 to 6
      values({ root: "map", key: "one" }, "first"), // 7
      values({ root: "map", key: "two" }, "second"), // 8
      type({ root: "array" }, TYPE.array), // 9
      values({ inside: [EVE, 9] }, "x", "y"), // 10 and 11
      type({ root: "array" }, TYPE.array), // 12
      values({ inside: [EVE, 12] }, "p", "q"), // 13 and 14
    ],
  },
]);

const own = (clock) => [EVE, clock];
const beside = (left, right, block = (place) => values(place, "eve")) =>
  update([{ client: EVES_OTHER, clock: 0, blocks: [block({ left: own(left), right: own(right) })] }]);
const writing = (place) => text(place, "eve");

const STRANGE = {
  "a text on the left, a list on the right": beside(1, 5, writing),
  "a list on the left, a text on the right": beside(5, 1),
  "a list on the left, another list within it on the right": beside(5, 11),
  "one list within a list on the left, another one on the right": beside(10, 14),
  "a key's value on the left, another key's on the right": beside(7, 8),
  "a key's value on the left, an element of a list on the right": beside(7, 5),
  "an element of a list on the left, a key's value on the right": beside(5, 8),
};

/** Strange as well; the server need not refuse it, as long as it is the same for all. */
const CROSSED = { "a left neighbour that stands on the right of the right one": beside(2, 0, writing) };

// On SQLite alone: the document decides, and either database stores the accepted updates as bytes.
describe("neighbours in different parents", () => {
  const server = suiteServer({ env: { REQUESTS_PER_SECOND: 10_000 } });
  let scene;
  beforeEach(async () => {
    scene = await Scene.set(server);
    await scene.eve.ok("document_update", { room: scene.room, update: GROUND });
    await scene.unharmed();
  });
  afterEach(closeClients);

  for (const [neighbours, bytes] of Object.entries(STRANGE)) {
    it(`${neighbours}: refused, and not relayed`, async () => {
      await scene.isRefused(bytes);
      await sameForAll(server, scene.room, [scene.ana, scene.ben]);
    });
  }

  for (const [neighbours, bytes] of Object.entries({ ...STRANGE, ...CROSSED })) {
    it(`${neighbours}, sent with the neighbours themselves: refused, or the same for all`, async () => {
      const together = { room: `${scene.room} anew`, update: bytes };
      await scene.eve.ok("join_room", together.room);
      const join = async (user) => (await Client.connect(server, { person: { user } })).join(together.room);
      const [ana, ben] = [await join("ana"), await join("ben")];
      const first = scene.eve.request("document_update", together);
      const ground = scene.eve.request("document_update", { ...together, update: GROUND });
      for (const ack of await Promise.all([first, ground])) {
        if (!ack.ok) assert.equal(checkError(ack.error).code, "invalid");
      }
      await ana.edit(({ map }) => map.set("ana", "goes on"));
      await sameForAll(server, together.room, [ana, ben]);
    });
  }
});
