// The connection: it reconnects by itself, with a fresh token, and tells its state.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { Backoff, RealtimeError } from "@realtime-server/client";
import { sqlite } from "@realtime-server/harness/databases";
import { Network } from "@realtime-server/harness/network";
import { Server } from "@realtime-server/harness/server";
import { suiteServer } from "@realtime-server/harness/suite";
import { token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";
import { client, closeAll, join, open, text } from "./support/scene.mjs";

describe("a connection", () => {
  const server = suiteServer();
  afterEach(closeAll);

  const connected = (it) => until("it is connected", () => it.status === "connected" && it);
  const disconnected = (it) => until("the client has given up", () => it.status === "disconnected" && it);

  it("tells the user, the rights and the limits", async () => {
    const { connection } = await connected(client(server, { person: { user: "ana", role: "editor" } }));
    assert.equal(connection.protocol, 1);
    assert.deepEqual(connection.user, { ...connection.user, id: "ana", name: "ana's name" });
    assert.match(connection.user.color, /^#/);
    assert.deepEqual(connection.rights, ["view", "comment", "edit"]);
    assert.ok(connection.limits.update_bytes > 0);
  });

  for (const transport of ["websocket", "polling"]) {
    it(`works over ${transport} alone`, async () => {
      const provider = await join(server, `over-${transport}`, { transports: [transport] });
      text(provider).insert(0, "hello");
      await provider.whenSaved();
    });
  }

  it("waits for a server that is not reachable yet, and tells that", async () => {
    const network = await Network.to(server);
    network.cut();
    const waiting = client(network);
    await until("an attempt has failed", () => waiting.state.error);
    assert.equal(waiting.status, "connecting");
    assert.equal(waiting.state.error.code, "disconnected");
    assert.ok(waiting.state.error instanceof RealtimeError && waiting.state.error.retryable);
    await until("the next attempt is announced", () => waiting.state.retryAt > Date.now());
    network.mend();
    await connected(waiting);
    assert.equal(waiting.state.error, undefined);
    network.close();
  });

  it("tries at once when the application asks for it", async () => {
    const network = await Network.to(server);
    network.cut();
    const waiting = client(network, { backoff: { firstMs: 60_000, maxMs: 60_000 } });
    await until("it waits", () => waiting.state.retryAt > Date.now() + 10_000);
    network.mend();
    waiting.connect();
    assert.deepEqual([waiting.status, waiting.state.retryAt], ["connecting", undefined]);
    await connected(waiting);
    network.close();
  });

  it("reconnects by itself, and asks for a token each time", async () => {
    const network = await Network.to(server);
    const reasons = [];
    const returning = client(network, { token: (reason) => (reasons.push(reason), token()) });
    await connected(returning);
    network.cut();
    await until("it has noticed", () => returning.status === "connecting");
    network.mend();
    await connected(returning);
    assert.ok(reasons.length >= 2);
    assert.ok(reasons.every((reason) => reason === "connect"));
    network.close();
  });

  it("reconnects after a stop of the server, and after a kill", async () => {
    const returning = await connected(client(server));
    for (const end of ["stop", "kill9"]) {
      await server[end]();
      await until("it has noticed", () => returning.status === "connecting");
      await server.launch();
      await connected(returning);
    }
  });

  it("stops at a token that the server does not accept, until the application connects again", async () => {
    let valid = false;
    const asked = [];
    const refused = client(server, { token: () => (asked.push(valid), valid ? token() : "no token at all") });
    await disconnected(refused);
    assert.equal(refused.state.error.code, "unauthorized");
    assert.equal(asked.length, 2, "one more token was tried, and no third");
    valid = true;
    refused.connect();
    await connected(refused);
  });

  it("asks at once for another token when one has expired before it arrived", async () => {
    const tokens = [token({ ttl_s: -3600 }), token()];
    const late = client(server, { token: () => tokens.shift() });
    await connected(late);
    assert.equal(tokens.length, 0);
  });

  it("tries again when the application cannot give a token, unless nobody is signed in", async () => {
    let failures = 0;
    const patient = client(server, {
      token() {
        if (failures < 2) throw new Error(`the login service failed ${++failures} times`);
        return token();
      },
    });
    await connected(patient);
    assert.equal(failures, 2);

    const signedOut = client(server, {
      token: () => Promise.reject(new RealtimeError("unauthorized", "nobody is signed in")),
    });
    await disconnected(signedOut);
    assert.equal(signedOut.state.error.message, "nobody is signed in");
  });

  it("renews a token before it expires, without a break", async () => {
    const reasons = [];
    const provider = await join(server, "renewed", {
      token: (reason) => (reasons.push(reason), token({ ttl_s: reasons.length === 1 ? 4 : 3600 })),
    });
    const { client } = provider;
    const session = client.connection.session.id;
    const statuses = [];
    client.on("status", (status) => statuses.push(status));
    const soon = Date.now() + 60_000;
    await until("the session lasts longer", () => Date.parse(client.connection.session.expires_at) > soon);
    assert.deepEqual(reasons, ["connect", "renew"]);
    assert.equal(client.connection.session.id, session);
    text(provider).insert(0, "still here");
    await provider.whenSaved();
    assert.deepEqual(statuses, []);
  });

  it("renews tokens of a few seconds no more often than needed", async () => {
    let renewals = 0;
    const busy = client(server, {
      token(reason) {
        if (reason === "renew") renewals += 1;
        return token({ ttl_s: 5 });
      },
    });
    const { session } = (await connected(busy)).connection;
    await until("two tokens have expired", () => Date.now() > Date.parse(session.expires_at) + 4_000);
    assert.equal(busy.connection.session.id, session.id);
    assert.ok(renewals >= 2 && renewals <= 6, `${renewals} renewals in 9 s`);
  });

  it("begins a new session when the token could not be renewed in time", async () => {
    // A server that ends a session as soon as its token has expired.
    const strict = await Server.start({ database: sqlite, env: { JWT_LEEWAY_MS: 0, TOKEN_GRACE_MS: 0 } });
    let available = true;
    const provider = await join(strict, "expired", {
      token(reason) {
        if (!available) throw new Error("the login service is away");
        if (reason === "connect") available = false;
        // Long enough to connect with it on a slow machine.
        return token({ ttl_s: 5 });
      },
    });
    const session = provider.client.connection.session.id;
    await until("the session has ended", () => provider.client.status === "connecting");
    text(provider).insert(0, "written meanwhile");
    available = true;
    await provider.whenSaved();
    assert.notEqual(provider.client.connection.session.id, session);
    await strict.kill9();
  });

  it("loses rights that the renewed token does not have, at once", async () => {
    let role = "editor";
    const provider = await join(server, "demoted", {
      token: () => token({ role, ttl_s: role === "editor" ? 3 : 3600 }),
    });
    assert.equal(provider.readOnly, false);
    role = "viewer";
    await until("it is read-only", () => provider.readOnly);
    assert.equal(provider.state.permission, "view");
    assert.deepEqual(provider.client.connection.rights, ["view"]);
  });

  it("changes the user when the renewed token is that of another user", async () => {
    let user = "ana";
    const person = await connected(client(server, { token: () => token({ user, ttl_s: user === "ana" ? 3 : 3600 }) }));
    user = "ben";
    await until("it is Ben", () => person.connection?.user.id === "ben");
  });

  it("is ended and started by the application", async () => {
    const own = await connected(client(server));
    own.disconnect();
    assert.equal(own.status, "disconnected");
    assert.equal(own.state.error, undefined);
    own.connect();
    own.disconnect();
    own.connect();
    await connected(own);
  });

  it("refuses an address with a path, which would be a namespace", () => {
    assert.throws(() => client({ url: `${server.url}/realtime` }), { code: "invalid", field: "url" });
  });

  it("is not started by itself where autoConnect is false", async () => {
    const waiting = client(server, { autoConnect: false });
    assert.equal(waiting.status, "disconnected");
    waiting.connect();
    await connected(waiting);
  });
});

describe("a request", () => {
  const server = suiteServer();
  afterEach(closeAll);

  const failure = (promise) =>
    promise.then(
      () => assert.fail("it succeeded"),
      (error) => error,
    );

  it("fails with the code, the field and the hint of the server", async () => {
    const { client: own } = await join(server, "requests");
    const invalid = await failure(own.request("join_room", { room: "a,b" }));
    assert.ok(invalid instanceof RealtimeError);
    assert.deepEqual([invalid.code, invalid.field, invalid.retryable], ["invalid", "room", false]);
    const conflict = await failure(
      own.request("document_sync", { room: "not joined", state_vector: new Uint8Array([0]) }),
    );
    assert.equal(conflict.code, "conflict");
    const burst = Array.from({ length: 2_000 }, () => failureOrNothing(own.request("leave_room", { room: "nowhere" })));
    const limited = (await Promise.all(burst)).find((error) => error?.code === "rate_limited");
    assert.ok(limited?.retryable);
    assert.ok(limited.retryAfterMs > 0);
  });

  const failureOrNothing = (promise) =>
    promise.then(
      () => undefined,
      (error) => error,
    );

  it("fails as disconnected at once without a connection, and when the connection ends", async () => {
    const network = await Network.to(server);
    const own = client(network, { autoConnect: false });
    assert.equal((await failure(own.request("leave_room", { room: "x" }))).code, "disconnected");
    own.connect();
    await until("it is connected", () => own.connection);
    const lost = failure(own.request("leave_room", { room: "x" }));
    network.cut();
    assert.equal((await lost).code, "disconnected");
    network.close();
  });

  it("is refused where a second provider would open the same room", async () => {
    const { client: own } = await join(server, "twice");
    assert.throws(() => open(own, "twice"), { code: "conflict" });
  });
});

describe("the wait between attempts", () => {
  it("doubles, with jitter, up to 30 seconds, and is short again after a success", () => {
    const backoff = new Backoff();
    const waits = Array.from({ length: 12 }, () => backoff.next());
    waits.forEach((wait, attempt) => {
      const longest = Math.min(30_000, 1_000 * 2 ** attempt);
      assert.ok(wait >= longest / 2 && wait <= longest, `wait ${attempt} was ${wait}`);
    });
    assert.ok(new Set(Array.from({ length: 20 }, () => new Backoff().next())).size > 10, "clients wait differently");
    backoff.reset();
    assert.ok(backoff.next() <= 1_000);
  });
});
