// An acknowledged edit is visible, unless the ack says that it is pending: it waits for edits that it builds upon.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as Y from "yjs";
import { databases } from "@realtime-server/harness/databases";
import { Random } from "@realtime-server/harness/random";
import { suiteDatabase } from "@realtime-server/harness/suite";
import { pause, until } from "@realtime-server/harness/until";
import { ABSENCE_ENV, playAbsence } from "./support/absence.mjs";
import { Client, closeClients } from "./support/client.mjs";
import { newcomer, sameForAll } from "./support/view.mjs";

const KILLS = Number(process.env.KILLS ?? 5);
const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000);
const NAME = "pending";
/** Commits are so rare that relayed updates are not durable at once. */
const SLOW_COMMITS = { COMMIT_INTERVAL_MS: 1_000, COMMIT_INTERVAL_MIN_MS: 1_000 };

/** A plain program with a document of its own that speaks to the server itself, one message at a time. */
class Program {
  constructor(client, doc = new Y.Doc()) {
    [this.client, this.doc] = [client, doc];
  }

  /** Types at the end of the text; the update. */
  edit(string) {
    const before = Y.encodeStateVector(this.doc);
    const text = this.doc.getText("text");
    text.insert(text.length, string);
    return Y.encodeStateAsUpdate(this.doc, before);
  }

  send(update) {
    return this.client.request("document_update", { room: NAME, update });
  }

  /** Sends an update that has to be accepted; whether it is pending. */
  async pending(update) {
    return (await this.client.ok("document_update", { room: NAME, update })).pending ?? false;
  }

  /** Synchronises in both directions. Returns whether the update for the server is pending. */
  async synchronise() {
    const state_vector = Y.encodeStateVector(this.doc);
    const answer = await this.client.ok("document_sync", { room: NAME, state_vector });
    Y.applyUpdate(this.doc, new Uint8Array(answer.update));
    return this.pending(Y.encodeStateAsUpdate(this.doc, new Uint8Array(answer.state_vector)));
  }

  get content() {
    return this.doc.getText("text").toString();
  }
}

