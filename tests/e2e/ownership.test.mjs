// The ownership of Yjs client ids: nobody advances the id of another user, and honest updates are never refused.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { Awareness, encodeAwarenessUpdate } from "y-protocols/awareness";
import * as Y from "yjs";
import { databases } from "@realtime-server/harness/databases";
import { Random } from "@realtime-server/harness/random";
import { suiteServer } from "@realtime-server/harness/suite";
import { pause, until } from "@realtime-server/harness/until";
import { text, update, values } from "./support/blocks.mjs";
import { Client, checkError, closeClients } from "./support/client.mjs";
import { replica } from "./support/crafted.mjs";
import { newcomer, sameForAll } from "./support/view.mjs";

const ANA = 1_001;
const BEN = 1_002;
const EVE = 4_242;
const FORGED = "FORGED";
const SAVED_WITHIN_MS = 1_000;
const SEED = Number(process.env.SEED ?? 11);

/** An edit of Eve's, together with elements under Ana's client id and next clocks, which Ana never wrote. */
function forgery(doc) {
  const clock = Y.getState(doc.store, ANA);
  return update([
    { client: EVE, clock: 0, blocks: [values({ root: "map", key: "eve" }, "her own")] },
    { client: ANA, clock, blocks: [text({ left: [ANA, clock - 1] }, FORGED)] },
  ]);
}

/** Awareness bytes that show a cursor under a document's client id. */
function cursor(doc) {
  const awareness = new Awareness(doc);
  awareness.setLocalState({ cursor: 1 });
  const bytes = encodeAwarenessUpdate(awareness, [doc.clientID]);
  awareness.destroy();
  return bytes;
}

