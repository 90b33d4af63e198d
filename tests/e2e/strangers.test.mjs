// What the server does for a client that has shown no token, or that shows one again and again: as little as possible.

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { after, afterEach, before, describe, it } from "node:test";
import WebSocket from "ws";
import { sqlite } from "@realtime-server/harness/databases";
import { suiteDatabase, suiteServer } from "@realtime-server/harness/suite";
import { claims, sign, token } from "@realtime-server/harness/tokens";
import { memory, processorSeconds } from "@realtime-server/harness/process";
import { pause, until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";
import { RawSocket } from "./support/raw.mjs";
import { Tcp } from "./support/tcp.mjs";

const KIB = 2 ** 10;
const MIB = 2 ** 20;
const POLLING = "/socket.io/?EIO=4&transport=polling";
const UPGRADE = [
  "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1",
  "host: x",
  "upgrade: websocket",
  "connection: Upgrade",
  "sec-websocket-version: 13",
  "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
  "\r\n",
].join("\r\n");

const CONNECT = (person) => `40${JSON.stringify({ token: token(person) })}`;

/** A frame of a client, masked with zeros. */
function frame(first, payload = "") {
  const bytes = Buffer.from(payload);
  const head = bytes.length < 126 ? [first, 0x80 | bytes.length] : [first, 0xfe, bytes.length >> 8, bytes.length & 255];
  return Buffer.concat([Buffer.from([...head, 0, 0, 0, 0]), bytes]);
}

/** The code with which the server closes a WebSocket. */
const closeCode = (raw) => new Promise((resolve) => raw.webSocket.once("close", resolve));

describe("a client without a session", () => {
  // So long that what is closed meanwhile is not closed for its time.
  const times = { CONNECT_TIMEOUT_MS: 60_000, MESSAGE_TIMEOUT_MS: 60_000 };
  const server = suiteServer({ env: { ...times, UPDATE_BYTES_MAX: MIB } });
  const applied = (limit) => server.metric(`realtime_limits_applied_total{limit="${limit}"}`);
  afterEach(() => {
    Tcp.closeAll();
    closeClients();
  });

  it("may send small messages only, over a WebSocket and by polling", async () => {
    const stranger = await RawSocket.open(server);
    const closed = closeCode(stranger);
    stranger.send(`40${" ".repeat(33 * KIB)}`);
    assert.equal(await closed, 1009);
    const open = await (await server.get(POLLING)).text();
    const url = `${server.url}${POLLING}&sid=${JSON.parse(open.slice(1)).sid}`;
    const refused = await fetch(url, { method: "POST", body: `4${" ".repeat(33 * KIB)}` });
    assert.equal(refused.status, 413);
    await until("both are counted", async () => (await applied("stranger_bytes_max")) === 2);

    const person = await RawSocket.connect(server, { user: "ana" });
    person.send(`421["leave_room",{"room":"tea","padding":"${" ".repeat(100 * KIB)}"}]`);
    await person.frame((text) => text.startsWith("431["));
    person.send("41");
    person.send(`40${" ".repeat(33 * KIB)}`);
    await until("it is a stranger again", () => person.closed);
  });

  it("may send no attachments", async () => {
    const stranger = await RawSocket.open(server);
    stranger.send('451-["join_room",{"_placeholder":true,"num":0}]');
    await until("it is closed at once", () => stranger.closed);
  });

  it("holds little memory with bodies that do not end", async () => {
    const before = memory(server.pid);
    const body = Buffer.alloc(5 * MIB, "a");
    for (let n = 0; n < 40; n++) {
      const tcp = await Tcp.open(server);
      const [, sid] = (await tcp.get(POLLING)).match(/"sid":"([^"]+)"/);
      tcp.send(`POST ${POLLING}&sid=${sid} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n`);
      tcp.send(`${body.length.toString(16)}\r\n`);
      tcp.send(body.subarray(0, body.length - 1));
    }
    await until("all of them are refused", async () => (await applied("stranger_bytes_max")) >= 40);
    const growth = memory(server.pid) - before;
    assert.ok(growth < 24 * MIB, `${Math.round(growth / MIB)} MiB`);
  });
});

