// The notifications of people: published by services, folded, listed, read, deleted and muted. Section "Notifications"
// of the protocol.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { databases } from "@realtime-server/harness/databases";
import { suiteServer } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";
import { Caller } from "./support/http.mjs";

const RFC3339_MS = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const NO_ID = "01890000-0000-7000-8000-000000000000";

/** A tab that keeps the events about notifications in their order. */
async function tab(server, person) {
  const client = await Client.connect(server, { person });
  client.told = [];
  for (const name of ["notification", "notification_read", "notification_deleted"])
    client.socket.on(name, (payload) => client.told.push({ name, ...payload }));
  client.list = async (fields = {}) => client.ok("notification_list", fields);
  return client;
}

for (const database of databases) {
  describe(`notifications on ${database.name}`, () => {
    const server = suiteServer({ database });
    afterEach(closeClients);

    const caller = (person) => new Caller(server, person);
    /** Notifies people of `team`, as a service. */
    const notify = (team, body, headers) =>
      caller({ user: "cms", role: "service", team }).ok("POST", "notifications", { kind: "note", ...body }, headers);
    const titles = ({ notifications }) => notifications.map(({ title }) => title);

    it("every tab of a person is told at once, with the number of unread ones, and nobody else is", async () => {
      const team = "told";
      const tabs = [await tab(server, { user: "ana", team }), await tab(server, { user: "ana", team })];
      const ben = await tab(server, { user: "ben", team });
      const namesake = await tab(server, { user: "ana", team: "rival" });
      const body = { title: "Imported", body: "Three documents", url: "/imports/7" };
      assert.deepEqual(await notify(team, { user: "ana", ...body }), { recipients: 1 });
      await notify(team, { user: "ana", title: "Again" });
      for (const client of tabs) {
        await until("both are told", () => client.told.length === 2);
        const [first, second] = client.told;
        const { name, id, event_id, created_at, ...rest } = first;
        assert.deepEqual(rest, { kind: "note", ...body, count: 1, unread: 1 });
        assert.deepEqual([name, typeof id, Number.isInteger(event_id)], ["notification", "string", true]);
        assert.match(created_at, RFC3339_MS);
        assert.deepEqual([second.title, second.unread], ["Again", 2]);
        assert.ok(second.event_id > event_id);
      }
      const list = await tabs[0].list();
      assert.deepEqual([titles(list), list.unread, list.next_cursor], [["Again", "Imported"], 2, undefined]);
      const { ok, ...fields } = list;
      assert.deepEqual([ok, await caller({ team }).ok("GET", "notifications")], [true, fields]);
      await notify(team, { user: "ben", title: "For Ben" });
      await notify("rival", { user: "ana", title: "For the namesake" });
      for (const [client, title] of [
        [ben, "For Ben"],
        [namesake, "For the namesake"],
      ]) {
        await until(`${title} is told`, () => client.told.some((event) => event.title === title));
        assert.equal(client.told.length, 1, "nothing else is");
      }
      for (const client of tabs) assert.equal(client.told.length, 2);
      assert.deepEqual([titles(await ben.list()), titles(await namesake.list())], [["For Ben"], ["For the namesake"]]);
    });

    it("who is away finds them later", async () => {
      await notify("away", { user: "ana", title: "While you were away" });
      const ana = await tab(server, { user: "ana", team: "away" });
      const list = await ana.list({ unread_only: true });
      assert.deepEqual([titles(list), list.unread], [["While you were away"], 1]);
      assert.deepEqual(ana.told, []);
    });

    it("unread ones of one kind and subject are one, with a count", async () => {
      const team = "folded";
      const ana = await tab(server, { user: "ana", team });
      const send = (more) => notify(team, { user: "ana", room: "plan", ...more });
      await send({ title: "First" });
      await send({ title: "Second", body: "More" });
      await send({ title: "Of another kind", kind: "other" });
      await send({ title: "Of another document", room: "plan-2" });
      await until("all are told", () => ana.told.length === 4);
      const [first, second, ...others] = ana.told;
      assert.deepEqual([second.id, second.title, second.count, second.unread], [first.id, "Second", 2, 1]);
      assert.deepEqual(
        others.map(({ count, unread }) => [count, unread]),
        [
          [1, 2],
          [1, 3],
        ],
      );
      assert.deepEqual(titles(await ana.list()), ["Of another document", "Of another kind", "Second"]);
      await ana.ok("notification_read", { ids: [first.id] });
      await send({ title: "Third" });
      const third = await until("the third is told", () => ana.told.find(({ title }) => title === "Third"));
      assert.notEqual(third.id, first.id, "what is read stays as it was read");
      assert.deepEqual([third.count, third.unread], [1, 3]);
      assert.equal((await ana.list()).notifications.length, 4);
    });

    it("reading and deleting are told to every tab, and what is another person's stays", async () => {
      const team = "read";
      const [one, two] = [await tab(server, { user: "ana", team }), await tab(server, { user: "ana", team })];
      const ben = await tab(server, { user: "ben", team });
      for (const title of ["a", "b", "c", "d"]) await notify(team, { users: ["ana", "ben"], title });
      await until("all are told", () => one.told.length === 4 && ben.told.length === 4);
      const [a, b, c] = one.told.map(({ id }) => id);
      const bens = ben.told.map(({ id }) => id);
      const news = (name) => two.told.filter((event) => event.name === name).map(({ name, event_id, ...rest }) => rest);

      assert.equal((await one.ok("notification_read", { ids: [a, b] })).unread, 2);
      await until("the other tab is told", () => news("notification_read").length === 1);
      assert.deepEqual(news("notification_read"), [{ ids: [a, b], unread: 2 }]);
      assert.deepEqual(titles(await two.list({ unread_only: true })), ["d", "c"]);
      const { notifications } = await two.list();
      assert.deepEqual(
        notifications.map(({ read_at }) => Boolean(read_at)),
        [false, false, true, true],
      );
      for (const ids of [[a], [a, a, NO_ID, ...bens], []])
        assert.equal((await one.ok("notification_read", { ids })).unread, 2, "nothing else was unread");
      assert.equal((await one.ok("notification_delete", { ids: [b, c, NO_ID, ...bens] })).unread, 1);
      await until("the other tab is told", () => news("notification_deleted").length === 1);
      assert.equal(news("notification_deleted")[0].unread, 1);
      assert.deepEqual(titles(await two.list()), ["d", "a"]);
      const http = caller({ user: "ana", team });
      assert.deepEqual(await http.ok("POST", "notifications/read", { all: true }), { unread: 0 });
      await until("the other tab is told", () => news("notification_read").at(-1).all);
      assert.deepEqual(news("notification_read").at(-1), { ids: [], all: true, unread: 0 });
      assert.deepEqual(await http.ok("POST", "notifications/delete", { all: true }), { unread: 0 });
      assert.deepEqual(titles(await one.list()), []);
      const theirs = await ben.list();
      assert.deepEqual([titles(theirs), theirs.unread], [["d", "c", "b", "a"], 4]);
    });

    it("a muted kind is neither kept nor told, until it is no longer muted", async () => {
      const team = "muted";
      const ana = await tab(server, { user: "ana", team });
      const http = caller({ user: "ana", team });
      assert.deepEqual(await http.ok("GET", "notifications/preferences"), { muted: [] });
      const { muted } = await ana.ok("notification_preferences", { muted: ["note", "digest", "note"] });
      assert.deepEqual(muted, ["digest", "note"]);
      assert.deepEqual(await http.ok("GET", "notifications/preferences"), { muted });
      await notify(team, { user: "ana", title: "Muted" });
      await notify(team, { user: "ana", title: "Heard", kind: "other" });
      await until("the other one is told", () => ana.told.length);
      const list = await ana.list();
      assert.deepEqual([titles(list), list.unread, ana.told.length], [["Heard"], 1, 1]);
      assert.deepEqual(await http.ok("PUT", "notifications/preferences", { muted: [] }), { muted: [] });
      await notify(team, { user: "ana", title: "Heard again" });
      await until("it is told", () => ana.told.length === 2);
      assert.deepEqual((await ana.ok("notification_preferences", {})).muted, []);
    });

    it("one about a document that its recipient may not view is neither seen nor counted", async () => {
      const team = "hidden";
      const person = { user: "eve", role: "viewer", team, documents: { secret: "none" } };
      const eve = await tab(server, person);
      await notify(team, { user: "eve", title: "Secret", room: "secret" });
      await notify(team, { user: "eve", title: "Open", room: "open" });
      const told = await until("the other one is told", () => eve.told[0]);
      assert.deepEqual([told.title, told.unread], ["Open", 1]);
      const list = await eve.list();
      assert.deepEqual([titles(list), list.unread], [["Open"], 1]);
      await notify(team, { user: "eve", title: "Without a document" });
      await until("it is told", () => eve.told.length === 2);
      assert.equal(eve.told[1].unread, 2);
      assert.equal((await eve.ok("notification_read", { ids: [told.id] })).unread, 1);
      eve.close();
      const http = caller(person);
      const [left] = (await http.ok("GET", "notifications?unread_only=true")).notifications;
      assert.deepEqual(await http.ok("POST", "notifications/read", { ids: [left.id] }), { unread: 0 });
      assert.deepEqual(await http.ok("POST", "notifications/delete", { ids: [left.id] }), { unread: 0 });
      assert.equal((await http.ok("GET", "notifications")).unread, 0);
      const allowed = await tab(server, { ...person, documents: undefined });
      const later = await allowed.list();
      assert.deepEqual([titles(later), later.unread], [["Open", "Secret"], 1], "with the right it is there");
    });

    it("what a person may not view stays unread when all is read, and is not deleted with the rest", async () => {
      const team = "kept";
      const person = { user: "eve", role: "viewer", team, documents: { secret: "none" } };
      await notify(team, { user: "eve", title: "Secret", room: "secret" });
      await notify(team, { user: "eve", title: "Open", room: "open" });
      const eve = caller(person);
      assert.deepEqual(await eve.ok("POST", "notifications/read", { all: true }), { unread: 0 });
      const all = caller({ ...person, documents: undefined });
      const before = await all.ok("GET", "notifications?unread_only=true");
      assert.deepEqual([titles(before), before.unread], [["Secret"], 1]);
      assert.deepEqual(await eve.ok("POST", "notifications/delete", { all: true }), { unread: 0 });
      const after = await all.ok("GET", "notifications");
      assert.deepEqual([titles(after), after.unread], [["Secret"], 1]);
    });

    it("a service notifies several people, or all of a team that the server knows", async () => {
      const team = "many";
      const [ana, ben] = [await tab(server, { user: "ana", team }), await tab(server, { user: "ben", team })];
      await caller({ user: "gone", team }).ok("PUT", "documents/made");
      assert.deepEqual(await notify(team, { users: ["ana", "ben", "ana"], title: "Both" }), { recipients: 2 });
      const { recipients } = await notify(team, { team: true, title: "Everybody" });
      assert.ok(recipients >= 3, `${recipients} people`);
      for (const client of [ana, ben]) {
        await until("both are told", () => client.told.length === 2);
        assert.deepEqual(titles(await client.list()), ["Everybody", "Both"]);
      }
      const gone = await caller({ user: "gone", team }).ok("GET", "notifications");
      assert.deepEqual(titles(gone), ["Everybody"]);
      const crowd = Array.from({ length: 320 }, (_, nth) => `u-${nth}`);
      const key = { "idempotency-key": "crowd" };
      for (let time = 0; time < 2; time += 1)
        assert.deepEqual(await notify(team, { users: crowd, title: "Crowd" }, key), { recipients: 320 });
      for (const user of ["u-0", "u-319"]) {
        const { notifications } = await caller({ user, team }).ok("GET", "notifications");
        assert.deepEqual(
          notifications.map(({ title, count }) => [title, count]),
          [["Crowd", 1]],
        );
      }
    });

    it("a repeated key notifies once, also while the first request is in progress", async () => {
      const team = "repeated";
      const key = { "idempotency-key": "k-1" };
      const send = () => notify(team, { user: "ana", title: "Once" }, key);
      assert.deepEqual(await Promise.all([send(), send(), send()]), Array(3).fill({ recipients: 1 }));
      const service = caller({ user: "cms", role: "service", team });
      const other = { kind: "note", user: "ana", title: "Another" };
      const refused = await service.refusal("POST", "notifications", other, key);
      assert.deepEqual([refused.status, refused.code], [409, "conflict"]);
      const { notifications } = await caller({ team }).ok("GET", "notifications");
      assert.deepEqual(
        notifications.map(({ title, count }) => [title, count]),
        [["Once", 1]],
      );
    });

    it("lists are paged", async () => {
      const team = "paged";
      const sent = Array.from({ length: 9 }, (_, nth) => `number ${nth}`);
      for (const title of sent) await notify(team, { user: "ana", title });
      const ana = await tab(server, { user: "ana", team });
      for (const limit of [1, 4, 9]) {
        const met = [];
        let cursor;
        do {
          const page = await ana.list({ limit, cursor });
          assert.ok(page.notifications.length <= limit);
          assert.equal(page.unread, 9);
          met.push(...titles(page));
          assert.ok(met.length <= sent.length, "no page repeats another");
          cursor = page.next_cursor;
        } while (cursor);
        assert.deepEqual(met, sent.toReversed(), `${limit} a page`);
      }
    });

    it("only a service may publish", async () => {
      const team = "rights";
      const ana = await tab(server, { user: "ana", role: "admin", team });
      const forged = { user: "ana", kind: "note", title: "Forged" };
      assert.equal((await ana.refusal("notification_publish", forged)).code, "forbidden");
      for (const role of ["viewer", "commenter", "editor", "reviewer", "admin"]) {
        const refused = await caller({ role, team }).refusal("POST", "notifications", forged);
        assert.deepEqual([refused.status, refused.code], [403, "forbidden"], role);
      }
      assert.deepEqual((await ana.list()).notifications, []);
      const service = await tab(server, { user: "cms", role: "service", team });
      assert.equal((await service.ok("notification_publish", { ...forged, title: "Real" })).recipients, 1);
      await until("it is told", () => ana.told.length);
    });

    it("malformed requests are refused with the field, and change nothing", async () => {
      const team = "malformed";
      const ana = await tab(server, { user: "ana", team });
      const service = await tab(server, { user: "cms", role: "service", team });
      await notify(team, { user: "ana", title: "Kept" });
      const good = { user: "ana", kind: "note", title: "x" };
      const publish = (fields, field) => [service, "notification_publish", { ...good, ...fields }, field];
      for (const [client, event, payload, field] of [
        [ana, "notification_list", { limit: 0 }, "limit"],
        [ana, "notification_list", { limit: 101 }, "limit"],
        [ana, "notification_list", { cursor: "no cursor" }, "cursor"],
        [ana, "notification_list", { cursor: `9e20.${NO_ID}` }, "cursor"],
        [ana, "notification_list", { unread_only: "maybe" }, "unread_only"],
        [ana, "notification_read", {}, "ids"],
        [ana, "notification_read", { all: false }, "ids"],
        [ana, "notification_read", { all: 1 }, "all"],
        [ana, "notification_read", { ids: "all" }, "ids"],
        [ana, "notification_read", { ids: ["no id"] }, "ids"],
        [ana, "notification_read", { ids: Array(101).fill(NO_ID) }, "ids"],
        [ana, "notification_delete", {}, "ids"],
        [ana, "notification_delete", { ids: [7] }, "ids"],
        [ana, "notification_preferences", { muted: "note" }, "muted"],
        [ana, "notification_preferences", { muted: ["two words"] }, "muted"],
        [ana, "notification_preferences", { muted: Array.from({ length: 51 }, (_, n) => `k${n}`) }, "muted"],
        publish({ user: undefined }, "users"),
        publish({ team: true }, "users"),
        publish({ user: 7 }, "user"),
        publish({ user: undefined, users: [] }, "users"),
        publish({ user: undefined, users: [""] }, "users"),
        publish({ user: undefined, users: Array.from({ length: 1001 }, (_, n) => `u-${n}`) }, "users"),
        publish({ kind: undefined }, "kind"),
        publish({ kind: "two words" }, "kind"),
        publish({ title: undefined }, "title"),
        publish({ title: " " }, "title"),
        publish({ title: "x".repeat(513) }, "title"),
        publish({ body: 7 }, "body"),
        publish({ body: "x".repeat(4097) }, "body"),
        publish({ room: "a,b" }, "room"),
        publish({ url: "javascript:alert(1)" }, "url"),
        publish({ url: "//evil.example.org" }, "url"),
        publish({ client_id: 7 }, "client_id"),
      ]) {
        const error = await client.refusal(event, payload);
        assert.deepEqual([error.code, error.field], ["invalid", field], `${event} ${JSON.stringify(payload)}`);
      }
      const http = caller({ team });
      assert.equal((await http.refusal("POST", "notifications/read", "[]")).field, "body");
      assert.equal((await http.refusal("GET", "notifications?limit=ten")).field, "limit");
      const list = await ana.list();
      assert.deepEqual([titles(list), list.unread], [["Kept"], 1]);
      assert.deepEqual((await ana.ok("notification_preferences", {})).muted, []);
    });
  });
}
