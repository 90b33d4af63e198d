// Budgets of rooms, connections, requests and updates: beyond them a request is refused with a code, and only for a
// while. Section 1 of the protocol.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import * as Y from "yjs";
import { sqlite } from "@realtime-server/harness/databases";
import { suiteServer } from "@realtime-server/harness/suite";
import { token } from "@realtime-server/harness/tokens";
import { pause, until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";
import { chain } from "./support/crafted.mjs";
import { RawSocket } from "./support/raw.mjs";
import { converged } from "./support/room.mjs";

describe("budgets", () => {
  const server = suiteServer({
    database: sqlite,
    env: {
      ROOMS_PER_SOCKET: 3,
      SOCKETS_PER_USER: 2,
      REQUESTS_PER_SECOND: 10,
      // So slow that no machine sends the burst and as much again more slowly.
      UPDATES_PER_SECOND: 5,
      UPDATES_BURST: 100,
    },
  });
  afterEach(closeClients);

  it("a socket joins no more rooms than its limit, until it leaves one", async () => {
    const ana = await Client.connect(server);
    for (const room of ["one", "two", "three", "three"]) await ana.ok("join_room", room);
    assert.equal((await ana.refusal("join_room", "four")).code, "too_many_rooms");
    await ana.ok("leave_room", "one");
    await ana.ok("join_room", "four");
    assert.equal(ana.welcome.limits.rooms, 3);
  });

  it("a user has no more connections than the limit, until one ends; other users are not affected", async () => {
    const person = { user: "many" };
    const first = await Client.connect(server, { person });
    await Client.connect(server, { person });
    assert.equal(await Client.refused(server, { person }), "too_many_connections");
    await Client.connect(server, { person: { user: "another" } });
    first.close();
    await until("the place is free", () => Client.connect(server, { person }));
  });

  it("requests beyond the budget are rate_limited, and are accepted after the time in the answer", async () => {
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

  it("a client that ignores refusals is cut", async () => {
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

/** Sends all `updates` at once, one event each, as socket.io-client does with events that were emitted while it was offline. */
function sendAll(client, room, updates) {
  const outcome = { accepted: 0, refused: 0, answered: 0 };
  for (const update of updates) {
    client.socket.emit("document_update", { room, update }, (ack) => {
      outcome.answered += 1;
      if (ack.ok) outcome.accepted += 1;
      // An update that builds upon a refused one is pending, as long as there is room.
      else if (["rate_limited", "overloaded"].includes(ack.error.code)) outcome.refused += 1;
    });
  }
  return outcome;
}

/** So many updates of as many clients, so that none depends on another one. */
function independent(count) {
  return Array.from({ length: count }, (_, index) => {
    const doc = new Y.Doc();
    doc.clientID = index + 1;
    doc.getMap("map").set(`${index % 100}`, index);
    return Y.encodeStateAsUpdate(doc);
  });
}

/**
 * Sends all `updates` at once, and each refused one again exactly after the time that the server has told, until all are
 * accepted or the client is disconnected.
 */
async function sendObediently(client, room, updates) {
  const refusals = updates.map(() => 0);
  const failures = [];
  let accepted = 0;
  const send = (update, index) => {
    client.socket.emit("document_update", { room, update }, (ack) => {
      if (ack.ok) accepted += 1;
      else if (ack.error.code === "rate_limited") {
        refusals[index] += 1;
        setTimeout(send, ack.error.retry_after_ms, update, index);
      } else failures.push(ack.error);
    });
  };
  updates.forEach(send);
  const isOver = () => accepted + failures.length === updates.length || client.disconnects.length > 0;
  await until("all are accepted", isOver, 60_000);
  return { refusals, failures };
}

describe("queued updates and floods", () => {
  const server = suiteServer({ database: sqlite });
  afterEach(closeClients);

  for (const transports of [["websocket"], ["polling"]]) {
    it(`20,000 queued updates sent in one go over ${transports} are all answered, and the client is not cut`, async () => {
      const room = `queued over ${transports}`;
      const ana = await Client.connect(server, { transports });
      await ana.ok("join_room", room);
      const outcome = sendAll(ana, room, chain(20_000));
      await until("all are answered", () => outcome.answered === 20_000 || ana.disconnects.length > 0, 60_000);
      assert.deepEqual(ana.disconnects, []);
      assert.ok(outcome.accepted >= 5_000, `${outcome.accepted} accepted`);
      assert.ok(outcome.refused > 0, "the budget still holds");
      assert.equal(outcome.accepted + outcome.refused, 20_000);
    });

    it(`a client that floods over ${transports} and reads the refusals is cut`, async () => {
      const flood = await Client.connect(server, { transports, reconnection: false, person: { user: "flood" } });
      await flood.ok("join_room", "flooded");
      const [update] = chain(1);
      await until(
        "it is cut",
        () => {
          if (flood.socket.io.engine.writeBuffer.length > 2_000) return false;
          for (let number = 0; number < 500; number += 1) {
            flood.socket.emit("document_update", { room: "flooded", update });
          }
          return flood.disconnects.length > 0;
        },
        60_000,
      );
      assert.equal(flood.disconnects.length, 1);
    });
  }

  for (const transports of [["websocket"], ["polling"]]) {
    it(`a client over ${transports} that sends each refused update again when it was told is never cut`, async () => {
      const room = `obedient over ${transports}`;
      const ana = await Client.connect(server, { transports, person: { user: `obedient ${transports}` } });
      await ana.ok("join_room", room);
      const began = performance.now();
      const { refusals, failures } = await sendObediently(ana, room, independent(7_000));
      const seconds = (performance.now() - began) / 1_000;
      const most = Math.max(...refusals);
      const all = refusals.reduce((sum, count) => sum + count, 0);
      console.log(`7,000 updates in ${seconds.toFixed(1)} s, ${all} refusals, at most ${most} of one update`);
      assert.deepEqual(ana.disconnects, []);
      assert.deepEqual(failures, []);
      assert.ok(most <= 4, `one update was refused ${most} times`);
      assert.ok(all <= 4_000, `${all} refusals`);
    });
  }

  it("a client that floods and answers no ping is cut as well", async () => {
    const raw = await RawSocket.connect(server, { user: "mute" });
    raw.webSocket.removeAllListeners("message");
    raw.webSocket.resume();
    await until(
      "it is cut",
      () => {
        for (let number = 0; number < 2_000; number += 1) raw.send('42["document_sync",{"room":"none"}]');
        return raw.closed;
      },
      60_000,
    );
    await until(
      "it is counted",
      async () => (await server.metric('realtime_sockets_cut_total{reason="flooding"}')) > 0,
    );
  });
});

describe("a service", () => {
  const server = suiteServer({
    database: sqlite,
    env: {
      SOCKETS_PER_USER: 2,
      ROOMS_PER_SOCKET: 3,
      UPDATES_PER_SECOND: 10,
      UPDATES_BURST: 10,
      SERVICE_SOCKETS_MAX: 4,
      SERVICE_ROOMS_PER_SOCKET: 4,
      SERVICE_UPDATES_BURST: 1_000,
    },
  });
  afterEach(closeClients);

  it("has limits of its own for connections and rooms", async () => {
    const person = { user: "machine", role: "service" };
    const clients = [];
    for (let nth = 0; nth < 4; nth += 1) clients.push(await Client.connect(server, { person }));
    assert.equal(await Client.refused(server, { person }), "too_many_connections");
    for (const room of ["one", "two", "three", "four"]) await clients[0].ok("join_room", room);
    assert.equal((await clients[0].refusal("join_room", "five")).code, "too_many_rooms");
    const { rooms, updates_per_second, requests_per_second } = clients[0].welcome.limits;
    assert.deepEqual([rooms, updates_per_second, requests_per_second], [4, 5_000, 1_000]);
  });

  it("has a budget of updates of its own, as long as its present token has the role", async () => {
    const updates = chain(800);
    const send = async (client, room) => {
      await client.ok("join_room", room);
      const outcome = sendAll(client, room, updates);
      await until("all are answered", () => outcome.answered === updates.length);
      return outcome;
    };
    const service = await Client.connect(server, { person: { user: "machine", role: "service" } });
    assert.equal((await send(service, "by a service")).accepted, 800);
    const promoted = await Client.connect(server, { person: { user: "ana" } });
    assert.ok((await send(promoted, "by a person")).accepted < 100);
    await promoted.ok("token_refresh", { token: token({ user: "ana", roles: ["editor", "service"] }) });
    assert.equal((await send(promoted, "by the same with another token")).accepted, 800);
    await promoted.ok("token_refresh", { token: token({ user: "ana" }) });
    assert.ok((await send(promoted, "by a person")).accepted < 100, "and back");
  });
});

describe("the memory budget of updates", () => {
  const server = suiteServer({
    database: sqlite,
    env: { MEMORY_BURST_BYTES: 2 ** 20, MEMORY_BYTES_PER_SECOND: 2 ** 17 },
  });
  afterEach(closeClients);

  it("a client that makes a document grow too fast is told when to go on, and is accepted then; others are not affected", async () => {
    const update = (clientID, length) => {
      const doc = new Y.Doc();
      doc.clientID = clientID;
      doc.getText("text").insert(0, "x".repeat(length));
      return Y.encodeStateAsUpdate(doc);
    };
    const ana = await Client.connect(server);
    await ana.ok("join_room", "heavy");
    await ana.ok("document_update", { room: "heavy", update: update(1, 1.5 * 2 ** 20) });
    const small = { room: "heavy", update: update(2, 10) };
    const error = await ana.refusal("document_update", small);
    assert.equal(error.code, "rate_limited");
    assert.ok(error.retry_after_ms <= 6_000, `${error.retry_after_ms} ms`);
    const ben = await Client.connect(server, { person: { user: "ben" } });
    await ben.ok("join_room", "heavy");
    await ben.ok("document_update", { room: "heavy", update: update(3, 10) });
    await pause(error.retry_after_ms + 10);
    await ana.ok("document_update", small);
  });
});
