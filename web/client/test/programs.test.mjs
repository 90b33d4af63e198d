// Random programs of edits, broken networks and killed servers: all clients end with the same document, and what was
// called saved is never lost.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import * as Y from "yjs";
import { Network } from "@realtime-server/harness/network";
import { Random } from "@realtime-server/harness/random";
import { suiteServer } from "@realtime-server/harness/suite";
import { pause, until } from "@realtime-server/harness/until";
import { client, closeAll, converged, join, open, text } from "./support/scene.mjs";

const PROGRAMS = Number(process.env.PROGRAMS ?? 20);
/** The seed of the first program; a failure names its own. */
const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000);
const STEPS = 60;
const PEOPLE = 3;

describe(`random programs (seed ${SEED})`, () => {
  const server = suiteServer();
  afterEach(closeAll);

  for (let program = 0; program < PROGRAMS; program += 1) {
    it(`program ${SEED + program} ends with equal documents, and keeps what was saved`, () =>
      run(new Random(SEED + program), `program-${program}`));
  }

  async function run(random, room) {
    const actors = [];
    for (let index = 0; index < PEOPLE; index += 1) {
      const network = await Network.to(server);
      const person = { user: `writer-${index}` };
      actors.push({ network, provider: open(client(network, { person }), room) });
    }
    const promised = new Map();
    const note = ({ provider }) => {
      if (!provider.saved || !provider.synced) return;
      const { clientID, store } = provider.doc;
      promised.set(clientID, Math.max(promised.get(clientID) ?? 0, Y.getState(store, clientID)));
    };
    for (const actor of actors) actor.provider.on("change", () => note(actor));

    for (let step = 0; step < STEPS; step += 1) {
      await perform(random, random.of(actors), room);
      if (random.below(4) === 0) await pause(random.below(30));
      if (random.below(25) === 0) {
        await server.kill9();
        const until_now = new Map(promised);
        await server.launch();
        await holds(room, until_now);
      }
    }
    for (const { network } of actors) network.mend();
    for (const { provider } of actors) provider.connect();
    const providers = actors.map(({ provider }) => provider);
    await converged(providers);
    await converged([...providers, await join(server, room)]);
    for (const { network } of actors) network.close();
  }

  /** One step of one person. */
  async function perform(random, { network, provider }) {
    const length = text(provider).length;
    switch (random.below(10)) {
      case 0:
        return network.cut();
      case 1:
      case 2:
        return network.mend();
      case 3:
        return provider.disconnect();
      case 4:
        return provider.connect();
      case 5:
        if (length > 0) text(provider).delete(random.below(length), 1);
        return undefined;
      case 6:
        return provider.doc.getMap("map").set(`key ${random.below(5)}`, random.below(1_000));
      default:
        return text(provider).insert(random.below(length + 1), random.of(["a", "bb", "ccc", "d🙂"]));
    }
  }

  /** Fails unless the server, just after a kill, still has all edits that were called saved. */
  async function holds(room, promised) {
    if (promised.size === 0) return;
    const witness = await join(server, room, { person: { user: "witness" } });
    for (const [clientID, clock] of promised) {
      assert.ok(Y.getState(witness.doc.store, clientID) >= clock, "an edit that was called saved is lost");
    }
    witness.destroy();
    await until("the witness is gone", () => witness.status === "disconnected");
  }
});
