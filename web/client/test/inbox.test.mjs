// Notifications, activity and workflow, as applications read them.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { suiteServer } from "@realtime-server/harness/suite";
import { token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";
import { client, closeAll, join } from "./support/scene.mjs";

describe("the inbox and the activity", () => {
  const server = suiteServer();
  const ends = [];
  afterEach(() => {
    for (const end of ends.splice(0)) end();
    closeAll();
  });

  const watch = (live) => (ends.push(live.subscribe(() => {})), live);

  async function enter(team, user) {
    const made = client(server, { person: { team, user } });
    await made.whenConnected();
    return made;
  }

  async function publish(team, users, title) {
    const response = await fetch(`${server.url}/api/v1/notifications`, {
      method: "POST",
      headers: { authorization: `Bearer ${token({ user: "service", role: "service", team })}` },
      body: JSON.stringify({ users, kind: "note", title }),
    });
    assert.equal(response.status, 201, await response.text());
  }

  it("have the same unread notifications on every tab, before and after a loss of the connection", async () => {
    const tabs = [await enter("tabs", "ana"), await enter("tabs", "ana")];
    const inboxes = tabs.map((tab) => watch(tab.notifications.inbox));
    const agree = (unread, ...titles) =>
      until(`they have ${unread} unread of ${titles}`, () => {
        for (const inbox of inboxes) {
          const state = inbox.getSnapshot();
          assert.deepEqual([state.unread, state.items?.map(({ title }) => title)], [unread, titles]);
        }
        return true;
      });
    await publish("tabs", ["ana"], "first");
    await publish("tabs", ["ana"], "second");
    await agree(2, "second", "first");
    await tabs[1].notifications.markRead([inboxes[0].getSnapshot().items[1].id]);
    await agree(1, "second", "first");
    tabs[0].socket.io.engine.close();
    await publish("tabs", ["ana"], "third");
    await agree(2, "third", "second", "first");
    await tabs[0].whenConnected();
    await tabs[0].notifications.markRead("all");
    await agree(0, "third", "second", "first");
    await tabs[1].notifications.remove([inboxes[1].getSnapshot().items[0].id]);
    await agree(0, "second", "first");
    assert.deepEqual(await tabs[0].notifications.mute(["note"]), ["note"]);
    assert.deepEqual(await tabs[1].notifications.muted(), ["note"]);
    await publish("tabs", ["ana", "ben"], "muted");
    const ben = watch((await enter("tabs", "ben")).notifications.inbox);
    await until("Ben has it", () => ben.getSnapshot().unread === 1 && ben.getSnapshot().items);
    await agree(0, "second", "first");
    await tabs[0].notifications.remove("all");
    await agree(0);
    await assert.rejects(tabs[0].notifications.mute([""]), { code: "invalid", field: "muted" });
  });

  it("load further pages, the newest first", async () => {
    const ana = await enter("pages", "ana");
    for (let number = 0; number < 60; number++) await publish("pages", ["ana"], `title ${number}`);
    const inbox = watch(ana.notifications.inbox);
    await until("the first page is there", () => inbox.getSnapshot().items?.length === 50);
    assert.equal(inbox.getSnapshot().hasMore, true);
    inbox.loadMore();
    await until("all are there", () => inbox.getSnapshot().items.length === 60);
    const { items, hasMore, unread } = inbox.getSnapshot();
    assert.deepEqual([hasMore, unread], [false, 60]);
    assert.deepEqual(
      items.map(({ title }) => title),
      Array.from({ length: 60 }, (_, number) => `title ${59 - number}`),
    );
  });

  it("follow what the team does, as a whole, in a document, and by a person", async () => {
    const ana = await enter("feed", "ana");
    const lines = (feed) => feed.getSnapshot().items?.map(({ verb, actor, room }) => `${actor.id} ${verb} ${room}`);
    const [all, ofPlan, ofBen] = [{}, { room: "plan" }, { actor: "ben" }].map((query) => watch(ana.activity(query)));
    await ana.documents.create("plan");
    const ben = await join(server, "notes", { person: { team: "feed", user: "ben" } });
    ben.doc.getText("text").insert(0, "words");
    await ben.whenSaved();
    const show = (feed, ...expected) =>
      until(`the feed has ${expected}`, () => assert.deepEqual(lines(feed), expected) ?? true);
    await show(all, "ben edited notes", "ben created notes", "ana created plan");
    await show(ofPlan, "ana created plan");
    await show(ofBen, "ben edited notes", "ben created notes");
    await ana.documents.rename("notes", "Notes");
    await show(all, "ana renamed notes", "ben edited notes", "ben created notes", "ana created plan");
    const late = watch(ana.activity());
    await show(late, ...lines(all));
  });
});
