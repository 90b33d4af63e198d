// A hostile client harms nobody: broken and abusive updates, forged client ids, floods.
// A to H are the classes of input that are known to break Yjs servers.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import * as Y from "yjs";
import { memory } from "@realtime-server/harness/process";
import { Random } from "@realtime-server/harness/random";
import { suiteServer } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";
import { Client, checkError, closeClients } from "./support/client.mjs";
import {
  FOREIGN_SNAPSHOT,
  NOBODY,
  OVERFLOWING_CLOCK,
  POISONED_PENDING,
  abuses,
  bytes,
  chain,
  everything,
  following,
  hugeCounts,
  nestedTypes,
  nestedValue,
  replica,
  varUint,
  waiting,
} from "./support/crafted.mjs";
import { converged } from "./support/room.mjs";
import { Scene } from "./support/scene.mjs";

const MIB = 2 ** 20;
const PENDING_MAX = 50;
const MUTATIONS = 1_000;
const ATTACKER_ID = 4_242;

// On SQLite alone: refused updates never reach the database, and either database stores accepted ones as bytes.
describe("hostile clients", () => {
  const server = suiteServer({
    env: { PENDING_UPDATES_MAX: PENDING_MAX, REQUESTS_PER_SECOND: 10_000, UPDATES_BURST: 100_000 },
  });
  let scene;
  let room;
  let ana;
  let ben;
  let eve;

  const set = async () => {
    scene = await Scene.set(server);
    ({ room, ana, ben, eve } = scene);
  };
  const unharmed = () => scene.unharmed();
  const attack = (update) => scene.attack(update);
  const isRefused = (update) => scene.isRefused(update);

  describe("that send broken updates", () => {
    before(set);
    afterEach(unharmed);
    after(closeClients);

    it("are refused a clock that overflows (A)", async () => {
      const doc = replica(1);
      doc.getMap("map").set("client 1", true);
      await eve.ok("document_update", { room, update: Y.encodeStateAsUpdate(doc) });
      await until("it has arrived", () => ana.map.has("client 1"));
      await isRefused(OVERFLOWING_CLOCK);
    });

    it("do no harm with an update that never gets its dependencies (B)", async () => {
      await eve.request("document_update", { room, update: POISONED_PENDING });
    });

    it("do no harm with a snapshot in place of an update (C)", async () => {
      await eve.request("document_update", { room, update: FOREIGN_SNAPSHOT });
    });

    it("are refused values that are nested thousands deep (D)", async () => {
      for (const depth of [1_000, 10_000, 100_000]) await isRefused(nestedValue(ATTACKER_ID, depth));
    });

    it("are refused shared types that are nested thousands deep, in one update or in many (E)", async () => {
      for (const depth of [5_000, 50_000]) await isRefused(nestedTypes(ATTACKER_ID, 0, depth));
      let refusal;
      for (let level = 0; level < 20_000 && !refusal; level += 20) {
        const update = nestedTypes(ATTACKER_ID + 1, level, level + 20);
        const ack = await eve.request("document_update", { room, update });
        if (!ack.ok) refusal = checkError(ack.error);
      }
      assert.equal(refusal?.code, "invalid", "no depth was refused");
    });

    it("are refused counts of billions, for which no memory is reserved (F)", async () => {
      const memory_before = memory(server.pid);
      const began = performance.now();
      for (const update of Object.values(hugeCounts(ATTACKER_ID))) {
        for (let time = 0; time < 5; time += 1) await attack(update);
      }
      for (const update of Object.values(hugeCounts(ATTACKER_ID))) await isRefused(update);
      assert.ok(memory(server.pid, "VmHWM") - memory_before < 128 * MIB, "memory was reserved for the counts");
      assert.ok(performance.now() - began < 5_000, `${performance.now() - began} ms`);
    });

    for (const [abuse, update] of Object.entries(abuses(ATTACKER_ID))) {
      it(`are refused ${abuse}`, () => isRefused(update));
    }

    it("are refused updates that end too early", async () => {
      const whole = everything();
      for (let length = 0; length < whole.length; length += 7) await attack(whole.subarray(0, length));
      await isRefused(whole.subarray(0, whole.length - 1));
      await isRefused(new TextEncoder().encode("not an update at all"));
    });

    it(`do no harm with ${MUTATIONS} mutations of valid updates`, async () => {
      const random = new Random(7);
      const seeds = [everything(), Y.encodeStateAsUpdate(ana.doc), ...chain(3)];
      const answers = [];
      for (let number = 0; number < MUTATIONS; number += 1) {
        const update = random.of(seeds).slice();
        for (let byte = random.below(4); byte >= 0; byte -= 1) update[random.below(update.length)] = random.below(256);
        answers.push(eve.request("document_update", { room, update }));
      }
      const refused = (await Promise.all(answers)).filter((ack) => !ack.ok);
      for (const { error } of refused) checkError(error);
      assert.ok(refused.length > MUTATIONS / 4, `${refused.length} refused`);
    });
  });

  describe("that use the client ids of others", () => {
    before(set);
    after(closeClients);

    /** The update is refused, or all of it is cut out and acknowledged as pending. */
    const hasNoEffect = async (update) => {
      const ack = await eve.request("document_update", { room, update });
      if (ack.ok) assert.equal(ack.pending, true);
      else assert.ok(["conflict", "forbidden", "invalid"].includes(checkError(ack.error).code), ack.error.code);
    };

    it("cannot use the next clocks of a client that is present (H)", async () => {
      const thief = new Y.Doc();
      Y.applyUpdate(thief, Y.encodeStateAsUpdate(ana.doc));
      thief.clientID = ana.doc.clientID;
      const known = Y.encodeStateVector(thief);
      thief.getText("text").insert(0, "stolen ".repeat(15));
      await hasNoEffect(Y.encodeStateAsUpdate(thief, known));
      await ana.edit(({ text }) => text.insert(0, "REAL TEXT "));
      await until("it has arrived", () => ben.content.startsWith("REAL TEXT "));
      assert.ok(!ben.content.includes("stolen"));
      await unharmed();
    });

    it("cannot use them by blocks without content (H)", async () => {
      const clock = Y.decodeStateVector(Y.encodeStateVector(ana.doc)).get(ana.doc.clientID);
      const update = Uint8Array.of(1, 1, ...varUint(ana.doc.clientID), ...varUint(clock), 0, ...varUint(1_000_000), 0);
      await hasNoEffect(update);
      await ana.edit(({ text }) => text.insert(0, "AND MORE "));
      await until("it has arrived", () => ben.content.startsWith("AND MORE "));
      await unharmed();
    });

    it("cannot delete what a client that is present has yet to write", async () => {
      const { clientID } = ana.doc;
      const clock = Y.decodeStateVector(Y.encodeStateVector(ana.doc)).get(clientID);
      await hasNoEffect(bytes((number) => [0, 1, clientID, 1, clock, 1_000_000].forEach(number)));
      await ana.edit(({ text }) => text.insert(0, "STILL HERE "));
      await until("it has arrived", () => ben.content.startsWith("STILL HERE "));
      await unharmed();
    });

    it("cannot delete what a client that is away has yet to write", async () => {
      const clock = Y.decodeStateVector(Y.encodeStateVector(ana.doc)).get(ana.doc.clientID);
      scene.anasClient.socket.disconnect();
      await until(
        "Ana has left",
        async () => {
          const { users } = await eve.ok("presence_list", { room });
          return users.every(({ user }) => user.id !== "ana");
        },
        30_000,
      );
      const { clientID } = ana.doc;
      await hasNoEffect(bytes((number) => [0, 1, clientID, 1, clock, 1_000_000].forEach(number)));
      ana.text.insert(0, "WRITTEN AWAY ");
      scene.anasClient.socket.connect();
      await until("it has arrived", () => ben.content.startsWith("WRITTEN AWAY "));
      await unharmed();
    });

    it("may send blocks that others wrote, as every replica does", async () => {
      const carrier = await (await Client.connect(server, { person: { user: "carrier" } })).join(room);
      await converged([ana, carrier]);
      await eve.ok("document_update", { room, update: Y.encodeStateAsUpdate(carrier.doc) });
      await unharmed();
    });

    it("may not send an update without the right edit, even if it changes nothing", async () => {
      const viewer = await Client.connect(server, { person: { user: "vera", role: "viewer" } });
      await viewer.ok("join_room", room);
      for (const update of [everything(), Y.encodeStateAsUpdate(ana.doc), Y.encodeStateAsUpdate(new Y.Doc())]) {
        assert.equal((await viewer.refusal("document_update", { room, update })).code, "forbidden");
      }
      await unharmed();
    });
  });

  describe("that send updates whose dependencies never come", () => {
    beforeEach(set);
    afterEach(closeClients);

    for (const [kind, wait] of Object.entries(waiting)) {
      it(`cannot hide later edits from those who join afterwards (${kind})`, async () => {
        const doc = new Y.Doc();
        await eve.request("document_update", { room, update: wait(doc.clientID, 1_000) });
        Y.applyUpdate(doc, Y.encodeStateAsUpdate(ana.doc));
        const known = Y.encodeStateVector(doc);
        doc.getText("text").insert(doc.getText("text").length, "!");
        await eve.request("document_update", { room, update: Y.encodeStateAsUpdate(doc, known) });
        await unharmed();
        ana.type(" typed behind it");
        await unharmed();
      });
    }

    it("cannot hide what others type from those who are present", async () => {
      const first = replica(ATTACKER_ID);
      first.getText("text").insert(0, "a");
      // The second says something else than the last does under the same clock: replicas that were told both wait for ever.
      for (const update of [
        following(ATTACKER_ID, 1, [NOBODY, 0], "?"),
        following(ATTACKER_ID, 2, [ATTACKER_ID, 1], "c"),
        Y.encodeStateAsUpdate(first),
        following(ATTACKER_ID, 1, [ATTACKER_ID, 0], "b"),
      ]) {
        await eve.request("document_update", { room, update });
      }
      await unharmed();
      const late = await (await Client.connect(server, { person: { user: "joe" } })).join(room);
      late.text.insert(late.content.indexOf("c") + 1, "typed by joe, who came later");
      await converged([ana, ben, late]);
    });

    it("cannot keep a client that was away from sending its edits", async () => {
      await eve.request("document_update", { room, update: waiting.text(ATTACKER_ID + 2, 10) });
      await unharmed();
      const { disconnects } = scene.anasClient;
      scene.anasClient.breakTransport();
      ana.type(" typed while away");
      await until("she is back", () => disconnects.length > 0 && ana.settled);
      await unharmed();
      assert.ok(ben.content.includes("typed while away"));
    });
  });

  describe("that flood", () => {
    before(set);
    after(closeClients);

    it("are refused as overloaded when too many of their updates are pending, while others continue (G)", async () => {
      const links = chain(PENDING_MAX * 3);
      const [first, ...rest] = links;
      const acks = await Promise.all(rest.map((update) => eve.request("document_update", { room, update })));
      const refused = acks.filter((ack) => !ack.ok);
      const kept = acks.length - refused.length;
      for (const { error } of refused) assert.equal(checkError(error).code, "overloaded");
      assert.ok(kept > 0 && kept <= PENDING_MAX, `${kept} are kept`);
      await unharmed();
      await eve.ok("document_update", { room, update: first });
      for (const update of rest) await eve.ok("document_update", { room, update });
      await unharmed();
      assert.ok(ana.content.length > links.length, "the pending updates have become visible");
    });

    it("do not slow others down by thousands of refused updates", async () => {
      const garbage = new TextEncoder().encode("garbage");
      const flood = Array.from({ length: 3_000 }, () => eve.request("document_update", { room, update: garbage }));
      await unharmed();
      for (const ack of await Promise.all(flood)) assert.equal(ack.ok, false);
    });
  });

  it("none of these updates made the CRDT panic", async () => {
    const metrics = await (await server.get("/metrics")).text();
    assert.match(metrics, /^realtime_apply_panics_total 0$/m);
  });
});
