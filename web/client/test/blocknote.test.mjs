// The threads of a document for BlockNote: its text and its rights, over losses of the connection.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { RealtimeThreadStore } from "@realtime-server/client/blocknote";
import { Network } from "@realtime-server/harness/network";
import { suiteServer } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";
import { closeAll, join } from "./support/scene.mjs";

const TEAM = "blocknote";

/** A block as an editor of BlockNote gives it. */
const paragraph = (...content) => ({
  id: "1",
  type: "paragraph",
  props: { textColor: "default" },
  content: content.map((part) => (typeof part === "string" ? { type: "text", text: part, styles: {} } : part)),
  children: [],
});

/** What BlockNote shows of the threads of a store, the oldest first, as short lines. */
function seen(store) {
  const line = ({ userId, body, reactions }) =>
    [
      `${userId}: ${body.map(({ content }) => content.map(({ text }) => text).join("")).join("/")}`,
      ...reactions.map(({ emoji, userIds }) => `${emoji}${userIds.length}`),
    ].join(" ");
  const threads = [...store.getThreads().values()].reverse();
  return threads.map(({ resolved, comments }) => [resolved ? "resolved" : "open", ...comments.map(line)].join(" | "));
}

describe("the threads for BlockNote", () => {
  const server = suiteServer();
  const ends = [];
  afterEach(() => {
    for (const end of ends.splice(0)) end();
    closeAll();
  });

  async function enter(user, room, options = {}) {
    const provider = await join(server, room, { ...options, person: { team: TEAM, user, ...options.person } });
    const threads = provider.client.threads(room);
    const errors = [];
    const store = new RealtimeThreadStore({ provider, threads, onError: (error) => errors.push(error.code) });
    let calls = 0;
    ends.push(store.subscribe(() => (calls += 1)));
    await until("the threads are listed", () => threads.getSnapshot().items);
    return { store, threads, errors, calls: () => calls };
  }

  const show = (store, ...expected) =>
    until(`it shows ${expected}`, () => assert.deepEqual(seen(store), expected) ?? true);

  it("are those that every client sees, whatever is done with them", async () => {
    const [ana, ben] = [await enter("ana", "plan"), await enter("ben", "plan")];
    const thread = await ana.store.createThread({ initialComment: { body: [paragraph("Is this right?")] } });
    assert.equal(thread.comments[0].userId, "ana");
    await show(ben.store, "open | ana: Is this right?");
    const reply = await ben.store.addComment({ threadId: thread.id, comment: { body: [paragraph("No.")] } });
    const place = { threadId: thread.id, commentId: reply.id };
    await ana.store.addReaction({ ...place, emoji: "👍" });
    await show(ben.store, "open | ana: Is this right? | ben: No. 👍1");
    await ana.store.deleteReaction({ ...place, emoji: "👍" });
    await ben.store.updateComment({ ...place, comment: { body: [paragraph("Not yet,"), paragraph("Ana.")] } });
    await ana.store.resolveThread({ threadId: thread.id });
    await show(ben.store, "resolved | ana: Is this right? | ben: Not yet,/Ana.");
    assert.deepEqual(
      ben.threads.getSnapshot().items[0].comments.map(({ body }) => body),
      ["Is this right?", "Not yet,\nAna."],
    );
    await ben.store.unresolveThread({ threadId: thread.id });
    await ben.store.deleteComment(place);
    await show(ana.store, "open | ana: Is this right?");
    await ana.store.deleteThread({ threadId: thread.id });
    await show(ben.store);
    assert.throws(() => ben.store.getThread(thread.id), { code: "not_found" });
    assert.ok(ben.calls() > 0);
  });

  it("have the text, the addresses of links and the mentions of an editor", async () => {
    const { store, threads } = await enter("ana", "body");
    const link = { type: "link", href: "https://example.com", content: [{ type: "text", text: "there", styles: {} }] };
    const nested = { ...paragraph("under it"), children: [paragraph("and deeper")] };
    const mention = { type: "mention", props: { id: "ben", name: "Ben" } };
    const body = [{ ...paragraph("See ", link, ", ", mention), children: [nested] }, paragraph()];
    await store.createThread({ initialComment: { body } });
    const [{ comments }] = threads.getSnapshot().items;
    assert.equal(comments[0].body, "See there (https://example.com), @Ben\nunder it\nand deeper");
    assert.deepEqual(comments[0].mentions, ["ben"]);
    // BlockNote gives no mention back: they stay.
    await store.updateComment({
      threadId: comments[0].thread_id,
      commentId: comments[0].id,
      comment: { body: [paragraph("Shorter")] },
    });
    assert.deepEqual(threads.getSnapshot().items[0].comments[0].mentions, ["ben"]);
  });

  it("offer what the rights of the user allow, and tell what the server refuses", async () => {
    const ana = await enter("ana", "rights");
    const thread = await ana.store.createThread({ initialComment: { body: [paragraph("Hers")] } });
    const offers = ({ auth, getThread }, store) => {
      const { comments } = getThread.call(store, thread.id);
      return {
        create: auth.canCreateThread(),
        reply: auth.canAddComment(thread),
        edit: auth.canUpdateComment(comments[0]),
        deleteComment: auth.canDeleteComment(comments[0]),
        deleteThread: auth.canDeleteThread(thread),
        resolve: auth.canResolveThread(thread),
        react: auth.canAddReaction(comments[0], "👍"),
      };
    };
    const all = { create: true, reply: true, edit: true, deleteComment: true, deleteThread: true, resolve: true };
    const none = { create: false, reply: false, edit: false, deleteComment: false, deleteThread: false };
    assert.deepEqual(offers(ana.store, ana.store), { ...all, react: true });
    const commenter = await enter("cem", "rights", { person: { role: "commenter" } });
    const others = { edit: false, deleteComment: false, deleteThread: false };
    assert.deepEqual(offers(commenter.store, commenter.store), { ...all, ...others, react: true });
    const viewer = await enter("vera", "rights", { person: { role: "viewer" } });
    assert.deepEqual(offers(viewer.store, viewer.store), { ...none, resolve: false, react: false });
    const admin = await enter("adam", "rights", { person: { role: "admin" } });
    assert.deepEqual(offers(admin.store, admin.store), { ...all, edit: false, react: true });

    const refused = viewer.store.addComment({ threadId: thread.id, comment: { body: [paragraph("Mine")] } });
    await assert.rejects(refused, { code: "forbidden" });
    assert.deepEqual(viewer.errors, ["forbidden"]);
    await ana.store.addReaction({ threadId: thread.id, commentId: thread.comments[0].id, emoji: "👍" });
    const [reacted] = ana.store.getThread(thread.id).comments;
    assert.equal(ana.store.auth.canAddReaction(reacted, "👍"), false);
    assert.equal(ana.store.auth.canDeleteReaction(reacted, "👍"), true);
  });

  it("give the names of the people in the threads and in the document", async () => {
    const ana = await enter("ana", "people", { person: { name: "Ana A." } });
    await ana.store.createThread({ initialComment: { body: [paragraph("Hello")] } });
    const ben = await enter("ben", "people", { person: { name: "Ben B." } });
    const users = await ben.store.resolveUsers(["ana", "ben", "nobody"]);
    assert.deepEqual(
      users.map(({ username }) => username),
      ["Ana A.", "Ben B.", "Someone"],
    );
  });

  it("are all there, more than a page of them, also after a loss of the connection", async () => {
    const network = await Network.to(server);
    ends.push(() => network.close());
    const ana = await enter("ana", "many");
    for (let number = 1; number <= 103; number += 1) {
      await ana.store.createThread({ initialComment: { body: [paragraph(String(number))] } });
    }
    const ben = await enter("ben", "many", { url: network.url });
    await until("Ben has all of them", () => ben.store.getThreads().size === 103);
    network.cut();
    await ana.store.createThread({ initialComment: { body: [paragraph("while Ben is away")] } });
    network.mend();
    await until("Ben has the new one", () => seen(ben.store).includes("open | ana: while Ben is away"));
    await until("and the others still", () => ben.store.getThreads().size === 104);
  });
});
