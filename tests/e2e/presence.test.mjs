// Presence of people: who is connected, in which rooms, with which status. Section "Presence" of the protocol.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { afterEach, describe, it } from "node:test";
import { adopt } from "@realtime-server/harness/process";
import { suiteServer } from "@realtime-server/harness/suite";
import { token } from "@realtime-server/harness/tokens";
import { pause, until } from "@realtime-server/harness/until";
import { Client, checkError, closeClients } from "./support/client.mjs";

/** For how long what a session contributed is shown after its end. */
const KEPT_MS = 5_000;
/** The most people in a team of whom everybody is told. */
const TEAM_MAX = 128;
const CROWD = 300;
const TOKEN_GRACE_MS = 500;

/** A client that notes all entries that it is told. */
class Watcher {
  /** All entries about a person, in their order. */
  told = [];
  summaries = [];

  constructor(client) {
    this.client = client;
    this.user = client.welcome.user.id;
    client.socket.on("presence_update", (entry) => this.told.push(entry));
    client.socket.on("presence_changed", (summary) => this.summaries.push(summary));
  }

  of(user) {
    return this.told.filter((entry) => entry.user.id === user);
  }

  /** Waits until the newest entry about `user` is as `expected`, which has some of its fields. */
  sees(user, expected) {
    return until(`${user} is seen as ${JSON.stringify(expected)}`, () => {
      const entry = this.of(user).at(-1);
      const fields = Object.fromEntries(Object.keys(expected).map((key) => [key, entry[key]]));
      assert.deepEqual(fields, expected);
      return entry;
    });
  }
}

