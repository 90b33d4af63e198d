// Threads of comments: the same for everybody, over losses of the connection, and at their text.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { anchorOf, decodeAnchor, encodeAnchor, resolveAnchor } from "@realtime-server/client";
import { Network } from "@realtime-server/harness/network";
import { suiteServer } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";
import * as Y from "yjs";
import { client, closeAll, join, open } from "./support/scene.mjs";

const TEAM = "threads";

/** What people see of threads, the oldest first, as short lines. */
function seen(threads) {
  const { items } = threads.getSnapshot();
  const line = ({ author, body, deleted_at, reactions }) =>
    `${author.id}: ${deleted_at ? "(deleted)" : body}${Object.entries(reactions).map(([emoji, ids]) => ` ${emoji}${ids.length}`)}`;
  return items?.map(({ status, comments }) => [status, ...comments.map(line)].join(" | ")).reverse();
}

describe("threads", () => {
  const server = suiteServer();
  const ends = [];
  afterEach(() => {
    for (const end of ends.splice(0)) end();
    closeAll();
  });

  async function enter(user, room, options = {}) {
    const provider = await join(server, room, { person: { team: TEAM, user, ...options.person }, ...options });
    const threads = provider.client.threads(room);
    ends.push(threads.subscribe(() => {}));
    await until("the threads are listed", () => threads.getSnapshot().items);
    return { provider, client: provider.client, threads };
  }

  const show = (threads, ...expected) =>
    until(`they show ${expected}`, () => assert.deepEqual(seen(threads), expected) ?? true);

  it("are the same for everybody, whoever changes them", async () => {
    const [ana, ben] = [await enter("ana", "plan"), await enter("ben", "plan")];
    const thread = await ana.threads.create({ body: "Is this right?", quote: "a claim" });
    await show(ben.threads, "open | ana: Is this right?");
    const reply = await ben.threads.reply(thread.id, { body: "No." });
    await ana.threads.react(reply.id, "👍", true);
    await show(ben.threads, "open | ana: Is this right? | ben: No. 👍1");
    await ben.threads.edit(reply.id, { body: "Not yet." });
    await ana.threads.react(reply.id, "👍", false);
    await ana.threads.resolve(thread.id);
    await show(ben.threads, "resolved | ana: Is this right? | ben: Not yet.");
    await ben.threads.reopen(thread.id);
    await ben.threads.remove(reply);
    const other = await ben.threads.create({ body: "Another one" });
    for (const { threads } of [ana, ben]) {
      await show(threads, "open | ana: Is this right? | ben: (deleted)", "open | ben: Another one");
    }
    await assert.rejects(ana.threads.edit(other.comments[0].id, { body: "Mine now" }), { code: "forbidden" });
    await ben.threads.remove(other.comments[0]);
    await ana.threads.removeThread(thread.id);
    for (const { threads } of [ana, ben]) await show(threads);
    const late = await enter("cleo", "plan");
    await show(late.threads);
  });

  it("are created once, however often the connection is lost meanwhile", async () => {
    const network = await Network.to(server);
    const [ana, ben] = [await enter("ana", "lossy", { url: network.url }), await enter("ben", "lossy")];
    const expected = [];
    for (let number = 0; number < 4; number++) {
      expected.push(`open | ana: ${number}`);
      // The server carries the request out, but its answer is lost; in every other round the request is lost as well.
      if (number % 2) network.loseAnswers();
      else network.cut();
      const created = ana.threads.create({ body: `${number}` });
      if (number % 2) await show(ben.threads, ...expected);
      network.cut();
      await until("the loss is noticed", () => ana.client.status !== "connected");
      network.mend();
      ana.client.connect();
      await created;
      await show(ben.threads, ...expected);
    }
    for (const { threads } of [ana, ben]) await show(threads, ...expected);
    network.close();
  });

  it("that others have changed during a loss of the connection are right after it", async () => {
    const network = await Network.to(server);
    const [ana, ben] = [await enter("ana", "away", { url: network.url }), await enter("ben", "away")];
    const events = [];
    for (const event of ["thread_created", "comment_created", "thread_updated", "activity"]) {
      ana.client.subscribe(event, ({ event_id }) => events.push(event_id));
    }
    const first = await ben.threads.create({ body: "first" });
    await show(ana.threads, "open | ben: first");
    network.cut();
    await until("the loss is noticed", () => ana.client.status !== "connected");
    await ben.threads.reply(first.id, { body: "reply" });
    await ben.threads.resolve(first.id);
    await ben.threads.create({ body: "second" });
    network.mend();
    ana.client.connect();
    await show(ana.threads, "resolved | ben: first | ben: reply", "open | ben: second");
    assert.equal(ana.client.connection.recovered, true);
    // commented, replied, resolved, commented
    await until("the missed activity has come", () => events.length >= 5);
    assert.deepEqual([...new Set(events)], events, "no event comes twice");
    network.close();
  });

  it("that began before the document was opened here are shown once it is", async () => {
    const early = await enter("early", "opened-late");
    const ana = client(server, { person: { team: TEAM, user: "ana" } });
    const threads = ana.threads("opened-late");
    ends.push(threads.subscribe(() => {}));
    await until("there are none", () => threads.getSnapshot().items?.length === 0);
    await early.threads.create({ body: "before" });
    const provider = open(ana, "opened-late");
    await provider.whenSynced();
    await show(threads, "open | early: before");
  });

  it("stay at their text while others type before and in it, and are orphaned when it is gone", async () => {
    const [ana, ben] = [await enter("ana", "anchored"), await enter("ben", "anchored")];
    const text = ana.provider.doc.getText("text");
    text.insert(0, "One two three.");
    await ana.provider.whenSaved();
    const anchor = anchorOf({ type: text, index: 4 }, { type: text, index: 7 });
    const { id } = await ana.threads.create({ body: "why?", anchor, quote: "two" });
    const other = ben.provider.doc.getText("text");
    await until("the text is there", () => other.length === 14);
    other.insert(0, "Zero ");
    other.insert(11, "-and-a-half-");
    await ben.provider.whenSaved();
    const place = () => resolveAnchor(ben.provider.doc, anchor);
    assert.deepEqual([place().start.index, place().end.index], [9, 24]);
    const thread = () => ben.threads.getSnapshot().items.find((thread) => thread.id === id);
    const isOrphaned = async () => {
      ben.threads.refresh();
      return (await ben.client.request("thread_list", { room: "anchored" })).threads[0].orphaned;
    };
    assert.equal(await isOrphaned(), false);
    other.delete(9, 15);
    await ben.provider.whenSaved();
    assert.equal(place(), undefined);
    assert.equal(await isOrphaned(), true);
    await until("the list says so", () => thread().orphaned);
    assert.equal(thread().quote, "two");
  });

  it("anchors are read and written as Yjs does, and nonsense is no anchor", () => {
    const doc = new Y.Doc();
    const text = doc.getText("text");
    text.insert(0, "é🦀 and more");
    const anchor = anchorOf({ type: text, index: 0 }, { type: text, index: text.length });
    const { start, end } = decodeAnchor(anchor);
    assert.deepEqual(encodeAnchor(start, end), anchor);
    assert.deepEqual(resolveAnchor(doc, anchor), {
      start: { type: text, index: 0 },
      end: { type: text, index: text.length },
    });
    for (const bad of ["", "!", "AAAA", "////////"])
      assert.equal(resolveAnchor(doc, { start: bad, end: bad }), undefined, bad);
  });
});
