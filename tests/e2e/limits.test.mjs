// Budgets of rooms, connections, requests and updates: refused with a code, and for a while only. Section 1 of the
// protocol.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import * as Y from "yjs";
import { Client, closeClients } from "./support/client.mjs";
import { sqlite } from "./support/databases.mjs";
import { converged } from "./support/room.mjs";
import { Server } from "./support/server.mjs";
import { pause, until } from "./support/until.mjs";

describe("budgets", () => {
  let server;
  before(async () => {
    server = await Server.start({
      database: sqlite,
      env: {
        ROOMS_PER_SOCKET: 3,
        SOCKETS_PER_USER: 2,
        REQUESTS_PER_SECOND: 10,
        UPDATES_PER_SECOND: 50,
        UPDATES_BURST: 100,
      },
    });
  });
  afterEach(closeClients);
  after(() => server.stop());

  it("a socket joins so many rooms and not one more, until it leaves one", async () => {
    const ana = await Client.connect(server);
    for (const room of ["one", "two", "three", "three"]) await ana.ok("join_room", room);
    assert.equal((await ana.refusal("join_room", "four")).code, "too_many_rooms");
    await ana.ok("leave_room", "one");
    await ana.ok("join_room", "four");
    assert.equal(ana.welcome.limits.rooms, 3);
  });

  it("a user has so many connections and not one more, until one ends; other users are not concerned", async () => {
    const person = { user: "many" };
    const first = await Client.connect(server, { person });
    await Client.connect(server, { person });
    assert.equal(await Client.refused(server, { person }), "too_many_connections");
    await Client.connect(server, { person: { user: "another" } });
    first.close();
    await until("the place is free", () => Client.connect(server, { person }));
  });

  it("requests beyond the budget are rate_limited, and pass after the time that the answer names", async () => {
    const ana = await Client.connect(server);
    await ana.ok("join_room", "limited");
    const state_vector = Y.encodeStateVector(new Y.Doc());
    const ask = () => ana.request("document_sync", { room: "limited", state_vector });
    const acks = await Promise.all(Array.from({ length: 60 }, ask));
    const refused = acks.filter((ack) => !ack.ok);
    assert.ok(refused.length >= 30, `${refused.length} of 60 refused`);
    assert.ok(acks.length - refused.length >= 15, "the burst passes");
    for (const { error } of refused) {
      assert.equal(error.code, "rate_limited");
      assert.equal(error.retryable, true);
      assert.ok(error.retry_after_ms > 0 && error.retry_after_ms <= 5_000, `${error.retry_after_ms} ms`);
    }
    await pause(refused.at(-1).error.retry_after_ms + 50);
    assert.equal((await ask()).ok, true);
    assert.equal(ana.socket.connected, true);
  });

  it("updates have a budget of their own", async () => {
    const ana = await Client.connect(server);
    const room = await ana.join("updates");
    for (let number = 0; number < 90; number += 1) room.map.set("number", number);
    await room.saved();
    for (let number = 0; number < 100; number += 1) room.map.set("number", number);
    await until("some are refused", () => room.refusals.length > 0);
    await until("all are answered", () => room.unacknowledged === 0);
    for (const error of room.refusals) assert.equal(error.code, "rate_limited");
    assert.ok(room.refusals[0].retry_after_ms > 0);
    await ana.ok("document_sync", { room: "updates", state_vector: Y.encodeStateVector(room.doc) });
    await pause(room.refusals.at(-1).retry_after_ms + 50);
    room.refusals = [];
    await room.sync();
    await room.saved();
    const ben = await (await Client.connect(server, { person: { user: "ben" } })).join("updates");
    await converged([room, ben]);
  });

  it("who goes on regardless is cut", async () => {
    const flood = await Client.connect(server, { person: { user: "flood" }, reconnection: false });
    await until(
      "it is cut",
      () => {
        for (let number = 0; number < 200; number += 1) flood.socket.emit("document_sync", { room: "none" });
        return flood.disconnects.length > 0;
      },
      30_000,
    );
    const ana = await Client.connect(server);
    await ana.ok("join_room", "after the flood");
  });
});