// On SQLite alone: presence is held in memory and never stored.
describe("presence", () => {
  const server = suiteServer({ env: { TOKEN_GRACE_MS } });
  afterEach(closeClients);

  /** A tab of `user`. Each test has a team of its own. */
  const open = (team, user, person = {}) => Client.connect(server, { person: { team, user, ...person } });
  const watch = async (team, user = "watcher", person) => new Watcher(await open(team, user, person));
  /** Lets so much time pass that `watcher` is told whatever has happened before. */
  const settle = async (watcher) => {
    for (const status of ["away", "busy", "online"]) {
      await watcher.client.ok("presence_update", { status });
      await watcher.sees(watcher.user, { status });
    }
  };

  it("the team is told who comes, with the joined rooms, and so are the person's own tabs", async () => {
    const ben = await watch("told", "ben");
    const ana = await watch("told", "ana", { avatar_url: "https://example.org/ana.png" });
    const began = Date.now();
    await ana.client.join("a");
    await ana.client.join("b");
    for (const watcher of [ana, ben]) {
      const entry = await watcher.sees("ana", { status: "online", rooms: ["a", "b"] });
      const user = { id: "ana", name: "ana's name", avatar_url: "https://example.org/ana.png" };
      assert.deepEqual(entry.user, user);
      assert.deepEqual(Object.keys(entry).sort(), ["last_seen_at", "rooms", "status", "user"]);
      const seen = Date.parse(entry.last_seen_at);
      assert.ok(seen >= began - 5_000 && seen <= Date.now(), entry.last_seen_at);
    }
    await ana.client.ok("leave_room", "a");
    await ben.sees("ana", { rooms: ["b"] });
    const stranger = await open("told elsewhere", "eve");
    assert.deepEqual(
      (await stranger.ok("presence_list", {})).users.map(({ user }) => user.id),
      ["eve"],
    );
  });

  it("a reload is seen by nobody", async () => {
    const ben = await watch("reload", "ben");
    let page = await open("reload", "ana");
    await page.join("a");
    const activity = { kind: "editing", room: "a", label: "the title" };
    await page.ok("presence_update", { status: "busy", activity });
    await ben.sees("ana", { status: "busy", rooms: ["a"], activity });
    const told = ben.of("ana").length;
    for (let reload = 0; reload < 3; reload += 1) {
      page.close();
      await settle(ben);
      page = await open("reload", "ana");
      await page.join("a");
      await page.ok("presence_update", { status: "busy", activity });
    }
    // Somebody who leaves after the last reload is seen to be offline: by then Ana would have been as well.
    const dan = await open("reload", "dan");
    await ben.sees("dan", { status: "online" });
    dan.close();
    await ben.sees("dan", { status: "offline", rooms: [] });
    assert.deepEqual(ben.of("ana").slice(told), []);
    const { users } = await ben.client.ok("presence_list", { room: "a" });
    assert.deepEqual(
      users.map(({ user, status }) => [user.id, status]),
      [["ana", "busy"]],
    );
  });

  it("a person is offline five seconds after the last tab has closed, and not before", async () => {
    const ben = await watch("last tab", "ben");
    const [one, two] = [await open("last tab", "ana"), await open("last tab", "ana")];
    await one.join("a");
    await two.join("b");
    await ben.sees("ana", { rooms: ["a", "b"] });
    one.close();
    await ben.sees("ana", { status: "online", rooms: ["b"] });
    const closed = Date.now();
    two.close();
    const { last_seen_at } = await ben.sees("ana", { status: "offline", rooms: [] });
    assert.ok(Date.now() - closed > KEPT_MS - 100, `after ${Date.now() - closed} ms`);
    assert.ok(Math.abs(Date.parse(last_seen_at) - closed) < KEPT_MS - 1_000, last_seen_at);
    const { users } = await ben.client.ok("presence_list", {});
    assert.deepEqual(
      users.map(({ user }) => user.id),
      ["ben"],
    );
  });

  it("busy in any tab wins, then online; the activity is the one set last", async () => {
    const ben = await watch("tabs", "ben");
    const [one, two] = [await open("tabs", "ana"), await open("tabs", "ana")];
    await one.ok("presence_update", { status: "away" });
    await two.ok("presence_update", { status: "away", activity: { kind: "reading" } });
    await ben.sees("ana", { status: "away", activity: { kind: "reading" } });
    await one.ok("presence_update", { status: "busy", activity: { kind: "typing" } });
    await ben.sees("ana", { status: "busy", activity: { kind: "typing" } });
    await two.ok("presence_update", { status: "online" });
    await one.ok("presence_update", { status: "away", activity: null });
    await ben.sees("ana", { status: "online", activity: { kind: "reading" } });
    await one.ok("presence_update", { status: "busy" });
    await ben.sees("ana", { status: "busy" });
    one.close();
    await ben.sees("ana", { status: "online", activity: { kind: "reading" } });
    assert.ok(ben.of("ana").every(({ status }) => status !== "offline"));
  });

  it("rooms and activities are hidden from who may not view them, everywhere", async () => {
    const team = "hidden";
    const [ben, vic] = [await watch(team, "ben"), await watch(team, "vic", { documents: { "secret*": "none" } })];
    const ana = await open(team, "ana");
    for (const name of ["open", "secret plan"]) await ana.join(name);
    await ana.ok("presence_update", { activity: { kind: "editing", room: "secret plan", label: "a secret" } });
    const activity = { kind: "editing", room: "secret plan", label: "a secret" };
    await ben.sees("ana", { rooms: ["open", "secret plan"], activity });
    await vic.sees("ana", { rooms: ["open"], activity: undefined });
    const of = ({ users }) => users.find(({ user }) => user.id === "ana");
    const listed = of(await vic.client.ok("presence_list", { room: "open" }));
    const { members } = await vic.client.ok("join_room", "open");
    const bearer = { authorization: `Bearer ${token({ team, user: "vic", documents: { "secret*": "none" } })}` };
    const byHttp = of(await (await server.get("/api/v1/presence", bearer)).json());
    for (const entry of [listed, of({ users: members }), byHttp]) {
      assert.deepEqual([entry.rooms, entry.activity], [["open"], undefined]);
    }
    assert.ok(!JSON.stringify(vic.told).includes("secret"));
    assert.equal((await vic.client.refusal("presence_list", { room: "secret plan" })).code, "forbidden");
    const about = { activity: { kind: "editing", room: "secret plan" } };
    assert.equal((await vic.client.refusal("presence_update", about)).code, "forbidden");
    const response = await server.get("/api/v1/documents/secret%20plan/presence", bearer);
    assert.equal(response.status, 403);
    assert.equal(checkError((await response.json()).error).code, "forbidden");
  });

  it("after a token_refresh the visible rooms are those of the new rights", async () => {
    const team = "refreshed";
    const [ben, vic] = [await watch(team, "ben"), await watch(team, "vic", { documents: { plan: "none" } })];
    const ana = await open(team, "ana");
    await ana.join("plan");
    await ana.ok("presence_update", { activity: { kind: "editing", room: "plan" } });
    await ben.sees("ana", { rooms: ["plan"] });
    await vic.sees("ana", { rooms: [], activity: undefined });
    await vic.client.ok("token_refresh", { token: token({ team, user: "vic" }) });
    await vic.sees("ana", { rooms: ["plan"], activity: { kind: "editing", room: "plan" } });
    // Ana herself may not view it any more.
    await ana.ok("token_refresh", { token: token({ team, user: "ana", documents: { plan: "none" } }) });
    await ben.sees("ana", { status: "online", rooms: [], activity: undefined });
  });

  it("a document that is deleted is no longer among anybody's rooms", async () => {
    const ben = await watch("deleted", "ben");
    const ana = await open("deleted", "ana", { role: "admin" });
    for (const name of ["doomed", "kept"]) await ana.join(name);
    await ben.sees("ana", { rooms: ["doomed", "kept"] });
    const headers = { authorization: `Bearer ${token({ team: "deleted", user: "ana", role: "admin" })}` };
    const response = await fetch(`${server.url}/api/v1/documents/doomed`, { method: "DELETE", headers });
    assert.equal(response.status, 200);
    await ben.sees("ana", { rooms: ["kept"] });
  });

  it("the ack of a join has an entry of each person in the room, with status and rooms", async () => {
    const [one, two] = [await open("members", "ana"), await open("members", "ana")];
    await one.join("a");
    await two.join("a");
    await two.join("b");
    await two.ok("presence_update", { status: "busy" });
    const ben = await open("members", "ben");
    const { members, members_total } = await ben.ok("join_room", "a");
    const seen = members.map(({ user, status, rooms }) => [user.id, status, rooms]);
    assert.deepEqual(seen.sort(), [
      ["ana", "busy", ["a", "b"]],
      ["ben", "online", ["a"]],
    ]);
    assert.equal(members_total, 2);
  });

  it("the list by HTTP is the list of presence_list", async () => {
    const [ana, ben] = [await open("http", "ana"), await open("http", "ben")];
    await ana.join("a/b");
    await ben.join("other");
    const headers = { authorization: `Bearer ${token({ team: "http", user: "cai" })}` };
    for (const [path, payload, total] of [
      ["/api/v1/presence", {}, 2],
      ["/api/v1/documents/a%2Fb/presence", { room: "a/b" }, 1],
    ]) {
      const response = await server.get(path, headers);
      assert.equal(response.status, 200);
      assert.equal(response.headers.get("cache-control"), "no-store");
      const list = await response.json();
      assert.equal(list.users_total, total);
      const { users, users_total } = await ben.ok("presence_list", payload);
      const text = ({ user, status, rooms }) => JSON.stringify([user, status, rooms]);
      assert.deepEqual([list.users.map(text), list.users_total], [users.map(text), users_total]);
    }
    for (const path of ["/api/v1/presence", "/api/v1/documents/a/presence"]) {
      assert.equal((await server.get(path)).status, 401);
    }
    assert.equal((await server.get("/api/v1/documents/a%2Cb/presence", headers)).status, 400);
  });

  it("a client whose process is killed is offline like one that disconnects", async () => {
    const ben = await watch("killed", "ben");
    const program = `
      import { io } from "socket.io-client";
      const socket = io(process.argv[1], { auth: { token: process.argv[2] }, transports: ["websocket"] });
      socket.emit("join_room", "a");`;
    const parameters = [server.url, token({ team: "killed", user: "ana" })];
    const child = spawn(process.execPath, ["--input-type=module", "--eval", program, ...parameters], {
      cwd: new URL(".", import.meta.url),
      stdio: "ignore",
    });
    const adopted = adopt(child);
    await ben.sees("ana", { status: "online", rooms: ["a"] });
    child.kill("SIGKILL");
    await adopted.ended();
    await ben.sees("ana", { status: "offline", rooms: [] });
  });

  it("a client that loses its network and returns is online all the time", async () => {
    const ben = await watch("network", "ben");
    const ana = await open("network", "ana");
    await ana.join("a");
    await ben.sees("ana", { rooms: ["a"] });
    const told = ben.of("ana").length;
    const { session } = ana.welcome;
    ana.socket.io.reconnection(false);
    ana.breakTransport();
    await settle(ben);
    ana.socket.connect();
    await until("Ana has a new session", () => ana.welcome.session.id !== session.id);
    const dan = await open("network", "dan");
    await ben.sees("dan", { status: "online" });
    dan.close();
    await ben.sees("dan", { status: "offline" });
    assert.deepEqual(ben.of("ana").slice(told), []);
  });

  it("a person whose session ends because the token has expired is offline", async () => {
    const ben = await watch("expired", "ben");
    // Long enough to connect and to join on a slow machine.
    const ana = await open("expired", "ana", { ttl_s: 5 });
    await ana.join("a");
    await ben.sees("ana", { rooms: ["a"] });
    await until("the session has ended", () => ana.disconnects.length > 0);
    await ben.sees("ana", { status: "offline", rooms: [] });
  });

  it("who changes the status without end reaches the others at a limited rate, and the newest counts", async () => {
    const ben = await watch("flood", "ben");
    const began = performance.now();
    const eve = await open("flood", "eve");
    await ben.sees("eve", { status: "online" });
    const CHANGES = 150;
    for (let change = 0; change < CHANGES; change += 1) {
      await eve.ok("presence_update", { status: ["away", "online"][change % 2], activity: { kind: `${change}` } });
      await pause(20);
    }
    await ben.sees("eve", { activity: { kind: `${CHANGES - 1}` } });
    const told = ben.of("eve").length;
    // Ten at once, and one each two seconds, of which a slow machine takes many for so many changes.
    const allowed = 18 + (performance.now() - began) / 2_000;
    assert.ok(told <= allowed, `${told} entries for ${CHANGES} changes, ${allowed.toFixed(0)} allowed`);
  });

  it("a crowd that arrives costs each member few messages, and all are listed", async () => {
    const watcher = await watch("crowd", "watcher");
    await watcher.client.join("hall");
    const names = Array.from({ length: CROWD }, (_, number) => `user ${number}`);
    const began = performance.now();
    const crowd = await Promise.all(names.map((user) => open("crowd", user)));
    const joins = await Promise.all(crowd.map((client) => client.ok("join_room", "hall")));
    const counted = () => watcher.summaries.at(-1)?.users_total === CROWD + 1;
    await until("the watcher is told how many there are", counted);
    const entries = watcher.told.length;
    assert.ok(entries <= 2 * TEAM_MAX, `${entries} entries`);
    // In a large team changes are collected for a second.
    const most = 10 + (performance.now() - began) / 1_000;
    assert.ok(watcher.summaries.length <= most, `${watcher.summaries.length} summaries, ${most.toFixed(0)} allowed`);
    for (const [place, { members }] of joins.entries()) {
      assert.ok(members.length <= 100);
      assert.ok(
        members.some(({ user }) => user.id === names[place]),
        "the list has who joins",
      );
    }
    assert.ok(joins.some(({ members_total }) => members_total === CROWD + 1));
    const { users, users_total } = await watcher.client.ok("presence_list", { room: "hall" });
    assert.deepEqual([users.length, users_total], [CROWD + 1, CROWD + 1]);
    // In a small room people still see each other at once.
    const [one, two] = crowd.map((client) => new Watcher(client));
    await one.client.join("small");
    await two.client.join("small");
    await one.sees(names[1], { rooms: ["hall", "small"] });
    await two.client.ok("presence_update", { status: "busy" });
    await one.sees(names[1], { status: "busy" });
    assert.equal(watcher.of(names[1]).filter(({ status }) => status === "busy").length, 0);
  });
});
