// The main service is asked whether tokens are still active (RFC 7662). SQLite only: nothing of it is in the database.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { sqlite } from "@realtime-server/harness/databases";
import { Introspection } from "@realtime-server/harness/introspection";
import { Server } from "@realtime-server/harness/server";
import { SECRET, sign, claims, token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";
import { Caller } from "./support/http.mjs";

const TTL_MS = 1_000;

describe("token introspection", () => {
  let service;
  let server;
  let accepting;
  before(async () => {
    service = await Introspection.serve();
    const env = {
      SESSION_VALIDATION_URL: service.url,
      SESSION_VALIDATION_CLIENT_ID: "realtime server",
      SESSION_VALIDATION_CLIENT_SECRET: "a:secret",
      SESSION_VALIDATION_TTL_MS: TTL_MS,
    };
    server = await Server.start({ database: sqlite, env });
    const otherwise = {
      SESSION_VALIDATION_URL: service.url,
      SESSION_VALIDATION_TOKEN: "bearer-of-the-server",
      SESSION_VALIDATION_ON_FAILURE: "accept",
    };
    accepting = await Server.start({ database: sqlite, env: otherwise });
  });
  afterEach(() => {
    closeClients();
    service.failing = undefined;
  });
  after(async () => {
    await Promise.all([server, accepting].map((one) => one.stop()));
    service.close();
  });

  /** A token that no other test uses. */
  let number = 0;
  const fresh = (person) => token({ ...person, jti: `token ${(number += 1)}` });

  const outcomes = (outcome, of = server) => of.metric(`realtime_introspections_total{outcome="${outcome}"}`);

  it("a token is asked about when its client connects, with the server's credentials", async () => {
    const [mine, other] = [fresh(), fresh()];
    await Client.connect(server, { token: mine });
    const basic = Buffer.from("realtime+server:a%3Asecret").toString("base64");
    const [asked] = service.requests.filter(({ token }) => token === mine);
    assert.deepEqual(asked, { method: "POST", path: "/introspect", authorization: `Basic ${basic}`, token: mine });
    await Client.connect(accepting, { token: other });
    const { authorization } = service.requests.find(({ token }) => token === other);
    assert.equal(authorization, "Bearer bearer-of-the-server");
  });

  it("a token that is not active is refused on sockets and by HTTP", async () => {
    // The server that keeps answers for the usual 30 s: a second is soon over on a slow machine.
    const inactive = fresh();
    service.end(inactive);
    assert.equal(await Client.refused(accepting, { token: inactive }), "session_revoked");
    const response = await accepting.get("/api/v1/documents", { authorization: `Bearer ${inactive}` });
    assert.equal(response.status, 401);
    assert.equal((await response.json()).error.code, "session_revoked");
    assert.equal(service.asked(inactive), 1, "the second answer is that of the first");
    assert.deepEqual([await outcomes("inactive", accepting), await outcomes("cached", accepting)], [1, 1]);
  });

  it("an open session ends when its token is not active any more, and others stay", async () => {
    const [mine, other] = [fresh(), fresh({ user: "ben" })];
    const [ana, ben] = await Promise.all([mine, other].map((token) => Client.connect(server, { token })));
    const ends = [];
    ana.socket.on("session_ended", (payload) => ends.push(payload));
    service.end(mine);
    await until("the session has ended", () => ends.length === 1 && ana.disconnects.length === 1);
    assert.deepEqual(ends, [{ code: "session_revoked" }]);
    const ended = 'realtime_sessions_revoked_total{by="introspection"}';
    await until("it is counted, which is after its end", async () => (await server.metric(ended)) === 1);
    assert.deepEqual(ana.disconnects, ["io server disconnect"]);
    assert.equal(ben.socket.connected, true);
    const asked = service.asked(other);
    await until("the other session is asked about again", () => service.asked(other) > asked);
    assert.equal(ben.socket.connected, true);
  });

  it("many clients and requests with one token ask once at a time", async () => {
    // As above: the answer has to be kept until all of them have connected.
    const shared = fresh();
    let answer;
    service.waiting = new Promise((resolve) => (answer = resolve));
    const clients = Array.from({ length: 10 }, () => Client.connect(accepting, { token: shared }));
    const request = accepting.get("/api/v1/documents", { authorization: `Bearer ${shared}` });
    await until("the service is asked", () => service.asked(shared) > 0);
    answer();
    service.waiting = undefined;
    await Promise.all([...clients, request]);
    assert.equal(service.asked(shared), 1);
  });

  it("strangers cause no request", async () => {
    const [forged, expired] = [sign(claims(), `${SECRET}!`), fresh({ ttl_s: -60 })];
    assert.equal(await Client.refused(server, { token: forged }), "unauthorized");
    assert.equal(await Client.refused(server, { token: expired }), "token_expired");
    assert.deepEqual(
      [forged, expired].map((token) => service.asked(token)),
      [0, 0],
    );
  });

  it("while the service fails, who is connected stays, refreshes and reconnects, and newcomers try again later", async () => {
    const mine = fresh({ user: "dora" });
    const dora = await Client.connect(server, { token: mine });
    service.failing = 503;
    const asked = service.requests.length;
    await until("it was asked in vain, several times", () => service.requests.length > asked + 2);
    assert.equal(await Client.refused(server, { token: fresh() }), "overloaded");
    assert.equal((await new Caller(server, { user: "eve" }).send("GET", "documents")).status, 503);
    await dora.ok("token_refresh", { token: fresh({ user: "dora" }) });
    dora.breakTransport();
    await until("she is connected again", () => dora.disconnects.length === 1 && dora.socket.connected);
    await dora.ok("join_room", "during the outage");
    // The other server is configured to accept them.
    await Client.connect(accepting, { token: fresh() });
    service.failing = undefined;
    await until("newcomers are accepted again", () => Client.connect(server, { token: fresh() }));
    assert.equal(dora.socket.connected, true);
  });

  it("a service that fails is left alone after a while", async () => {
    service.failing = 500;
    const distinct = Array.from({ length: 40 }, () => fresh());
    const asked = service.requests.length;
    for (const newcomer of distinct) assert.equal(await Client.refused(server, { token: newcomer }), "overloaded");
    const requests = service.requests.length - asked;
    assert.ok(requests < 20, `${requests} requests for 40 newcomers`);
    assert.match(server.log, /the main service does not answer about sessions/);
    assert.ok((await outcomes("failed")) >= 5, "failures are counted");
    assert.ok((await outcomes("left_alone")) >= 20, "and those who were not asked about");
    assert.equal(await server.metric("realtime_introspection_circuit_open"), 1);
    service.failing = undefined;
    const active = await outcomes("active");
    await until("it is asked again", () => Client.connect(server, { token: fresh() }));
    assert.ok((await outcomes("active")) > active);
    assert.equal(await server.metric("realtime_introspection_circuit_open"), 0);
  });
});
