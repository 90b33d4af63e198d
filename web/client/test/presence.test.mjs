// Who of the team is present: listed, followed, and shown to the others.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { Presence, RealtimeError } from "@realtime-server/client";
import { suiteServer } from "@realtime-server/harness/suite";
import { next, until } from "@realtime-server/harness/until";
import { client, closeAll, join } from "./support/scene.mjs";

const ids = (live) => live.getSnapshot().users.map(({ user }) => user.id);

describe("presence", () => {
  const server = suiteServer();
  const ends = [];
  afterEach(() => {
    for (const end of ends.splice(0)) end();
    closeAll();
  });

  const watch = (live) => (ends.push(live.subscribe(() => {})), live);
  const shows = (live, ...expected) =>
    until(
      `it shows ${expected}`,
      () => assert.deepEqual([ids(live), live.getSnapshot().total], [expected, expected.length]) ?? true,
    );
  const enter = async (team, user) => {
    const made = client(server, { person: { team, user } });
    await made.whenConnected();
    return made;
  };

  it("is that of all who come and go, in the team and in a document", async () => {
    const ana = await enter("people", "ana");
    const [team, plan] = [watch(ana.presence.watch()), watch(ana.presence.watch({ room: "plan" }))];
    await shows(team, "ana");
    const ben = await join(server, "plan", { person: { team: "people", user: "ben" } });
    await shows(team, "ana", "ben");
    await shows(plan, "ben");
    ben.destroy();
    await shows(plan);
    ben.client.destroy();
    await shows(team, "ana");
  });

  it("is what a person shows of themselves, also after a reconnect", async () => {
    const [ana, ben] = [await enter("shown", "ana"), await enter("shown", "ben")];
    const team = watch(ana.presence.watch());
    const entry = () => team.getSnapshot().users.find(({ user }) => user.id === "ben");
    const activity = { kind: "reviewing", label: "Reviews the plan" };
    await ben.presence.set({ status: "busy", activity });
    await until(
      "it is shown",
      () => assert.deepEqual([entry()?.status, entry()?.activity], ["busy", activity]) ?? true,
    );
    await ben.presence.set({ activity: null });
    await until("it is ended", () => assert.deepEqual([entry().status, entry().activity], ["busy", undefined]) ?? true);
    const lost = next(ben, "status");
    ben.socket.io.engine.close();
    await lost;
    await ben.presence.set({ status: "away" });
    await until("it is shown after the reconnect", () => entry().status === "away");
    await assert.rejects(ben.presence.set({ activity: { kind: "" } }), { code: "invalid" });
  });
});

/** The parts of a client that presence uses. */
class PresenceClient {
  connection = {};
  sent = [];
  #listeners = new Map();
  on = (event, listener) => this.#listeners.set(event, listener);
  off = (event) => this.#listeners.delete(event);
  subscribe = (event, listener) => (this.on(event, listener), () => this.off(event));
  emit = (event, payload) => this.#listeners.get(event)?.(payload);
  send = (event, payload, answered) => this.sent.push([event, payload, answered]);
  request = async (event, payload) => this.sent.push([event, payload]);
}

describe("a list of those who are present", () => {
  const entry = (id, more = {}) => ({ user: { id, name: id }, status: "online", rooms: [], ...more });

  it("is fetched after each connect, and follows those who come and go, also during the fetch", () => {
    const client = new PresenceClient();
    const live = new Presence(client).watch();
    const unsubscribe = live.subscribe(() => {});
    client.emit("presence_update", entry("ben"));
    client.emit("presence_update", entry("cleo", { status: "offline" }));
    const [[event, payload, answered]] = client.sent;
    assert.deepEqual([event, payload], ["presence_list", {}]);
    answered({ users: [entry("cleo"), entry("ana")], users_total: 2 });
    assert.deepEqual(ids(live), ["ana", "ben"]);
    client.emit("presence_update", entry("ana", { status: "offline" }));
    assert.deepEqual(ids(live), ["ben"]);
    client.emit("status", "connected");
    client.sent[1][2](new RealtimeError("overloaded"));
    assert.equal(live.getSnapshot().error.code, "overloaded");
    unsubscribe();
    client.emit("presence_update", entry("dora"));
    assert.deepEqual(ids(live), ["ben"]);
  });

  it("is fetched again in a large team, whose changes are not told one by one, and not with each change", async () => {
    const client = new PresenceClient();
    const live = new Presence(client).watch();
    const unsubscribe = live.subscribe(() => {});
    client.sent[0][2]({ users: [entry("ana")], users_total: 700 });
    assert.equal(live.getSnapshot().total, 700);
    for (let change = 0; change < 5; change += 1) client.emit("presence_changed", { users_total: 701 });
    await until("it is fetched", () => client.sent.length === 2);
    client.emit("presence_changed", { users_total: 702 });
    await new Promise(setImmediate);
    assert.equal(client.sent.length, 2);
    unsubscribe();
  });

  it("of a room has those who are in it", () => {
    const client = new PresenceClient();
    const live = new Presence(client).watch({ room: "plan" });
    live.subscribe(() => {});
    assert.deepEqual(client.sent[0][1], { room: "plan" });
    client.sent[0][2]({ users: [entry("ana", { rooms: ["plan"] })], users_total: 1 });
    client.emit("presence_update", entry("ben", { rooms: ["plan", "notes"] }));
    client.emit("presence_update", entry("ana", { rooms: ["notes"] }));
    assert.deepEqual(ids(live), ["ben"]);
  });

  it("of one's own is sent when it is set, and after each reconnect", () => {
    const client = new PresenceClient();
    const presence = new Presence(client);
    presence.set({ status: "busy" });
    presence.set({ activity: { kind: "typing", room: "plan" } });
    client.emit("status", "connected");
    const sent = client.sent.map(([, payload]) => payload);
    const activity = { kind: "typing", room: "plan" };
    assert.deepEqual(sent, [{ status: "busy" }, { activity }, { status: "busy", activity }]);
  });
});
