// The cases of the test suite of the Socket.IO protocol, revision 5 (`test-suite` of socketio/socket.io-protocol), under
// their names there, on this server. Its cases about Engine.IO are among those of engineio-suite.test.mjs. The suite's
// server sends back what it is sent; this one has a token, requests and answers of its own, which stand for that.
// docs/transport.md lists the differences.
//
// They need no database, so they run on SQLite alone.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as Y from "yjs";
import { suiteServer } from "@realtime-server/harness/suite";
import { token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";
import { openWebSocket, WEBSOCKET } from "./support/engine.mjs";

const TOKEN = token({ user: "suite" });
const PLACEHOLDER = (num) => `{"_placeholder":true,"num":${num}}`;

/** Opens a connection without a session, and takes the handshake of Engine.IO. */
async function open(server, headers) {
  const socket = await openWebSocket(server.url, WEBSOCKET, headers);
  assert.match(await socket.next(), /^0\{/);
  return socket;
}

/** Opens a connection with a session. */
async function connect(server) {
  const socket = await open(server);
  socket.send(`40${JSON.stringify({ token: TOKEN })}`);
  await connected(socket);
  return socket;
}

/** Takes the two packets that begin a session, and returns the second one's payload. */
async function connected(socket) {
  const accepted = await socket.next();
  assert.ok(accepted.startsWith("40{"), accepted);
  assert.deepEqual(Object.keys(JSON.parse(accepted.slice(2))), ["sid"]);
  const welcome = await socket.next();
  assert.ok(welcome.startsWith('42["connection",'), welcome);
  return JSON.parse(welcome.slice(2))[1];
}

/** Takes frames until one matches; events of the team, such as the presence of others, may come before. */
async function nextMatching(socket, pattern) {
  for (;;) {
    const frame = await socket.next();
    if (typeof frame === "string" && pattern.test(frame)) return frame;
  }
}

describe("the suite of Socket.IO", () => {
  const server = suiteServer();

  describe("connect", () => {
    it("should allow connection to the main namespace", async () => {
      const socket = await open(server, { authorization: `Bearer ${TOKEN}` });
      socket.send("40");
      assert.equal((await connected(socket)).user.id, "suite");
      socket.end();
    });

    it("should allow connection to the main namespace with a payload", async () => {
      const socket = await open(server);
      socket.send(`40${JSON.stringify({ token: TOKEN })}`);
      assert.equal((await connected(socket)).user.id, "suite");
      socket.end();
    });

    it("should disallow connection to an unknown namespace", async () => {
      const socket = await open(server);
      for (const [packet, namespace] of [
        ["40/random", "/random"],
        ["40/custom,", "/custom"],
        ['40/custom,{"token":"abc"}', "/custom"],
      ]) {
        socket.send(packet);
        assert.equal(await socket.next(), `44${namespace},{"message":"not_found"}`);
      }
      socket.end();
    });

    it("should disallow connection with an invalid handshake", async () => {
      const socket = await open(server);
      socket.send("4abc");
      await socket.close();
    });
  });

  describe("disconnect", () => {
    it("should disconnect from the main namespace", async () => {
      const socket = await connect(server);
      socket.send("41");
      // The transport is still there: it can begin another session.
      socket.send(`40${JSON.stringify({ token: TOKEN })}`);
      await nextMatching(socket, /^40\{/);
      socket.end();
    });
  });

  describe("message", () => {
    it("should send a plain-text packet", async () => {
      const socket = await connect(server);
      socket.send('42["message",1,"2",{"3":[true]}]');
      const [name, { event, error }] = JSON.parse((await nextMatching(socket, /^42\["request_error"/)).slice(2));
      assert.deepEqual([name, event, error.code], ["request_error", "message", "invalid"]);
      socket.end();
    });

    it("should send a packet with binary attachments", async () => {
      const [writer, reader] = [await connect(server), await connect(server)];
      const doc = new Y.Doc();
      doc.getText("text").insert(0, "sent");
      for (const socket of [writer, reader]) {
        socket.send('421["join_room","attachments"]');
        await nextMatching(socket, /^46\d-1\[/);
      }
      writer.send(`451-["document_update",{"room":"attachments","update":${PLACEHOLDER(0)}}]`);
      writer.send(Buffer.from(Y.encodeStateAsUpdate(doc)));
      const event = await nextMatching(reader, /^451-\["document_update"/);
      assert.equal(event, `451-["document_update",{"room":"attachments","update":${PLACEHOLDER(0)}}]`);
      const copy = new Y.Doc();
      Y.applyUpdate(copy, await reader.next());
      assert.equal(copy.getText("text").toString(), "sent");
      for (const socket of [writer, reader]) socket.end();
    });

    it("should send a plain-text packet with an ack", async () => {
      const socket = await connect(server);
      socket.send('42456["message-with-ack",1,"2",{"3":[false]}]');
      assert.match(await nextMatching(socket, /^43/), /^43456\[\{"ok":false,"error":\{"code":"invalid"/);
      socket.end();
    });

    it("should send a packet with binary attachments and an ack", async () => {
      const socket = await connect(server);
      socket.send(`452-789["join_room",{"room":"acked","state_vector":${PLACEHOLDER(1)},"other":${PLACEHOLDER(0)}}]`);
      socket.send(Buffer.of(1, 2, 3), Buffer.of(0));
      const ack = await nextMatching(socket, /^46/);
      const [, count] = ack.match(/^46(\d)-789\[\{"ok":true/);
      for (let n = 0; n < Number(count); n += 1) {
        assert.ok(ack.includes(PLACEHOLDER(n)), ack);
        assert.ok(Buffer.isBuffer(await socket.next()));
      }
      socket.end();
    });

    for (const [fault, packet] of [
      ["unknown packet type", "4abc"],
      ["invalid payload format", "42{}"],
      ["invalid ack id", '42abc["message-with-ack",1,"2",{"3":[false]}]'],
    ]) {
      it(`should close the connection upon invalid format (${fault})`, async () => {
        const socket = await connect(server);
        socket.send(packet);
        await socket.close();
      });
    }
  });
});

describe("the suite of Socket.IO, without a handshake", () => {
  const server = suiteServer({ env: { CONNECT_TIMEOUT_MS: 200 } });

  it("should close the connection if no handshake is received", async () => {
    const socket = await open(server);
    await socket.close();
    await until("nothing is left", async () => (await (await server.get("/health")).json()).connections === 0);
  });
});
