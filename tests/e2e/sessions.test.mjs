// The end of sessions before their tokens expire: revocations by the main service, and rights that a fresh token lacks.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { databases } from "@realtime-server/harness/databases";
import { suiteDatabase, suiteServer } from "@realtime-server/harness/suite";
import { claims, sign, token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";
import { Client, checkError, closeClients } from "./support/client.mjs";
import { Caller } from "./support/http.mjs";

/** The time within which a revocation takes effect, on any instance, and what a busy machine may take to tell it. */
const EFFECT_MS = 2_000;
const TOLD_MS = 2_000;

const REVOKE = "sessions/revoke";

for (const database of databases) {
  describe(`revoked sessions on ${database.name}`, () => {
    const server = suiteServer({ database, env: { JWT_LEEWAY_MS: 0 } });
    const platform = new Caller(server, { user: "platform", role: "service" });
    afterEach(closeClients);

    it("a login session is revoked by its sid: its sockets end within two seconds, and its token is refused everywhere", async () => {
      const [laptop, tab, phone] = ["laptop", "laptop", "phone"].map((sid) => ({ user: "ana", sid }));
      const [one, two, other] = await Promise.all([laptop, tab, phone].map((person) => watched(server, person)));
      const ben = await Client.connect(server, { person: { user: "ben" } });
      const present = async (payload) =>
        (await ben.ok("presence_list", payload)).users.map(({ user }) => user.id).sort();
      await Promise.all([ben, one].map((client) => client.join("revoked")));
      assert.deepEqual(await present({ room: "revoked" }), ["ana", "ben"]);
      const { revocation } = await platform.ok("POST", REVOKE, { sid: "laptop" });
      assert.equal(revocation.sid, "laptop");
      assert.ok(Date.parse(revocation.kept_until) > Date.parse(revocation.revoked_at) + 86_400_000);
      await Promise.all([one, two].map((client) => ended(client)));
      assert.equal(await server.metric("realtime_revocations_total"), 1);
      // A session is counted after it has ended.
      const revoked = 'realtime_sessions_revoked_total{by="revocation"}';
      await until("both are counted", async () => (await server.metric(revoked)) === 2);
      await until("and timed", async () => (await server.metric("realtime_revocation_seconds_count")) === 2);
      const seconds = await server.metric("realtime_revocation_seconds_sum");
      assert.ok(seconds > 0 && seconds < (2 * EFFECT_MS) / 1_000, `${seconds} s of two sessions`);
      const { error } = await refused(server, laptop);
      assert.equal(error.code, "session_revoked");
      assert.equal(other.socket.connected, true);
      await other.ok("join_room", "revoked");
      const refresh = await other.refusal("token_refresh", { token: token(laptop) });
      assert.equal(refresh.code, "session_revoked");
      other.close();
      await until("the rooms are left", async () => (await present({ room: "revoked" })).join() === "ben");
    });

    it("a user's sessions are revoked whose tokens were issued before a time, and newer tokens stay valid", async () => {
      const { iat } = claims();
      const [old, undated, fresh] = [iat - 120, undefined, iat - 30].map((iat) => ({ user: "cleo", iat }));
      const [older, without, newer] = await Promise.all([old, undated, fresh].map((person) => watched(server, person)));
      const ben = await watched(server, { user: "ben", iat: iat - 120 });
      const issued_before = new Date((iat - 60) * 1_000).toISOString();
      const { revocation } = await platform.ok("POST", REVOKE, { user: "cleo", issued_before });
      assert.deepEqual([revocation.user, revocation.issued_before], ["cleo", issued_before]);
      await Promise.all([older, without].map((client) => ended(client)));
      for (const person of [old, undated]) assert.equal((await refused(server, person)).error.code, "session_revoked");
      assert.deepEqual([newer.socket.connected, ben.socket.connected], [true, true]);
      // An earlier time takes nothing back, and without a time it is the present one.
      const earlier = new Date((iat - 600) * 1_000).toISOString();
      await platform.ok("POST", REVOKE, { user: "cleo", issued_before: earlier });
      assert.equal((await refused(server, old)).error.code, "session_revoked");
      await platform.ok("POST", REVOKE, { user: "cleo" });
      await ended(newer);
      assert.equal(ben.socket.connected, true);
    });

    it("a service of another team revokes nothing, and its answer is the same", async () => {
      const person = { user: "dan", sid: "shared", iat: claims().iat - 60 };
      const dan = await watched(server, person);
      const rival = new Caller(server, { user: "rival", team: "rival", role: "service" });
      const [known, unknown] = [
        await rival.ok("POST", REVOKE, { sid: "shared" }),
        await rival.ok("POST", REVOKE, { sid: "nobody's" }),
      ];
      assert.deepEqual(Object.keys(known.revocation), Object.keys(unknown.revocation));
      await rival.ok("POST", REVOKE, { user: "dan" });
      // A session of the service's own team shows that the revocations are in force.
      assert.equal((await refused(server, { ...person, team: "rival" })).error.code, "session_revoked");
      await Client.connect(server, { person });
      await dan.ok("join_room", "still");
      assert.deepEqual(dan.ends, []);
    });

    it("only a service may revoke, and a malformed request is refused with its field", async () => {
      for (const role of ["viewer", "editor", "admin"]) {
        const { status, code } = await new Caller(server, { user: "eve", role }).refusal("POST", REVOKE, {
          user: "ana",
        });
        assert.deepEqual([status, code], [403, "forbidden"]);
      }
      const time = new Date().toISOString();
      for (const [body, field] of [
        [{}, "sid"],
        [{ sid: "" }, "sid"],
        [{ sid: 7 }, "sid"],
        [{ sid: "a", user: "ana" }, "user"],
        [{ sid: "a", issued_before: time }, "issued_before"],
        [{ user: "ana", issued_before: "soon" }, "issued_before"],
        [{ user: "ana", issued_before: new Date(Date.now() + 3_600_000).toISOString() }, "issued_before"],
        ["not json", "body"],
      ]) {
        const error = await platform.refusal("POST", REVOKE, body);
        assert.deepEqual([error.status, error.code, error.field], [400, "invalid", field], JSON.stringify(body));
      }
    });

    it("a request that is repeated with its key answers the first result", async () => {
      const repeat = (key, user) => platform.send("POST", REVOKE, { user }, { "idempotency-key": key });
      const first = await repeat("revoke-1", "fay");
      const [second, third] = await Promise.all([repeat("revoke-1", "fay"), repeat("revoke-1", "fay")]);
      assert.deepEqual([second, third], [first, first]);
      assert.equal((await repeat("revoke-1", "gus")).status, 409);
    });

    it("a fresh token without the right to view ends the room within two seconds, and one that expired ends the session", async () => {
      const client = await watched(server, { user: "hal" });
      const room = await client.join("narrowed");
      const began = Date.now();
      await client.ok("token_refresh", { token: token({ user: "hal", role: "nobody" }) });
      await until("the room is closed", () => room.closed.length === 1);
      assert.equal(room.closed[0].code, "forbidden");
      assert.equal((await client.refusal("join_room", "narrowed")).code, "forbidden");
      assert.ok(Date.now() - began < EFFECT_MS + TOLD_MS, `${Date.now() - began} ms`);
      const late = await client.refusal("token_refresh", { token: token({ user: "hal", ttl_s: -1 }) });
      assert.equal(late.code, "token_expired");
    });

    it("revocations hold over kill -9 and a restart", async () => {
      const person = { user: "ivy", iat: claims().iat - 60, sid: "ivy's laptop" };
      await platform.ok("POST", REVOKE, { sid: "ivy's laptop" });
      await platform.ok("POST", REVOKE, { user: "jon" });
      await server.kill9();
      await server.launch();
      assert.equal((await refused(server, person)).error.code, "session_revoked");
      assert.equal((await refused(server, { user: "jon", iat: person.iat })).error.code, "session_revoked");
      await Client.connect(server, { person: { ...person, sid: "ivy's phone" } });
    });
  });

  // A SQLite file belongs to one server.
  if (database.name !== "Postgres") continue;
  describe(`revoked sessions of two servers on one ${database.name}`, () => {
    const start = suiteDatabase(database, closeClients);

    it("a revocation by one server ends the sessions of the other within two seconds", async () => {
      const here = await start({ REALTIME_INSTANCE: "here" });
      const there = await start({ REALTIME_INSTANCE: "there", DATABASE_URL: here.env.DATABASE_URL });
      const platform = new Caller(here, { user: "platform", role: "service" });
      const [ana, ben] = ["ana", "ben"].map((user) => ({ user, sid: `${user}'s`, iat: claims().iat - 60 }));
      const clients = await Promise.all([ana, ben].map((person) => watched(there, person)));
      // Both at once: neither hides the other from the server that reads them.
      const requests = [{ sid: "ana's" }, { user: "ben" }];
      await Promise.all(requests.map((body) => platform.ok("POST", REVOKE, body)));
      await Promise.all(clients.map((client) => ended(client)));
      for (const person of [ana, ben]) assert.equal((await refused(there, person)).error.code, "session_revoked");
    });
  });
}

/** A client of a person whose `session_ended` events are kept as `ends`. */
async function watched(server, person) {
  const client = await Client.connect(server, { person });
  client.ends = [];
  client.socket.on("session_ended", (payload) => client.ends.push(payload));
  return client;
}

/** Waits until a revoked session has ended, which has just been revoked: the client is told, and disconnected for good. */
async function ended(client) {
  const began = Date.now();
  await until("the session has ended", () => client.ends.length === 1 && client.disconnects.length === 1);
  const took_ms = Date.now() - began;
  assert.ok(took_ms < EFFECT_MS + TOLD_MS, `the session ended after ${took_ms} ms`);
  assert.deepEqual(client.ends, [{ code: "session_revoked" }]);
  assert.deepEqual(client.disconnects, ["io server disconnect"]);
}

/** The refusal of a person's token, on a socket and by HTTP, which have to be the same. */
async function refused(server, person) {
  const bearer = { authorization: `Bearer ${sign(claims(person))}` };
  const response = await server.get("/api/v1/documents", bearer);
  assert.equal(response.status, 401, "the token is accepted by HTTP");
  const { error } = await response.json();
  assert.equal(await Client.refused(server, { person }), error.code);
  return { error: checkError(error) };
}
