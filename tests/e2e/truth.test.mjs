// The relayed updates, the log and the document in memory say the same, whatever clients send.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as Y from "yjs";
import { databases } from "@realtime-server/harness/databases";
import { Random } from "@realtime-server/harness/random";
import { suiteDatabase } from "@realtime-server/harness/suite";
import { pause, until } from "@realtime-server/harness/until";
import { collected, deleted, text, update, values } from "./support/blocks.mjs";
import { Client, checkError, closeClients } from "./support/client.mjs";
import { replica } from "./support/crafted.mjs";
import { newcomer, sameForAll, seen, written } from "./support/view.mjs";

const TRIES = Number(process.env.TRIES ?? 1_000);
const SEED = Number(process.env.SEED ?? 7);
/** How many tries are under way at once: so many that a room takes updates of different clients in one turn. */
const WINDOW = 24;
const ANA = 1_001;
const EVE = 4_000_000;
const LENGTH = 3;

/** A long tick brings many updates into one message and one row. */
const ENV = { UPDATES_PER_SECOND: 100_000, UPDATES_BURST: 1_000_000, RELAY_TICK_MS: 10, COMMIT_INTERVAL_MS: 10 };

/** Copies of the elements `clock` to `clock + LENGTH` of Ana's, with another content. */
const FORGERIES = {
  "of the same length": (clock) => [clock, text(behind(clock), "XXX")],
  longer: (clock) => [clock - 2, text(behind(clock - 2), "XXXXX")],
  shorter: (clock) => [clock, text(behind(clock), "XX")],
  shifted: (clock) => [clock + 1, text(behind(clock + 1), "XX")],
  collected: (clock) => [clock - 1, collected(LENGTH + 1)],
  deleted: (clock) => [clock - 1, deleted(behind(clock - 1), LENGTH + 1)],
};

function behind(clock) {
  return { left: [ANA, clock - 1] };
}

for (const database of databases) {
  describe(`consistency on ${database.name}`, () => {
    let server;
    const start = suiteDatabase(database, closeClients);

    const connect = (user) => Client.connect(server, { person: { user } });
    const arrange = async (name) => {
      server = await start(ENV);
      const ana = await (await connect("ana")).join(name, replica(ANA));
      const ben = await (await connect("ben")).join(name, replica(1_002));
      await ana.edit(({ text }) => text.insert(0, "genuine "));
      const eve = await connect("eve");
      await eve.ok("join_room", name);
      return { ana, ben, eve };
    };
    /** How many of Ana's words a replica does not show as she wrote them. */
    const replaced = ({ doc }, words) => {
      const characters = written(doc, ANA);
      return words.filter(({ clock, word }) => characters.slice(clock, clock + LENGTH) !== word).length;
    };

    it(`a forged copy of blocks that another client has just written replaces nothing in ${TRIES} tries`, async () => {
      const { ana, ben, eve } = await arrange("forged");
      const forgeries = Object.values(FORGERIES);
      const [words, answers] = [[], []];
      let [under_way, clock] = [0, Y.getState(ana.doc.store, ANA)];
      for (let number = 0; number < TRIES; number += 1) {
        const word = `${(number + 36 ** 2).toString(36)}`.slice(-LENGTH);
        words.push({ clock, word });
        if (number % 2 === 0) ana.type(word);
        else ana.text.insert(ana.text.length, word);
        const [from, forged] = forgeries[number % forgeries.length](clock);
        const own = { client: EVE + number, clock: 0, blocks: [values({ root: "array" }, number)] };
        const bytes = update([own, { client: ANA, clock: from, blocks: [forged] }]);
        under_way += 1;
        const answer = eve.request("document_update", { room: "forged", update: bytes });
        answers.push(answer.finally(() => (under_way -= 1)));
        clock += LENGTH;
        while (under_way >= WINDOW) await pause(0);
      }
      for (const ack of await Promise.all(answers)) if (!ack.ok) assert.equal(checkError(ack.error).code, "conflict");
      await ana.saved();
      assert.equal(replaced(ana, words), 0, "Ana's own replica has changed");
      await until("Ben has everything", () => Y.getState(ben.doc.store, ANA) === clock);
      const counts = { present: replaced(ben, words), memory: replaced(await newcomer(server, "forged"), words) };
      closeClients();
      await server.kill9();
      await server.launch();
      counts.log = replaced(await newcomer(server, "forged"), words);
      console.log(`replaced of ${TRIES}: ${JSON.stringify(counts)}`);
      assert.deepEqual(counts, { present: 0, memory: 0, log: 0 });
    });

    it("overlapping updates of one client id are the same for all", async () => {
      const { ana, ben, eve } = await arrange("overlapping");
      const random = new Random(SEED);
      const answers = [];
      for (let author = EVE; author < EVE + 100; author += 1) {
        let end = 0;
        for (let number = 0; number < 8; number += 1) {
          const clock = Math.max(0, end - random.below(6));
          const string = Array.from({ length: 1 + random.below(5) }, () => random.of(["a", "b", "c", "d"])).join("");
          const place = clock === 0 ? { root: "text" } : { left: [author, clock - 1] };
          const deletions = random.below(2) === 0 ? [] : [[author, [random.below(clock + 1), 1]]];
          const bytes = update([{ client: author, clock, blocks: [text(place, string)] }], deletions);
          answers.push(eve.request("document_update", { room: "overlapping", update: bytes }));
          end = Math.max(end, clock + string.length);
        }
      }
      for (const ack of await Promise.all(answers)) if (!ack.ok) assert.equal(checkError(ack.error).code, "conflict");
      await sameForAll(server, "overlapping", [ana, ben]);
    });

    it("known clocks with other content are a conflict, and change nothing", async () => {
      const { ana, ben, eve } = await arrange("conflicting");
      const before = seen(ana.doc);
      for (const [clock, string] of [
        [0, "GENUINE "],
        [0, "xy"],
        [2, "xyz"],
        [4, "xxxx"],
      ]) {
        const place = clock === 0 ? { root: "text" } : behind(clock);
        const bytes = update([{ client: ANA, clock, blocks: [text(place, string)] }]);
        const error = await eve.refusal("document_update", { room: "conflicting", update: bytes });
        assert.deepEqual([error.code, /other content/.test(error.message)], ["conflict", true], error.message);
      }
      assert.equal(seen((await sameForAll(server, "conflicting", [ana, ben])).doc), before);
    });

    it("known clocks with the same content are accepted, however the blocks are cut", async () => {
      const { ana, ben, eve } = await arrange("resent");
      const send = (bytes) => eve.ok("document_update", { room: "resent", update: bytes });
      const early = Y.encodeStateAsUpdate(ana.doc);
      await ana.edit(({ text }) => text.insert(3, "[in between]"));
      await ana.edit(({ text }) => text.format(0, 5, { bold: true }));
      await ana.edit(({ text }) => text.delete(1, 6));
      for (const bytes of [early, early, Y.encodeStateAsUpdate(ana.doc), Y.encodeStateAsUpdate(ben.doc)]) {
        assert.equal((await send(bytes)).pending, undefined);
      }
      for (const [clock, string] of [
        [0, "genu"],
        [3, "uine"],
        [0, "genuine "],
      ]) {
        const place = clock === 0 ? { root: "text" } : behind(clock);
        await send(update([{ client: ANA, clock, blocks: [text(place, string)] }]));
      }
      const before = seen(ana.doc);
      assert.equal(seen((await sameForAll(server, "resent", [ana, ben])).doc), before);
    });
  });
}