describe("a client whose messages do not arrive", () => {
  const server = suiteServer({ env: { MESSAGE_TIMEOUT_MS: 700 } });
  const applied = (limit) => server.metric(`realtime_limits_applied_total{limit="${limit}"}`);
  afterEach(() => Tcp.closeAll());

  it("is closed: a frame, a message in fragments, attachments that were announced", async () => {
    const partial = [frame(0x81, "4".repeat(100)).subarray(0, 50), frame(0x01, "42[")];
    for (const bytes of partial) {
      const tcp = await Tcp.open(server);
      tcp.send(UPGRADE);
      await until("it is open", () => tcp.text.includes('0{"sid"'));
      tcp.send(frame(0x81, CONNECT({ user: "ana" })));
      await until("the session has begun", () => tcp.text.includes('42["connection"'));
      tcp.send(bytes);
      await tcp.end();
    }
    const raw = await RawSocket.connect(server, { user: "ana" });
    const closed = closeCode(raw);
    raw.send('451-["join_room",{"room":{"_placeholder":true,"num":0}}]');
    assert.equal(await closed, 1008);
    await until("they are counted", async () => (await applied("message_timeout")) === 3);
  });

  it("is closed by polling too, after the time for its attachments", async () => {
    const open = await (await server.get(POLLING)).text();
    const url = `${server.url}${POLLING}&sid=${JSON.parse(open.slice(1)).sid}`;
    await fetch(url, { method: "POST", body: CONNECT({ user: "ana" }) });
    await fetch(url, { method: "POST", body: '451-["join_room",{"room":{"_placeholder":true,"num":0}}]' });
    await until("it is closed", async () => (await fetch(url)).status === 400);
  });

  it("is closed when it sends many frames that carry nothing", async () => {
    const floods = { pings: frame(0x89), pongs: frame(0x8a), fragments: frame(0x00), messages: frame(0x82) };
    for (const [kind, one] of Object.entries(floods)) {
      const tcp = await Tcp.open(server);
      tcp.send(UPGRADE);
      await until("it is open", () => tcp.text.includes('0{"sid"'));
      if (kind === "fragments") tcp.send(frame(0x01, "4"));
      tcp.send(Buffer.concat(Array.from({ length: 1_100 }, () => one)));
      await tcp.end();
    }
    await until("they are counted", async () => (await applied("bare_frames_per_second")) >= 3);
    for (const packet of ["3", "43[]"]) {
      const raw = await RawSocket.connect(server, { user: "ana" });
      for (let n = 0; n < 1_100; n++) raw.send(packet);
      await until(`it is closed after many ${packet}`, () => raw.closed);
    }
  });
});