for (const database of databases) {
  describe(`pending edits on ${database.name}`, () => {
    let server;
    const start = suiteDatabase(database, closeClients);

    const connect = (user) => Client.connect(server, { person: { user } });
    const visible = async () => (await newcomer(server, NAME)).content;
    /** A program of `user` that has joined without any synchronisation. */
    const program = async (user, doc) => {
      const client = await connect(user);
      await client.ok("join_room", NAME);
      return new Program(client, doc);
    };

    /**
     * Ana's last words reach Ben and Cleo, and are lost in a kill. Nobody is connected then, and commits are fast again.
     * Returns the documents of the three.
     */
    const loseWords = async () => {
      server = await start(SLOW_COMMITS);
      const ana = await (await connect("ana")).join(NAME);
      const ben = await (await connect("ben")).join(NAME);
      const cleo = await (await connect("cleo")).join(NAME);
      await ana.edit(({ text }) => text.insert(0, "kept, "));
      let acknowledged = false;
      ana
        .edit(({ text }) => text.insert(text.length, "lost, "))
        .then(
          () => (acknowledged = true),
          () => {},
        );
      const whole = "kept, lost, ";
      await until("the words are relayed", () => ben.content === whole && cleo.content === whole);
      await server.kill9();
      closeClients();
      // On a machine that was halted for a second they are committed before the kill: all begins anew.
      if (acknowledged) return loseWords();
      await server.launch({ COMMIT_INTERVAL_MS: undefined, COMMIT_INTERVAL_MIN_MS: undefined });
      const kept = await visible();
      if (kept === whole) return loseWords();
      assert.equal(kept, "kept, ");
      return { ben: ben.doc, cleo: cleo.doc, ana: ana.doc };
    };

    it("an edit that builds upon lost words of an absent author is pending until another client sends them", async () => {
      const docs = await loseWords();
      const ben = await program("ben", docs.ben);
      assert.equal(await ben.pending(ben.edit("Ben's")), true);
      assert.equal(await ben.pending(ben.edit(" own")), true);
      assert.equal(await visible(), "kept, ");
      assert.equal(await ben.synchronise(), false);
      assert.equal(await visible(), "kept, lost, Ben's own");
      assert.equal(await ben.pending(ben.edit(" words")), false);
      const last = await sameForAll(server, NAME, []);
      assert.equal(last.content, "kept, lost, Ben's own words");
    });

    for (const holder of ["cleo", "ana"]) {
      it(`a pending edit survives a kill, and becomes visible when ${holder} connects, who has the missing words`, async () => {
        const docs = await loseWords();
        const ben = await program("ben", docs.ben);
        assert.equal(await ben.pending(ben.edit("Ben's words")), true);
        closeClients();
        await server.kill9();
        await server.launch();
        assert.equal(await visible(), "kept, ");
        const present = await (await connect("dora")).join(NAME);
        const room = await (await connect(holder)).join(NAME, docs[holder]);
        await until("those present see it", () => present.content === "kept, lost, Ben's words");
        await room.saved();
        await room.edit(({ map }) => map.set("holder", holder));
        assert.equal(room.pending, 0);
        const last = await sameForAll(server, NAME, [room, present]);
        assert.equal(last.content, "kept, lost, Ben's words");
      });
    }

    it("edits that build upon refused ones are acknowledged as pending, each of them", async () => {
      // A machine that takes three seconds for the first edits lets all of them through.
      server = await start({ UPDATES_PER_SECOND: 10, UPDATES_BURST: 10 });
      const ana = await program("ana");
      const first = await Promise.all(Array.from({ length: 40 }, () => ana.send(ana.edit("x"))));
      const refused = first.filter(({ ok }) => !ok);
      assert.ok(refused.length > 0, "the budget lets everything through");
      for (const { error } of refused) assert.equal(error.code, "rate_limited");
      const notPending = [];
      for (let number = 0; number < 20; number += 1) {
        const update = ana.edit("y");
        let ack = await ana.send(update);
        while (!ack.ok) {
          assert.equal(ack.error.code, "rate_limited");
          await pause(ack.error.retry_after_ms);
          ack = await ana.send(update);
        }
        if (ack.pending !== true) notPending.push(number);
      }
      assert.deepEqual(notPending, [], `${notPending.length} of 20 invisible edits are not acknowledged as pending`);
      assert.ok(!(await visible()).includes("y"));
      await pause(200);
      assert.equal(await ana.synchronise(), false);
      assert.equal(await visible(), ana.content);
      assert.equal(await ana.pending(ana.edit("z")), false);
      assert.equal((await sameForAll(server, NAME, [])).content, ana.content);
    });

    it("edits that build upon what a restored backup lacks are pending until a client sends that", async () => {
      server = await start();
      const old = await program("ana");
      await old.pending(old.edit("in the backup, "));
      closeClients();
      await server.stop();
      const restore = database.backup(server.env.DATABASE_URL);
      await server.launch();
      const ana = await (await connect("ana")).join(NAME);
      await ana.edit(({ text }) => text.insert(text.length, "newer than it, "));
      const ben = await (await connect("ben")).join(NAME);
      await until("Ben has it", () => ben.content === "in the backup, newer than it, ");
      closeClients();
      await server.stop();
      restore();
      await server.launch();
      assert.equal(await visible(), "in the backup, ");
      const back = await program("ben", ben.doc);
      assert.equal(await back.pending(back.edit("Ben's words")), true);
      assert.equal(await back.synchronise(), false);
      assert.equal(await visible(), "in the backup, newer than it, Ben's words");
      const last = await sameForAll(server, NAME, []);
      assert.equal(last.content, "in the backup, newer than it, Ben's words");
    });

    it(`no acknowledged edit is lost when its author never returns (${KILLS} kills, seed ${SEED})`, async () => {
      server = await start(ABSENCE_ENV);
      const { ledger } = await playAbsence({ server, kills: KILLS, random: new Random(SEED) });
      const acknowledged = ledger.past + ledger.acknowledged.size;
      assert.ok(acknowledged > 10 * KILLS, `${acknowledged} edits were acknowledged`);
    });
  });
}
