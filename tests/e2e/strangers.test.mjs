// What the server does for a client that has shown no token, or that shows one again and again: as little as possible.

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { after, afterEach, before, describe, it } from "node:test";
import WebSocket from "ws";
import { sqlite } from "@realtime-server/harness/databases";
import { suiteDatabase, suiteServer } from "@realtime-server/harness/suite";
import { claims, sign, token } from "@realtime-server/harness/tokens";
import { isBusy, memory, processorSeconds } from "@realtime-server/harness/process";
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
  const server = suiteServer({ env: { MESSAGE_TIMEOUT_MS: 700, UPDATE_BYTES_MAX: MIB } });
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
    await until("it is closed at once", () => stranger.closed, 3_000);
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

  it("does not renew its budgets, on the same connection and on a new one", async () => {
    const server = await start({ REQUESTS_PER_SECOND: 1, SOCKETS_PER_USER: 2 });
    const list = async (raw, ack) => {
      raw.send(`42${ack}["presence_list",{}]`);
      return raw.frame((text) => text.startsWith(`43${ack}[`));
    };
    const person = { user: "ana" };
    const raw = await RawSocket.connect(server, person);
    for (const ack of [1, 2]) assert.match(await list(raw, ack), /"ok":true/);
    assert.match(await list(raw, 3), /"rate_limited"/);
    raw.send("41");
    raw.frames.splice(0);
    raw.send(CONNECT(person));
    await raw.frame((text) => text.startsWith("40{"));
    assert.match(await list(raw, 4), /"rate_limited"/);
    raw.close();
    const again = async () => {
      const next = await RawSocket.connect(server, person);
      const limited = (await list(next, 5)).includes("rate_limited");
      await Promise.all([1, 2, 3].map((ack) => list(next, 10 + ack)));
      next.close();
      return limited;
    };
    assert.ok(!(await again()), "a second device");
    await until("a new connection continues a budget that was used", again);
    const other = await RawSocket.connect(server, { user: "ben" });
    assert.match(await list(other, 6), /"ok":true/);
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
    await pause(100);
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
    let last = processorSeconds(server.pid);
    await until(
      "the server reads no more",
      async () => {
        await pause(500);
        const now = processorSeconds(server.pid);
        const used = now - last;
        last = now;
        // On a busy machine it may have used little because it waits for a processor.
        return used < 0.05 && !isBusy(server.pid);
      },
      60_000,
    );
    assert.ok(deaf.every(({ webSocket }) => webSocket.readyState === WebSocket.OPEN || webSocket.bufferedAmount >= 0));
    const began = processorSeconds(server.pid);
    await pause(2_000);
    const used = processorSeconds(server.pid) - began;
    assert.ok(used < 0.1, `${used} s of processor time in 2 s`);
  });
});