describe("a client that begins sessions again and again", () => {
  const start = suiteDatabase(sqlite, () => closeClients());

  it("does not renew its budgets, on the same connection and on new ones", async () => {
    // A budget has two requests, and gains one a second, also while a slow machine connects.
    const server = await start({ REQUESTS_PER_SECOND: 1, SOCKETS_PER_USER: 2 });
    /** A connection with a session, once the user has a place for one. */
    const connect = (user) =>
      until("there is a place", async () => {
        const raw = await RawSocket.open(server);
        raw.send(CONNECT({ user }));
        const answer = await raw.frame((text) => /^4[04]\{/.test(text));
        if (answer.startsWith("40")) return raw;
        raw.close();
        return undefined;
      });
    let ack = 0;
    /** Sends three requests at once; how many are accepted. */
    const ask = async (raw) => {
      const acks = Array.from({ length: 3 }, () => (ack += 1));
      for (const number of acks) raw.send(`42${number}["presence_list",{}]`);
      const answers = acks.map((number) => raw.frame((text) => text.startsWith(`43${number}[`)));
      const refusals = (await Promise.all(answers)).filter((answer) => !answer.includes('"ok":true'));
      for (const refusal of refusals) assert.match(refusal, /"rate_limited"/);
      return acks.length - refusals.length;
    };
    const began = performance.now();
    const gained = () => Math.ceil((performance.now() - began) / 1_000);
    const raw = await connect("ana");
    let accepted = await ask(raw);
    assert.ok(accepted >= 2, "the burst");
    raw.send("41");
    raw.frames.splice(0);
    raw.send(CONNECT({ user: "ana" }));
    await raw.frame((text) => text.startsWith("40{"));
    accepted += await ask(raw);
    assert.ok(accepted <= 2 + gained(), `${accepted} on one connection`);
    raw.close();
    // A second device has a budget of its own, and all further connections continue one of the two.
    for (let device = 0; device < 8; device += 1) {
      const next = await connect("ana");
      accepted += await ask(next);
      next.close();
    }
    assert.ok(accepted >= 4, `${accepted} with two budgets`);
    assert.ok(accepted <= 4 + 2 * gained(), `${accepted} with two budgets, after ${gained()} s`);
    assert.ok((await ask(await connect("ben"))) >= 2, "another user");
  });

  it("is refused after many attempts, and fills no log", async () => {
    const server = await start({});
    const raw = await RawSocket.open(server);
    const answers = () => raw.frames.filter((it) => /^4[04]\{/.test(it));
    for (let n = 1; !raw.closed; n++) {
      raw.send(CONNECT({ user: "ana" }));
      await until("it is answered", () => raw.closed || answers().length >= n);
      raw.send("41");
    }
    const begun = answers().filter((it) => it.startsWith("40")).length;
    assert.ok(begun >= 30 && begun <= 40, `${begun} sessions`);
    assert.ok(raw.frames.some((it) => it === '44{"message":"rate_limited"}'));
    assert.ok(server.log.split("session began").length < 20, "its lines are sampled");
  });

  it("parks no verification of a token that it has given up", async () => {
    // A key set whose address fails at first, and then keeps requests waiting.
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const key = { ...publicKey.export({ format: "jwk" }), kid: "known", alg: "RS256", use: "sig" };
    const waiting = [];
    let fails = true;
    const keys = createServer((_, response) => {
      if (fails) response.writeHead(503).end();
      else waiting.push(response);
    });
    keys.unref();
    await new Promise((resolve) => keys.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${keys.address().port}/`;
    // A second attempt that is still verified would be refused for the first one's session.
    const server = await start({ JWT_SECRET: undefined, JWT_JWKS_URL: url, SOCKETS_PER_USER: 1 });
    fails = false;
    const options = { algorithm: "RS256", kid: "known" };
    const connectAs = (user) => `40${JSON.stringify({ token: sign(claims({ user }), privateKey, options) })}`;
    const connect = connectAs("ana");
    await until("the keys are being fetched", async () => {
      const first = await RawSocket.open(server);
      first.send(connectAs("ben"));
      await until("it is refused, or waits", () => waiting.length > 0 || first.frames.some((it) => /^44/.test(it)));
      await pause(300);
      return waiting.length > 0;
    });
    const raw = await RawSocket.open(server);
    for (let n = 0; n < 10; n++) {
      raw.send(connect);
      raw.send("41");
    }
    raw.send(connect);
    raw.send("3");
    // The server answers a ping after all that was sent before it.
    const isRead = new Promise((resolve) => raw.webSocket.once("pong", resolve));
    raw.webSocket.ping();
    await isRead;
    for (const response of waiting) response.end(JSON.stringify({ keys: [key] }));
    await raw.frame((text) => text.startsWith("40{"));
    await raw.frame((text) => text.startsWith('42["connection"'));
    const answers = raw.frames.filter((it) => /^4[04]/.test(it));
    assert.equal(answers.length, 1, "attempts that were given up are not answered");
    keys.close();
    keys.closeAllConnections();
  });
});

describe("a request with more attachments than any has", () => {
  const server = suiteServer();

  it("is answered, and the connection goes on", async () => {
    const raw = await RawSocket.connect(server, { user: "ana" });
    raw.send('455-7["document_update",{"room":"tea","update":{"_placeholder":true,"num":4}}]');
    for (let n = 0; n < 5; n++) raw.send(Buffer.from([n]));
    const answer = await raw.frame((text) => text.startsWith("437["));
    assert.match(answer, /"code":"invalid".*"field":"attachments"/);
    raw.send('428["leave_room","tea"]');
    await raw.frame((text) => text.startsWith("438["));
    raw.close();
  });
});

describe("peers that do not read", () => {
  const server = suiteServer({ env: { SOCKETS_PER_USER: 100, REQUESTS_PER_SECOND: 100_000 } });
  const deaf = [];
  before(async () => {
    for (let n = 0; n < 30; n++) {
      const raw = await RawSocket.connect(server, { user: "deaf" });
      raw.webSocket.pause();
      deaf.push(raw);
    }
  });
  after(() => {
    for (const raw of deaf) raw.close();
  });

  it("cost no processor time", async () => {
    // Far more answers than the server queues for a peer before it stops reading from it.
    const request = `42${"1".repeat(9)}["x",${JSON.stringify("x".repeat(200))}]`;
    for (const raw of deaf) for (let n = 0; n < 30_000; n++) raw.send(request);
    // On a busy machine the server may still have to read much when it has done nothing for a moment.
    let used;
    await until(
      "the server uses less than 0.1 s of processor time in 2 s",
      async () => {
        const began = processorSeconds(server.pid);
        await pause(2_000);
        used = processorSeconds(server.pid) - began;
        return used < 0.1;
      },
      60_000,
    ).catch((error) => assert.fail(`${error.message}: ${used} s`));
    assert.ok(deaf.every(({ webSocket }) => webSocket.readyState === WebSocket.OPEN || webSocket.bufferedAmount >= 0));
  });
});
