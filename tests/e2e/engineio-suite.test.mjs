// The cases of the test suite of the Engine.IO protocol, revision 4 (`test-suite` of socketio/engine.io-protocol), under
// their names there, on this server. The suite's server sends each message back; this one speaks Socket.IO on the same
// connections, so a request and its ack stand for a message and its echo. docs/transport.md lists the differences.
//
// They need no database, so they run on SQLite alone.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { suiteServer } from "@realtime-server/harness/suite";
import { token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";
import { exchange, openPolling, openWebSocket, POLLING, SEPARATOR } from "./support/engine.mjs";

/** The suite's server pings so often that a busy machine answers late; here only the cases about pings have such a server. */
const PING_INTERVAL_MS = 300;
const PING_TIMEOUT_MS = 2_000;

const CONNECT = `40${JSON.stringify({ token: token({ user: "suite" }) })}`;
const REQUEST = (ack) => `42${ack}["presence_list",{}]`;
const ANSWER = (ack) => new RegExp(`^43${ack}\\[\\{"ok":true`);

/** A connection by polling with a session. */
async function pollingSession(url) {
  const polling = await openPolling(url);
  await polling.post(CONNECT);
  for (let body = ""; !body.includes('42["connection"');) ({ body } = await polling.poll());
  return polling;
}

/** Polls until `count` packets match, and returns them in their order. */
async function polled(polling, pattern, count) {
  const found = [];
  while (found.length < count) {
    const { status, body } = await polling.poll();
    assert.equal(status, 200);
    found.push(...body.split(SEPARATOR).filter((packet) => pattern.test(packet)));
  }
  return found;
}

/** A WebSocket with a session. */
async function webSocketSession(url) {
  const socket = await openWebSocket(url);
  socket.send(CONNECT);
  for (let frame; !frame?.startsWith('42["connection"');) frame = await socket.next();
  return socket;
}

/** Takes frames until one matches, and returns it. */
async function nextMatching(socket, pattern) {
  for (;;) {
    const frame = await socket.next();
    if (typeof frame === "string" && pattern.test(frame)) return frame;
  }
}

describe("the suite of Engine.IO", () => {
  const server = suiteServer();
  const get = (path, options) => exchange(server.url + path, options);

  /** Checks a handshake. `maxPayload` is larger than the suite's million, since updates are larger. */
  const checkHandshake = (text, upgrades) => {
    assert.ok(text.startsWith("0"));
    const { sid, maxPayload, ...rest } = JSON.parse(text.slice(1));
    assert.equal(typeof sid, "string");
    assert.ok(maxPayload > 1_000_000);
    assert.deepEqual(rest, { upgrades, pingInterval: 25_000, pingTimeout: 20_000 });
  };

  describe("handshake, HTTP long-polling", () => {
    it("successfully opens a session", async () => {
      const { status, body } = await get(POLLING);
      assert.equal(status, 200);
      checkHandshake(body, ["websocket"]);
    });

    it("fails with an invalid 'EIO' query parameter", async () => {
      assert.equal((await get("/socket.io/?transport=polling")).status, 400);
      assert.equal((await get("/socket.io/?EIO=abc&transport=polling")).status, 400);
    });

    it("fails with an invalid 'transport' query parameter", async () => {
      assert.equal((await get("/socket.io/?EIO=4")).status, 400);
      assert.equal((await get("/socket.io/?EIO=4&transport=abc")).status, 400);
    });

    it("fails with an invalid request method", async () => {
      assert.equal((await get(POLLING, { method: "POST" })).status, 400);
      assert.equal((await get(POLLING, { method: "PUT" })).status, 400);
    });
  });

  describe("handshake, WebSocket", () => {
    it("successfully opens a session", async () => {
      const socket = await openWebSocket(server.url);
      checkHandshake(await socket.next(), []);
      socket.end();
    });

    // The suite waits for the end only; the server refuses the upgrade, so the status can be checked as well.
    it("fails with an invalid 'EIO' query parameter", async () => {
      assert.equal((await openWebSocket(server.url, "/socket.io/?transport=websocket")).status, 400);
      assert.equal((await openWebSocket(server.url, "/socket.io/?EIO=abc&transport=websocket")).status, 400);
    });

    it("fails with an invalid 'transport' query parameter", async () => {
      assert.equal((await openWebSocket(server.url, "/socket.io/?EIO=4")).status, 400);
      assert.equal((await openWebSocket(server.url, "/socket.io/?EIO=4&transport=abc")).status, 400);
    });
  });

  describe("message, HTTP long-polling", () => {
    it("sends and receives a payload containing one plain text packet", async () => {
      const polling = await pollingSession(server.url);
      assert.deepEqual(await polling.post(REQUEST(1)), { status: 200, body: "ok" });
      await polled(polling, ANSWER(1), 1);
      await polling.post("1");
    });

    it("sends and receives a payload containing several plain text packets", async () => {
      const polling = await pollingSession(server.url);
      const packets = [1, 2, 3].map(REQUEST).join(SEPARATOR);
      assert.deepEqual(await polling.post(packets), { status: 200, body: "ok" });
      const answers = await polled(polling, /^43\d/, 3);
      answers.forEach((answer, n) => assert.match(answer, ANSWER(n + 1)));
      await polling.post("1");
    });

    it("sends and receives a payload containing plain text and binary packets", async () => {
      const polling = await pollingSession(server.url);
      const join = '451-7["join_room",{"room":"suite","state_vector":{"_placeholder":true,"num":0}}]';
      assert.deepEqual(await polling.post([join, "bAA=="].join(SEPARATOR)), { status: 200, body: "ok" });
      const packets = await polled(polling, /^(46\d-7\[\{"ok":true|b)/, 3);
      assert.match(packets[0], /^46/);
      assert.deepEqual([packets[1][0], packets[2][0]], ["b", "b"]);
      await polling.post("1");
    });

    it("closes the session upon invalid packet format", async () => {
      const polling = await openPolling(server.url);
      assert.equal((await polling.post("abc")).status, 400);
      assert.equal((await polling.poll()).status, 400);
    });

    it("closes the session upon duplicate poll requests", async () => {
      const polling = await openPolling(server.url);
      const polls = await Promise.all([polling.poll(), polling.poll()]);
      const [first, second] = polls.sort((one, other) => one.status - other.status);
      assert.deepEqual(first, { status: 200, body: "1" });
      assert.equal(second.status, 400);
      await until("it is gone", async () => (await polling.poll()).status === 400);
    });
  });

  describe("message, WebSocket", () => {
    it("sends and receives a plain text packet", async () => {
      const socket = await webSocketSession(server.url);
      socket.send(REQUEST(1));
      await nextMatching(socket, ANSWER(1));
      socket.end();
    });

    it("sends and receives a binary packet", async () => {
      const socket = await webSocketSession(server.url);
      const join = '451-7["join_room",{"room":"suite","state_vector":{"_placeholder":true,"num":0}}]';
      socket.send(join, Buffer.of(0));
      await nextMatching(socket, /^46\d-7\[\{"ok":true/);
      assert.ok(Buffer.isBuffer(await socket.next()));
      socket.end();
    });

    it("closes the session upon invalid packet format", async () => {
      const socket = await openWebSocket(server.url);
      await socket.next();
      socket.send("abc");
      await socket.close();
    });
  });

  describe("close", () => {
    it("forcefully closes the session, HTTP long-polling", async () => {
      // The two requests take connections of their own. Where the packet came first, there was no poll to answer.
      const { polling, waited } = await until("the poll comes first", async () => {
        const polling = await openPolling(server.url);
        const [waited] = await Promise.all([polling.poll(), polling.post("1")]);
        return waited.status === 200 && { polling, waited };
      });
      assert.equal(waited.body, "6");
      assert.equal((await polling.poll()).status, 400);
    });

    it("forcefully closes the session, WebSocket", async () => {
      const socket = await openWebSocket(server.url);
      await socket.next();
      socket.send("1");
      await socket.close();
    });
  });

  describe("upgrade", () => {
    /** A connection that was upgraded: its polling, and its WebSocket. */
    const upgraded = async () => {
      const polling = await pollingSession(server.url);
      const socket = await polling.beside();
      socket.send("2probe");
      assert.equal(await socket.next(), "3probe");
      socket.send("5", REQUEST(1));
      await nextMatching(socket, ANSWER(1));
      return { polling, socket };
    };

    it("successfully upgrades from HTTP long-polling to WebSocket", async () => {
      // Without a session, so that no event of the team comes in between.
      const polling = await openPolling(server.url);
      const socket = await polling.beside();
      socket.send("2probe");
      assert.equal(await socket.next(), "3probe");
      assert.deepEqual(await polling.poll(), { status: 200, body: "6" });
      socket.send("5", CONNECT);
      await nextMatching(socket, /^42\["connection"/);
      socket.send(REQUEST(1));
      await nextMatching(socket, ANSWER(1));
      socket.end();
    });

    it("ignores HTTP requests with same sid after upgrade", async () => {
      const { polling, socket } = await upgraded();
      assert.equal((await polling.poll()).status, 400);
      socket.send(REQUEST(2));
      await nextMatching(socket, ANSWER(2));
      socket.end();
    });

    it("ignores WebSocket connection with same sid after upgrade", async () => {
      const { polling, socket } = await upgraded();
      assert.equal((await polling.beside()).status, 400);
      socket.send(REQUEST(2));
      await nextMatching(socket, ANSWER(2));
      socket.end();
    });
  });
});

describe("the suite of Engine.IO, heartbeat", { concurrency: true }, () => {
  const server = suiteServer({ env: { PING_INTERVAL_MS, PING_TIMEOUT_MS, CONNECT_TIMEOUT_MS: 60_000 } });

  it("sends ping/pong packets, HTTP long-polling", async () => {
    const polling = await openPolling(server.url);
    for (let n = 0; n < 3; n += 1) {
      assert.deepEqual(await polling.poll(), { status: 200, body: "2" });
      assert.equal((await polling.post("3")).status, 200);
    }
    await polling.post("1");
  });

  it("closes the session upon ping timeout, HTTP long-polling", async () => {
    const polling = await openPolling(server.url);
    const began = performance.now();
    while ((await polling.poll()).status === 200);
    assert.ok(performance.now() - began > PING_TIMEOUT_MS);
  });

  it("sends ping/pong packets, WebSocket", async () => {
    const socket = await openWebSocket(server.url);
    await socket.next();
    for (let n = 0; n < 3; n += 1) {
      assert.equal(await socket.next(), "2");
      socket.send("3");
    }
    socket.end();
  });

  it("closes the session upon ping timeout, WebSocket", async () => {
    const socket = await openWebSocket(server.url);
    await socket.close();
    assert.deepEqual(socket.frames.slice(1), ["2"]);
  });
});
