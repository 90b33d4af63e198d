// Engine.IO: polling, the upgrade to a WebSocket, and clients that break the rules of either.

import assert from "node:assert/strict";
import { connect as connectTcp } from "node:net";
import { afterEach, describe, it } from "node:test";
import WebSocket from "ws";
import { sqlite } from "@realtime-server/harness/databases";
import { memory } from "@realtime-server/harness/process";
import { Server } from "@realtime-server/harness/server";
import { suiteServer } from "@realtime-server/harness/suite";
import { token } from "@realtime-server/harness/tokens";
import { pause, until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";
import { RawSocket } from "./support/raw.mjs";

const MIB = 2 ** 20;
const POLLING = "/socket.io/?EIO=4&transport=polling";
const WEBSOCKET = "/socket.io/?EIO=4&transport=websocket";
const SEPARATOR = "\x1e";

/** An Engine.IO connection by polling, one request at a time. */
class Polling {
  static async open(server) {
    const polling = new Polling();
    polling.server = server;
    const body = await (await fetch(server.url + POLLING)).text();
    polling.handshake = JSON.parse(body.slice(1));
    polling.url = `${server.url}${POLLING}&sid=${polling.handshake.sid}`;
    return polling;
  }

  async post(body) {
    const response = await fetch(this.url, { method: "POST", body });
    return { status: response.status, body: await response.text() };
  }

  async poll() {
    const response = await fetch(this.url, { signal: AbortSignal.timeout(60_000) });
    return { status: response.status, body: await response.text() };
  }

  /** Polls until a packet matches, and returns it. */
  async packet(pattern) {
    for (;;) {
      const { body } = await this.poll();
      const found = body.split(SEPARATOR).find((packet) => pattern.test(packet));
      if (found) return found;
    }
  }

  async connect(person) {
    await this.post(`40${JSON.stringify({ token: token(person) })}`);
    await this.packet(/^42\["connection"/);
  }

  /** Opens a WebSocket beside it. */
  probe() {
    const webSocket = new WebSocket(`${this.server.url.replace("http", "ws")}${WEBSOCKET}&sid=${this.handshake.sid}`);
    webSocket.frames = [];
    webSocket.on("message", (data, isBinary) => webSocket.frames.push(isBinary ? data : data.toString()));
    webSocket.on("error", () => {});
    return new Promise((resolve, reject) => {
      webSocket.once("open", () => resolve(webSocket));
      webSocket.once("unexpected-response", (_, { statusCode }) => reject(new Error(String(statusCode))));
    });
  }
}

describe("the transport", () => {
  const env = { UPDATES_PER_SECOND: 100_000, UPDATES_BURST: 1_000_000, SOCKETS_PER_USER: 1_000 };
  const server = suiteServer({ env });
  const connections = async () => (await (await server.get("/health")).json()).connections;
  const count = (transport) => server.metric(`realtime_connections{transport="${transport}"}`);

  afterEach(async () => {
    closeClients();
    await until("everybody is gone", async () => (await connections()) === 0);
  });

  it("refuses requests that Engine.IO does not have, with its codes", async () => {
    for (const [method, path, code, message] of [
      ["GET", "/socket.io/?EIO=4&transport=carrier", 0, "Transport unknown"],
      ["GET", "/socket.io/?EIO=4", 0, "Transport unknown"],
      ["GET", `${POLLING}&sid=nobody`, 1, "Session ID unknown"],
      ["GET", `${POLLING}&sid=`, 1, "Session ID unknown"],
      ["POST", POLLING, 2, "Bad handshake method"],
      ["GET", WEBSOCKET, 3, "Bad request"],
      ["GET", "/socket.io/?EIO=3&transport=polling", 5, "Unsupported protocol version"],
    ]) {
      const response = await fetch(server.url + path, { method });
      assert.equal(response.status, 400, path);
      assert.deepEqual(await response.json(), { code, message });
    }
  });

  it("opens with the handshake of the specification", async () => {
    const polling = await Polling.open(server);
    const { sid, maxPayload, ...rest } = polling.handshake;
    assert.match(sid, /^[\w-]{20}$/);
    assert.ok(maxPayload > 4 * MIB);
    assert.deepEqual(rest, { upgrades: ["websocket"], pingInterval: 25_000, pingTimeout: 20_000 });
    const raw = await RawSocket.open(server);
    assert.deepEqual(JSON.parse(raw.frames[0].slice(1)).upgrades, []);
    raw.close();
    await polling.post("1");
  });

  it("carries binary packets by polling, in both directions, several at once", async () => {
    const polling = await Polling.open(server);
    await polling.connect({ user: "poller" });
    const state_vector = '{"_placeholder":true,"num":0}';
    const ask = `451-7["join_room",{"room":"polled","state_vector":${state_vector}}]`;
    assert.deepEqual(await polling.post([ask, "bAA=="].join(SEPARATOR)), { status: 200, body: "ok" });
    // Events of the team may come along, or before.
    let { body } = await polling.poll();
    while (!/46[23]-7\[/.test(body)) ({ body } = await polling.poll());
    const packets = body.split(SEPARATOR).filter((packet) => !packet.startsWith("42["));
    assert.match(packets[0], /^46[23]-7\[\{"ok":true/);
    assert.ok(packets.slice(1).every((packet) => packet.startsWith("b")) && packets.length > 2, body);
    await polling.post("1");
  });

  it("ends a connection that polls or posts twice at once", async () => {
    const polling = await Polling.open(server);
    // The poll that reaches the server first waits there, and is answered by the close packet.
    const polls = await Promise.all([polling.poll(), polling.poll()]);
    const [waited, refused] = polls.sort((one, other) => one.status - other.status);
    assert.deepEqual([waited.status, waited.body, refused.status], [200, "1", 400]);
    await until("it is gone", async () => (await polling.poll()).status === 400);

    const other = await Polling.open(server);
    const half = connectTcp(server.port, "127.0.0.1");
    const path = other.url.slice(server.url.length);
    let answer = "";
    half.on("data", (bytes) => (answer += bytes));
    half.write(`POST ${path} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 100\r\n\r\n`);
    await until("the server reads the body", () => answer.startsWith("HTTP/1.1 100 "));
    half.write("4");
    assert.equal((await other.post("3")).status, 400);
    await until("it is gone", async () => (await connections()) === 0);
    half.destroy();
  });

  it("refuses a POST that is too large before its body has arrived, and one without valid packets", async () => {
    const polling = await Polling.open(server);
    const tcp = connectTcp(server.port, "127.0.0.1");
    let answer = "";
    tcp.on("data", (bytes) => (answer += bytes));
    const path = polling.url.slice(server.url.length);
    tcp.write(`POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: ${polling.handshake.maxPayload + 1}\r\n\r\n4`);
    await until("it is refused", () => /^HTTP\/1.1 413/.test(answer));
    tcp.destroy();
    for (const body of ["", "9", "b====", SEPARATOR, "2", `3${SEPARATOR}`]) {
      const bad = await Polling.open(server);
      assert.equal((await bad.post(body)).status, 400, JSON.stringify(body));
    }
  });

  it("is upgraded to a WebSocket during traffic, and neither loses nor reorders updates", async () => {
    const writer = await Client.connect(server, { person: { user: "writer" } });
    const EDITS = 400;
    const reading = [];
    for (let n = 0; n < 5; n += 1) {
      const reader = await Client.connect(server, {
        person: { user: `reader ${n}` },
        transports: ["polling", "websocket"],
        upgrade: true,
      });
      const got = [];
      reader.socket.on("document_update", ({ update }) => got.push(update));
      reading.push({ reader, got });
    }
    const room = await writer.join("moving");
    const rooms = [];
    for (const { reader } of reading) rooms.push(await reader.join("moving"));
    // Both ways: everyone types while the transports change underneath.
    await Promise.all([
      ...rooms.map(async (own, n) => {
        for (let edit = 0; edit < 50; edit += 1) {
          own.map.set(`reader ${n}`, edit);
          if (edit % 5 === 0) await pause(1);
        }
      }),
      (async () => {
        for (let edit = 0; edit < EDITS; edit += 1) {
          room.text.insert(room.text.length, `${edit},`);
          if (edit % 20 === 0) await pause(2);
        }
      })(),
    ]);
    await until("all are upgraded", () =>
      reading.every(({ reader }) => reader.socket.io.engine.transport.name === "websocket"),
    );
    const expected = Array.from({ length: EDITS }, (_, n) => `${n},`).join("");
    for (const [n, own] of rooms.entries()) {
      await until("all arrived", () => own.text.toString() === expected && own.map.get("reader 4") === 49);
      await until("the writer has the reader's edits", () => room.map.get(`reader ${n}`) === 49);
    }
    for (const { reader } of reading) assert.deepEqual(reader.disconnects, []);
    await until("no polling is left", async () => (await count("polling")) === 0);
    await until("all are counted as WebSockets", async () => (await count("websocket")) === 6);
  });

  it("answers the waiting poll when a probe comes, and sends the rest by WebSocket, in order", async () => {
    const polling = await Polling.open(server);
    await polling.connect({ user: "mover", team: "movers" });
    // Events of the team, such as its own presence, may come first and answer a poll.
    const waiting = polling.packet(/^6$/);
    await pause(20);
    const webSocket = await polling.probe();
    webSocket.send("2probe");
    await waiting;
    await until("the probe is answered", () => webSocket.frames[0] === "3probe");
    await polling.packet(/^6$/);
    assert.equal((await polling.post('421["leave_room","a"]')).status, 200, "a POST is still accepted");
    webSocket.send("5");
    webSocket.send('422["leave_room","b"]');
    const acks = () => webSocket.frames.filter((frame) => /^43/.test(frame)).map((frame) => frame[2]);
    await until("the answers are there", () => acks().length === 2);
    assert.deepEqual(acks(), ["1", "2"]);
    for (const late of [await polling.poll(), await polling.post("3")]) {
      assert.equal(late.status, 400);
      assert.equal(JSON.parse(late.body).code, 3);
    }
    await assert.rejects(polling.probe(), /400/, "it has moved");
    webSocket.terminate();
  });

  it("answers each request once and in order, at whatever moment it is upgraded", async () => {
    const REQUESTS = 120;
    for (let moment = 0; moment < 12; moment += 1) {
      const polling = await Polling.open(server);
      await polling.connect({ user: "mover" });
      const answered = [];
      const collect = (packet) => /^43\d/.test(packet) && answered.push(parseInt(packet.slice(2), 10));
      const request = (n) => `42${n}["leave_room","nowhere"]`;
      let webSocket;
      let paused = false;
      const polls = (async () => {
        while (!paused) (await polling.poll()).body.split(SEPARATOR).forEach(collect);
      })();
      let sent = 1;
      for (; sent < REQUESTS / 2; sent += 6) {
        if (sent > moment * 5) webSocket ??= polling.probe();
        const batch = Array.from({ length: 6 }, (_, n) => request(sent + n));
        await polling.post(batch.join(SEPARATOR));
      }
      webSocket = await (webSocket ?? polling.probe());
      webSocket.on("message", (data) => collect(data.toString()));
      webSocket.send("2probe");
      await until("the probe is answered", () => webSocket.frames.includes("3probe"));
      paused = true;
      const last = polling.post(request(sent++));
      await Promise.all([polls, last]);
      webSocket.send("5");
      for (; sent <= REQUESTS; sent += 1) webSocket.send(request(sent));
      await until("everything is answered", () => answered.length >= REQUESTS);
      assert.deepEqual(
        answered,
        Array.from({ length: REQUESTS }, (_, n) => n + 1),
      );
      webSocket.terminate();
    }
  });

  it("continues to poll when an upgrade is not completed", async () => {
    const polling = await Polling.open(server);
    await polling.connect({ user: "half-open" });
    const first = await polling.probe();
    await assert.rejects(polling.probe(), /400/, "one at a time");
    first.send("2probe");
    await until("the probe is answered", () => first.frames[0] === "3probe");
    first.terminate();
    const second = await until("the first one's end is noticed", () => polling.probe());
    second.send("no probe");
    await until("it is closed", () => second.readyState === WebSocket.CLOSED);
    const answered = polling.packet(/^431\[/);
    await polling.post('421["leave_room","nowhere"]');
    await answered;
    await until("it still counts as polling", async () => (await count("polling")) === 1);
    await polling.post("1");
  });

  it("is closed by a close packet, by a close frame, and by a lost connection", async () => {
    const raw = await RawSocket.open(server);
    raw.send("1");
    await until("it is closed", () => raw.closed);
    const closing = await RawSocket.open(server);
    const closed = new Promise((resolve) => closing.webSocket.once("close", resolve));
    closing.webSocket.close(4321);
    assert.equal(await closed, 4321);
    const lost = await RawSocket.open(server);
    lost.close();
    await until("a poll that waits is answered when the client closes", async () => {
      const polling = await Polling.open(server);
      // Two requests over two connections: if the POST arrives first, there is no poll to answer.
      const [waiting] = await Promise.all([polling.poll(), polling.post("1")]);
      return waiting.body === "6";
    });
    await until("everybody is gone", async () => (await connections()) === 0);
  });

  it("answers WebSocket pings", async () => {
    const raw = await RawSocket.open(server);
    const pong = new Promise((resolve) => raw.webSocket.once("pong", resolve));
    raw.webSocket.ping("are you there?");
    assert.equal(String(await pong), "are you there?");
    raw.close();
  });

  it("refuses an invalid WebSocket upgrade", async () => {
    const headers = { upgrade: "websocket", connection: "Upgrade", "sec-websocket-version": "13" };
    const status = (changed) =>
      new Promise((resolve) => {
        const tcp = connectTcp(server.port, "127.0.0.1");
        const lines = Object.entries({ ...headers, ...changed }).map(([name, value]) => `${name}: ${value}\r\n`);
        tcp.once("data", (bytes) => {
          tcp.destroy();
          resolve(Number(bytes.toString().split(" ")[1]));
        });
        tcp.write(`GET ${WEBSOCKET} HTTP/1.1\r\nhost: x\r\n${lines.join("")}\r\n`);
      });
    const key = "dGhlIHNhbXBsZSBub25jZQ==";
    assert.equal(await status({ "sec-websocket-key": key }), 101);
    assert.equal(await status({}), 400);
    assert.equal(await status({ "sec-websocket-key": "short" }), 400);
    assert.equal(await status({ "sec-websocket-key": key, "sec-websocket-version": "8" }), 426);
    assert.equal(await status({ "sec-websocket-key": key, connection: "keep-alive" }), 400);
  });

  it("reads frames that arrive together with the request", async () => {
    const tcp = connectTcp(server.port, "127.0.0.1");
    let answer = Buffer.alloc(0);
    tcp.on("data", (bytes) => (answer = Buffer.concat([answer, bytes])));
    const ping = Buffer.from([0x89, 0x82, 0, 0, 0, 0, 0x68, 0x69]);
    const head = `GET ${WEBSOCKET} HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: Upgrade\r\n`;
    const key = "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    tcp.write(Buffer.concat([Buffer.from(head + key), ping]));
    await until("the pong is there", () => answer.includes(Buffer.from([0x8a, 2, 0x68, 0x69])));
    assert.ok(answer.includes('0{"sid":"'), "after the handshake");
    tcp.destroy();
  });

  it("holds a large document in memory once, however many slow readers wait for it", async () => {
    const writer = await Client.connect(server, { person: { user: "author" } });
    const room = await writer.join("large");
    for (let part = 0; part < 5; part += 1) await room.edit(({ map }) => map.set(`${part}`, "x".repeat(1.9 * MIB)));
    const raws = await Promise.all(Array.from({ length: 40 }, () => RawSocket.connect(server, { user: "reader" })));
    const before_bytes = memory(server.pid);
    for (const raw of raws) {
      raw.webSocket.pause();
      raw.send('421["join_room","large"]');
    }
    // A request behind them all is answered when they are.
    await until("they have joined", async () => (await writer.ok("join_room", "large")).members.length === 2);
    await pause(200);
    assert.ok(memory(server.pid) - before_bytes < 100 * MIB, `${memory(server.pid) - before_bytes} for 40 times 10 MB`);
    for (const raw of raws) raw.webSocket.resume();
    for (const raw of raws) {
      await until("the document is there", () => raw.frames.some((frame) => frame.length > 9 * MIB));
      raw.close();
    }
  });

  it("reserves no memory for the length in a frame's header, and refuses a frame that is too large", async () => {
    const before_bytes = memory(server.pid);
    const raws = [];
    for (let n = 0; n < 100; n += 1) {
      const raw = await RawSocket.open(server);
      // 4 MiB are promised, and a byte comes.
      raw.webSocket._socket.write(Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, 0x40, 0, 0, 1, 2, 3, 4, 5]));
      raws.push(raw);
    }
    assert.ok(memory(server.pid) - before_bytes < 32 * MIB);
    for (const raw of raws) raw.close();
    const raw = await RawSocket.open(server);
    const code = new Promise((resolve) => raw.webSocket.once("close", resolve));
    raw.webSocket._socket.write(Buffer.from([0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4]));
    assert.equal(await code, 1009);
  });
});

describe("a silent client", () => {
  it("is pinged, and cut when no answer comes, over either transport", async () => {
    // So long that all three have connected on a slow machine before the first is cut.
    const server = await Server.start({ database: sqlite, env: { PING_INTERVAL_MS: 200, PING_TIMEOUT_MS: 4_000 } });
    const connections = async () => (await (await server.get("/health")).json()).connections;
    const raw = await RawSocket.open(server);
    raw.send(`40${JSON.stringify({ token: token({ user: "alive" }) })}`);
    const webSocket = new WebSocket(server.url.replace("http", "ws") + WEBSOCKET);
    const pings = [];
    webSocket.on("message", (data) => data.toString() === "2" && pings.push(data));
    const closed = new Promise((resolve) => webSocket.once("close", resolve));
    await Polling.open(server);
    await until("all three are there", async () => (await connections()) === 3);
    await closed;
    assert.equal(pings.length, 1);
    await until("only the client that answers pings is left", async () => (await connections()) === 1);
    await pause(1_000);
    assert.equal(raw.closed, false);
    raw.close();
    await server.stop();
  });
});