for (const database of databases) {
  describe(`the ownership of client ids on ${database.name}`, () => {
    const server = suiteServer({ database, env: { REQUESTS_PER_SECOND: 10_000 } });
    let number = 0;
    let name;
    afterEach(closeClients);

    const connect = (user) => Client.connect(server, { person: { user } });
    const enter = async (user, doc) => (await connect(user)).join(name, doc);
    const visible = () => newcomer(server, name);

    /** Ana has written and Ben reads, in a new room. */
    const arrange = async () => {
      name = `owned ${(number += 1)}`;
      const ana = await enter("ana", replica(ANA));
      const ben = await enter("ben", replica(BEN));
      await ana.edit(({ text }) => text.insert(0, "ana's "));
      await until("Ben reads it", () => ben.content === "ana's ");
      return { ana, ben };
    };

    /** Eve sends her forgery: her own part is accepted, and the rest is acknowledged as pending. */
    const attack = async (eve, doc) => {
      const ack = await eve.ok("document_update", { room: name, update: forgery(doc) });
      assert.equal(ack.pending, true, "nothing was cut out");
      const { map, content } = await visible();
      assert.equal(map.get("eve"), "her own");
      assert.ok(!content.includes(FORGED), content);
    };

    /** Ana's next words are visible to those present, to a newcomer, and after a kill. */
    const typesOn = async (ana, present) => {
      const ack = await ana.edit(({ text }) => text.insert(text.length, "own words"));
      assert.equal(ack.pending, undefined);
      await until("those present read it", () => present.every(({ content }) => content === "ana's own words"));
      assert.deepEqual(ana.refusals, []);
      const last = await sameForAll(server, name, [ana, ...present]);
      assert.equal(last.content, "ana's own words");
    };

    describe("while the owner is present", () => {
      it("blocks of another user under her id are cut out, and the rest is accepted", async () => {
        const { ana, ben } = await arrange();
        const eve = await connect("eve");
        await eve.ok("join_room", name);
        await attack(eve, ana.doc);
        await typesOn(ana, [ben]);
      });

      it("they are cut out as well where she has not typed since she reconnected", async () => {
        const { ana, ben } = await arrange();
        closeClients();
        const back = await enter("ana", ana.doc);
        const reader = await enter("ben", ben.doc);
        const eve = await connect("eve");
        await eve.ok("join_room", name);
        await attack(eve, ana.doc);
        await typesOn(back, [reader]);
      });

      /** State vectors after which a reply may contain blocks of Ana's. */
      const lies = {
        "is empty": () => Y.encodeStateVector(new Y.Doc()),
        "is far ahead": (doc) => {
          const ahead = new Map([[ANA, Y.getState(doc.store, ANA) + 1_000]]);
          return Y.encodeStateVector(ahead);
        },
      };
      for (const [claim, state_vector] of Object.entries(lies)) {
        for (const event of ["join_room", "document_sync"]) {
          it(`they are cut out of a reply after a ${event} whose state vector ${claim}`, async () => {
            const { ana, ben } = await arrange();
            closeClients();
            const anasClient = await connect("ana");
            const back = await anasClient.join(name, ana.doc);
            back.awareness.setLocalState({ cursor: 1 });
            const reader = await enter("ben", ben.doc);
            const eve = await connect("eve");
            if (event === "document_sync") await eve.ok("join_room", name);
            await eve.ok(event, { room: name, state_vector: state_vector(ana.doc) });
            await attack(eve, ana.doc);
            await typesOn(back, [reader]);
          });
        }
      }

      it("an update of another user with nothing but her blocks has no effect", async () => {
        const { ana, ben } = await arrange();
        const eve = await connect("eve");
        await eve.ok("join_room", name);
        const clock = Y.getState(ana.doc.store, ANA);
        const forged = update([{ client: ANA, clock, blocks: [text({ left: [ANA, clock - 1] }, FORGED)] }]);
        const ack = await eve.request("document_update", { room: name, update: forged });
        if (ack.ok) assert.equal(ack.pending, true);
        else assert.equal(checkError(ack.error).code, "conflict");
        await typesOn(ana, [ben]);
      });
    });

    describe("while the owner is away", () => {
      it("no edit of another user advances her id, and she continues when she is back", async () => {
        const { ana, ben } = await arrange();
        const doc = ana.doc;
        closeClients();
        const reader = await enter("ben", ben.doc);
        const eve = await connect("eve");
        await eve.ok("join_room", name);
        await attack(eve, doc);
        await typesOn(await enter("ana", doc), [reader]);
      });

      it("where a forged reply advanced her id, her own next edit is a conflict and is never acknowledged", async () => {
        const { ana } = await arrange();
        closeClients();
        const eve = await connect("eve");
        const ahead = new Map([[ANA, Y.getState(ana.doc.store, ANA) + FORGED.length]]);
        await eve.ok("join_room", { room: name, state_vector: Y.encodeStateVector(ahead) });
        await eve.ok("document_update", { room: name, update: forgery(ana.doc) });
        if (!(await visible()).content.includes(FORGED)) return;
        const back = await connect("ana");
        await back.ok("join_room", name);
        const known = Y.encodeStateVector(ana.doc);
        ana.text.insert(ana.text.length, "own");
        const own = Y.encodeStateAsUpdate(ana.doc, known);
        const error = await back.refusal("document_update", { room: name, update: own });
        assert.deepEqual([error.code, /other content/.test(error.message)], ["conflict", true], error.message);
      });

      /** Ana's last words are relayed to Ben and lost in a kill; nobody is connected then. */
      const loseWords = async () => {
        // While commits are slow, relayed updates are not durable at once.
        await server.kill9();
        await server.launch({ COMMIT_INTERVAL_MS: 1_000, COMMIT_INTERVAL_MIN_MS: 1_000 });
        const { ana, ben } = await arrange();
        await ana.edit(({ map }) => map.set("kept", true));
        ana.edit(({ text }) => text.insert(text.length, "own words")).catch(() => {});
        await until("the words are relayed", () => ben.content === "ana's own words");
        await server.kill9();
        closeClients();
        await server.launch({ COMMIT_INTERVAL_MS: undefined, COMMIT_INTERVAL_MIN_MS: undefined });
        const kept = (await visible()).content;
        // On a machine that was halted for a second they are committed before the kill: all begins anew.
        if (kept === "ana's own words") return loseWords();
        assert.equal(kept, "ana's ");
        return { ana: ana.doc, ben: ben.doc };
      };

      it("her edits are accepted from another user who has them, in the reply to a join", async () => {
        const docs = await loseWords();
        const back = await enter("ben", docs.ben);
        await back.saved();
        assert.equal(back.pending, 0);
        await until("it is visible", async () => (await visible()).content === "ana's own words");
        const last = await sameForAll(server, name, [back]);
        assert.equal(last.content, "ana's own words");
      });

      for (const presence of ["is away", "shows her cursor and is slow to synchronise"]) {
        it(`after a kill an edit right behind join_room and the reply are both accepted while she ${presence}`, async () => {
          const docs = await loseWords();
          const anas = await connect("ana");
          if (presence !== "is away") {
            await anas.ok("join_room", name);
            await anas.ok("awareness_update", { room: name, update: cursor(docs.ana) });
          }
          const bens = await connect("ben");
          const known = Y.encodeStateVector(docs.ben);
          const joining = bens.ok("join_room", { room: name, state_vector: known });
          docs.ben.getMap("map").set("ben", "in haste");
          const haste = Y.encodeStateAsUpdate(docs.ben, known);
          const edit = bens.ok("document_update", { room: name, update: haste });
          const { state_vector } = await joining;
          const reply = Y.encodeStateAsUpdate(docs.ben, new Uint8Array(state_vector));
          await bens.ok("document_update", { room: name, update: reply });
          await edit;
          if (presence !== "is away") {
            const asked = { room: name, state_vector: Y.encodeStateVector(docs.ana) };
            const answer = await anas.ok("document_sync", asked);
            const hers = Y.encodeStateAsUpdate(docs.ana, new Uint8Array(answer.state_vector));
            await anas.ok("document_update", { room: name, update: hers });
          }
          const last = await sameForAll(server, name, []);
          assert.deepEqual([last.content, last.map.get("ben")], ["ana's own words", "in haste"]);
        });
      }
    });

    describe("of honest users", () => {
      it("two users who also exchange updates directly have everything saved within a second", async () => {
        name = `direct ${(number += 1)}`;
        const [ana, ben] = [await enter("ana"), await enter("ben")];
        await ana.edit(({ text }) => text.insert(0, "start "));
        await until("Ben has it", () => ben.content === "start ");
        // As with y-webrtc: an update from the other document is sent to the server as well.
        const direct = {};
        for (const [one, other] of [
          [ana.doc, ben.doc],
          [ben.doc, ana.doc],
        ]) {
          one.on(
            "update",
            (bytes, origin) => origin !== direct && setImmediate(() => Y.applyUpdate(other, bytes, direct)),
          );
        }
        const random = new Random(SEED);
        for (let keystroke = 0; keystroke < 150; keystroke += 1) {
          for (const { text } of [ana, ben]) text.insert(random.below(text.length + 1), "x");
          await pause(random.below(8));
        }
        const both = ana.content;
        const began = performance.now();
        await until("all is acknowledged", () => ana.unacknowledged + ben.unacknowledged === 0);
        assert.deepEqual([...ana.refusals, ...ben.refusals], []);
        await until("a newcomer sees it all", async () => (await visible()).content.length === "start ".length + 300);
        const took_ms = performance.now() - began;
        // A slow machine takes a while for one edit and one newcomer, too.
        await ana.edit(({ map }) => map.set("saved", true));
        await visible();
        const usual_ms = performance.now() - began - took_ms;
        const within_ms = Math.max(SAVED_WITHIN_MS, 5 * usual_ms);
        assert.ok(took_ms < within_ms, `${took_ms.toFixed(0)} ms, and usually ${usual_ms.toFixed(0)} ms`);
        const last = await sameForAll(server, name, [ana, ben]);
        assert.equal(last.content.length, both.length);
      });

      it("a browser sends blocks of forty of its old client ids in one reply", async () => {
        name = `forty ${(number += 1)}`;
        const stored = new Y.Doc();
        for (let visit = 0; visit < 40; visit += 1) {
          const doc = new Y.Doc();
          Y.applyUpdate(doc, Y.encodeStateAsUpdate(stored));
          doc.getText("text").insert(doc.getText("text").length, `visit ${visit}, `);
          Y.applyUpdate(stored, Y.encodeStateAsUpdate(doc));
        }
        const ben = await enter("ben");
        const ana = await enter("ana", stored);
        await ana.saved();
        assert.equal(ana.pending, 0);
        await ana.edit(({ text }) => text.insert(0, "now: "));
        await until("Ben reads it", () => ben.content === ana.content);
        const last = await sameForAll(server, name, [ana, ben]);
        assert.equal(last.content.match(/visit/g).length, 40);
      });

      it("two tabs of one user send each other's edits", async () => {
        name = `tabs ${(number += 1)}`;
        const [one, two] = [await enter("ana"), await enter("ana")];
        const ben = await enter("ben");
        const channel = {};
        one.doc.on("update", (bytes, origin) => origin !== channel && Y.applyUpdate(two.doc, bytes, channel));
        two.doc.on("update", (bytes, origin) => origin !== channel && Y.applyUpdate(one.doc, bytes, channel));
        for (const tab of [one, two, one, two, one]) tab.type("tab ");
        await Promise.all([one.saved(), two.saved()]);
        await until("Ben reads it", () => ben.content === "tab ".repeat(5));
        assert.equal((await sameForAll(server, name, [one, two, ben])).content, "tab ".repeat(5));
      });

      it("updates that are sent again, by their author or by others, are acknowledged", async () => {
        const { ana, ben } = await arrange();
        const [anas, bens] = [await connect("ana"), await connect("ben")];
        await anas.ok("join_room", name);
        await bens.ok("join_room", name);
        const updates = [];
        ana.doc.on("update", (bytes) => updates.push(bytes));
        ana.type("once and again");
        await ana.saved();
        for (const client of [anas, bens, anas]) {
          for (const bytes of [...updates, Y.encodeStateAsUpdate(ana.doc), Y.mergeUpdates(updates)]) {
            assert.equal((await client.ok("document_update", { room: name, update: bytes })).pending, undefined);
          }
        }
        assert.equal((await sameForAll(server, name, [ana, ben])).content, "ana's once and again");
      });

      it("undo and redo work, also for text that others have edited since", async () => {
        const { ana, ben } = await arrange();
        const history = new Y.UndoManager(ana.text, { captureTimeout: 0 });
        await ana.edit(({ text }) => text.insert(text.length, "to be undone"));
        await until("Ben reads it", () => ben.content.endsWith("undone"));
        await ben.edit(({ text }) => text.insert(10, "[Ben's]"));
        await until("Ana reads it", () => ana.content.includes("Ben's"));
        for (const step of ["undo", "redo", "undo", "redo"]) {
          history[step]();
          await ana.saved();
          await until("Ben sees the same", () => ben.content === ana.content);
        }
        assert.match(ana.content, /to b.*Ben's.*undone/);
        await sameForAll(server, name, [ana, ben]);
      });

      it("a script sends a document that others wrote to a new room, without a state vector", async () => {
        name = `migrated ${(number += 1)}`;
        const old = new Y.Doc();
        for (let author = 0; author < 20; author += 1) {
          const doc = new Y.Doc();
          Y.applyUpdate(doc, Y.encodeStateAsUpdate(old));
          doc.getText("text").insert(0, `by author ${author}; `);
          Y.applyUpdate(old, Y.encodeStateAsUpdate(doc));
        }
        const script = await connect("script");
        await script.ok("join_room", name);
        const ack = await script.ok("document_update", { room: name, update: Y.encodeStateAsUpdate(old) });
        assert.equal(ack.pending, undefined);
        const ana = await enter("ana");
        assert.equal(ana.content, old.getText("text").toString());
        await ana.edit(({ text }) => text.insert(0, "goes on: "));
        await sameForAll(server, name, [ana]);
      });
    });
  });
}
