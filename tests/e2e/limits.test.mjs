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
import { Caller } from "./support/http.mjs";
import { RawSocket } from "./support/raw.mjs";
import { converged } from "./support/room.mjs";

describe("budgets", () => {
  const REQUESTS_PER_SECOND = 10;
  const server = suiteServer({
    database: sqlite,
    env: {
      ROOMS_PER_SOCKET: 3,
      SOCKETS_PER_USER: 2,
      REQUESTS_PER_SECOND,
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
    const began = performance.now();
    const acks = await Promise.all(Array.from({ length: 60 }, ask));
    const refused = acks.filter((ack) => !ack.ok);
    const allowed = allowedSince(began, REQUESTS_PER_SECOND, 2 * REQUESTS_PER_SECOND);
    assert.ok(refused.length > 0, "none of 60 is refused");
    assert.ok(acks.length - refused.length <= allowed, `${refused.length} of 60 refused, ${allowed} allowed`);
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

/** How many requests a budget has allowed since `began`: its burst, and what it has gained by now, on a slow machine much. */
function allowedSince(began, per_second, burst) {
  return burst + Math.ceil(((performance.now() - began) / 1_000) * per_second);
}

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
  // The budget of processor time is left alone: on a machine that does other work, updates seem to take longer than they do.
  const server = suiteServer({ database: sqlite, env: { CPU_BURST_MS: 3_600_000 } });
  afterEach(closeClients);

  for (const transports of [["websocket"], ["polling"]]) {
    it(`20,000 queued updates sent in one go over ${transports} are all answered, and the client is not cut`, async () => {
      const room = `queued over ${transports}`;
      const updates = chain(20_000);
      const ana = await Client.connect(server, { transports });
      await ana.ok("join_room", room);
      const outcome = sendAll(ana, room, updates);
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
      // Before it connects: this process does nothing else meanwhile, and the server closes a connection without a request.
      const updates = independent(7_000);
      const ana = await Client.connect(server, { transports, person: { user: `obedient ${transports}` } });
      await ana.ok("join_room", room);
      const began = performance.now();
      const { refusals, failures } = await sendObediently(ana, room, updates);
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
  const UPDATES_PER_SECOND = 10;
  const UPDATES_BURST = 10;
  const server = suiteServer({
    database: sqlite,
    env: {
      SOCKETS_PER_USER: 2,
      ROOMS_PER_SOCKET: 3,
      UPDATES_PER_SECOND,
      UPDATES_BURST,
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
    /** Sends as a person, whose budget has not allowed more updates since `began` than that of a person does. */
    const sendAsPerson = async (client, began) => {
      const { accepted } = await send(client, "by a person");
      const allowed = allowedSince(began, UPDATES_PER_SECOND, UPDATES_BURST);
      assert.ok(accepted <= allowed && accepted < updates.length, `${accepted} accepted, ${allowed} allowed`);
    };
    const service = await Client.connect(server, { person: { user: "machine", role: "service" } });
    assert.equal((await send(service, "by a service")).accepted, 800);
    const promoted = await Client.connect(server, { person: { user: "ana" } });
    await sendAsPerson(promoted, performance.now());
    await promoted.ok("token_refresh", { token: token({ user: "ana", roles: ["editor", "service"] }) });
    assert.equal((await send(promoted, "by the same with another token")).accepted, 800);
    await promoted.ok("token_refresh", { token: token({ user: "ana" }) });
    await sendAsPerson(promoted, performance.now());
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

const KIB = 2 ** 10;

/** An update that inserts so many bytes. */
function updateOf(bytes) {
  const doc = new Y.Doc();
  doc.getText("text").insert(0, "x".repeat(bytes));
  return Y.encodeStateAsUpdate(doc);
}

/** Sends the request until it is refused for a limit; the refusal, after which it is accepted at the time that it was told. */
async function refusedAndAccepted(send) {
  let ack = await send();
  for (let count = 0; ack.ok && count < 100; count += 1) ack = await send();
  assert.equal(ack.ok, false, "nothing was refused");
  assert.equal(ack.error.code, "rate_limited");
  await pause(ack.error.retry_after_ms);
  const again = await send();
  assert.equal(again.ok, true, `it was refused again: ${JSON.stringify(again.error)}`);
  return ack.error;
}

describe("the bytes that arrive", () => {
  const server = suiteServer({
    database: sqlite,
    env: {
      RECEIVED_BURST_BYTES: 256 * KIB,
      RECEIVED_BYTES_PER_SECOND: 256 * KIB,
      USER_RECEIVED_BURST_BYTES: 640 * KIB,
      // So slow that a user who has sent 120 KiB is in debt for two seconds, in which the next request arrives.
      USER_RECEIVED_BYTES_PER_SECOND: 60 * KIB,
    },
  });
  const applied = (limit) => server.metric(`realtime_limits_applied_total{limit="${limit}"}`);
  afterEach(closeClients);

  it("of one session are limited, whatever the request, and other users are not affected", async () => {
    const ana = await Client.connect(server);
    await ana.ok("join_room", "bytes");
    const payload = { room: "bytes", update: updateOf(100 * KIB) };
    const error = await refusedAndAccepted(() => ana.request("document_update", payload));
    assert.match(error.message, /: beyond received_bytes_per_second$/);
    assert.equal(await applied("received_bytes_per_second"), 1);
    assert.match(server.log, /a request was refused/);
    const padded = { room: "bytes", status: "online", padding: "x".repeat(100 * KIB) };
    await refusedAndAccepted(() => ana.request("presence_update", padded));
    const ben = await Client.connect(server, { person: { user: "ben" } });
    await ben.ok("join_room", "bytes");
    await ben.ok("document_update", { ...payload, update: updateOf(10) });
    assert.deepEqual(ana.disconnects, []);
  });

  it("of all sessions and HTTP requests of a user are limited together, also after it has connected again", async () => {
    const person = { user: "cleo" };
    const update = updateOf(120 * KIB);
    const sent = async () => {
      const cleo = await Client.connect(server, { person });
      const joined = await cleo.request("join_room", "of a user");
      const ack = joined.ok ? await cleo.request("document_update", { room: "of a user", update }) : joined;
      cleo.close();
      return ack;
    };
    const error = await refusedAndAccepted(sent);
    assert.match(error.message, /: beyond user_received_bytes_per_second$/);
    await until("the user is in debt again", async () => !(await sent()).ok);
    const caller = new Caller(server, person);
    const refused = await caller.refusal("PUT", "documents/by%20http", { title: "refused" });
    assert.deepEqual([refused.status, refused.code], [429, "rate_limited"]);
    await pause(refused.retry_after_ms);
    await caller.ok("PUT", "documents/by%20http", { title: "accepted" });
  });
});

describe("joins", () => {
  // So slow that the user is still in debt for the first join when the other requests arrive.
  const JOINS_PER_SECOND = 3;
  const server = suiteServer({ database: sqlite, env: { JOINS_BURST: 10, JOINS_PER_SECOND } });
  afterEach(closeClients);

  it("of one user are limited by their number and by the size of the documents, in all sessions together", async () => {
    const filler = await Client.connect(server, { person: { user: "filler" } });
    await filler.ok("join_room", "large");
    await filler.ok("document_update", { room: "large", update: updateOf(1_000 * KIB) });
    const [one, two] = [
      await Client.connect(server, { person: { user: "reader" } }),
      await Client.connect(server, { person: { user: "reader" } }),
    ];
    const state_vector = new Uint8Array([0]);
    await one.ok("join_room", "large");
    const began = performance.now();
    const refused = await two.refusal("join_room", "large");
    assert.equal(refused.code, "rate_limited");
    assert.match(refused.message, /: beyond joins_per_second$/);
    const synchronised = await one.refusal("document_sync", { room: "large", state_vector });
    // The second wait begins later than the first one, by `later_ms` at most. Both are rounded to milliseconds.
    const later_ms = performance.now() - began;
    const second_ms = later_ms + synchronised.retry_after_ms;
    assert.ok(second_ms > refused.retry_after_ms + 1_000 / JOINS_PER_SECOND - 2, "each has a slot of its own");
    await filler.ok("join_room", "small");
    await pause(refused.retry_after_ms);
    await two.ok("join_room", "small");
    assert.equal(await server.metric('realtime_limits_applied_total{limit="joins_per_second"}'), 2);
  });
});

describe("the budgets of a service", () => {
  const server = suiteServer({
    database: sqlite,
    env: {
      REQUESTS_PER_SECOND: 1,
      UPDATES_PER_SECOND: 1,
      UPDATES_BURST: 1,
      RECEIVED_BYTES_PER_SECOND: KIB,
      RECEIVED_BURST_BYTES: KIB,
      JOINS_PER_SECOND: 1,
      JOINS_BURST: 1,
      // So slow that no machine sends fewer requests.
      SERVICE_REQUESTS_PER_SECOND: 20,
      SERVICE_UPDATES_PER_SECOND: 2,
      SERVICE_UPDATES_BURST: 2,
      SERVICE_RECEIVED_BYTES_PER_SECOND: 256 * KIB,
      SERVICE_RECEIVED_BURST_BYTES: 256 * KIB,
      SERVICE_JOINS_PER_SECOND: 3,
      SERVICE_JOINS_BURST: 3,
    },
  });
  afterEach(closeClients);

  const limited = async (limit, send) => {
    const { message } = await refusedAndAccepted(send);
    assert.ok(message.endsWith(`: beyond service_${limit}_per_second`), message);
    const name = `realtime_limits_applied_total{limit="service_${limit}_per_second"}`;
    assert.ok((await server.metric(name)) > 0, name);
  };

  it("are its own, for requests, updates, bytes and joins", async () => {
    const service = await Client.connect(server, { person: { user: "machine", role: "service" } });
    await service.ok("join_room", "by a service");
    await limited("updates", () => service.request("document_update", { room: "by a service", update: updateOf(1) }));
    await limited("joins", () => service.request("join_room", "by a service"));
    const large = { status: "online", padding: "x".repeat(150 * KIB) };
    await limited("received_bytes", () => service.request("presence_update", large));
    // The leave of a room that is not joined is a conflict, which is no refusal for rate.
    const leave = async () => {
      const ack = await service.request("leave_room", "elsewhere");
      return ack.error.code === "conflict" ? { ok: true } : ack;
    };
    const many = async () => (await Promise.all(Array.from({ length: 60 }, leave))).find(({ ok }) => !ok)?.error;
    await until("requests are limited", async () => {
      const error = await many();
      if (!error || error.message.endsWith(": beyond service_requests_per_second")) return error;
      // It is in debt for its bytes still; who goes on regardless is cut.
      await pause(error.retry_after_ms);
      return undefined;
    });
    assert.deepEqual(service.disconnects, []);
  });
});

describe("the budget of requests by HTTP", () => {
  const REQUESTS_PER_SECOND = 3;
  const server = suiteServer({ database: sqlite, env: { REQUESTS_PER_SECOND } });

  it("counts lists too, and says when to come back", async () => {
    const caller = new Caller(server, { user: "dora" });
    const began = performance.now();
    const answers = await Promise.all(Array.from({ length: 16 }, () => caller.send("GET", "documents")));
    const refused = answers.filter(({ status }) => status === 429);
    const allowed = allowedSince(began, REQUESTS_PER_SECOND, 2 * REQUESTS_PER_SECOND);
    assert.ok(refused.length > 0, "none of 16 is refused");
    assert.ok(answers.length - refused.length <= allowed, `${refused.length} of 16 refused, ${allowed} allowed`);
    const waits = refused.map(({ body }) => body.error.retry_after_ms);
    assert.equal(new Set(waits).size, waits.length, "each has a slot of its own");
    await pause(Math.max(...waits));
    await caller.ok("GET", "documents");
  });
});

describe("the memory of all queues", () => {
  const MIB = 2 ** 20;
  const server = suiteServer({ database: sqlite, env: { QUEUES_BYTES_MAX: 56 * MIB, SOCKETS_PER_USER: 100 } });
  afterEach(closeClients);

  it("is limited: those that hold most are cut, and others are not", async () => {
    const ana = await Client.connect(server);
    await ana.ok("join_room", "long");
    for (let part = 0; part < 16; part += 1) {
      await ana.ok("document_update", { room: "long", update: updateOf(MIB) });
    }
    const deaf = [];
    for (let number = 0; number < 8; number += 1) {
      const raw = await RawSocket.connect(server, { user: "deaf" });
      raw.webSocket.pause();
      raw.send('421["join_room",{"room":"long"}]');
      deaf.push(raw);
    }
    const cut = () => server.metric('realtime_sockets_cut_total{reason="queues_full"}');
    const applied = () => server.metric('realtime_limits_applied_total{limit="queues_bytes_max"}');
    await until("some are cut", async () => (await cut()) >= 4, 30_000);
    assert.ok((await cut()) <= 5, `${await cut()} of 8 are cut`);
    // The last of them may be cut between two looks.
    await until("each of them is counted", async () => (await applied()) === (await cut()));
    await ana.ok("document_update", { room: "long", update: updateOf(10) });
    assert.deepEqual(ana.disconnects, []);
    for (const raw of deaf) raw.close();
  });
});
