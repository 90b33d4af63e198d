// Malformed requests are answered and never dropped in silence, and malformed packets do no harm to others.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import * as Y from "yjs";
import { memory } from "@realtime-server/harness/process";
import { suiteServer } from "@realtime-server/harness/suite";
import { next, until } from "@realtime-server/harness/until";
import { Client, checkError, closeClients } from "./support/client.mjs";
import { HOSTILE_STATE_VECTORS } from "./support/crafted.mjs";
import { RawSocket } from "./support/raw.mjs";
import { Scene } from "./support/scene.mjs";

const MIB = 2 ** 20;

// On SQLite alone: malformed input is refused before any database is asked.
describe("malformed input", () => {
  const server = suiteServer({ env: { REQUESTS_PER_SECOND: 10_000 } });
  let scene;
  let room;
  let eve;

  const set = async () => {
    scene = await Scene.set(server);
    ({ room, eve } = scene);
  };
  const unharmed = () => scene.unharmed();

  describe("in requests, whose senders", () => {
    before(set);
    after(closeClients);

    const bytes = new Uint8Array([0]);
    const update = new Uint8Array([0, 0]);
    const malformed = {
      join_room: [
        [{}, "room"],
        [{ room: null }, "room"],
        [{ room: 42 }, "room"],
        [{ room: ["a"] }, "room"],
        [{ room: { name: "a" } }, "room"],
        [{ room: bytes }, "room"],
        [{ room: "" }, "room"],
        [{ room: "a\0b" }, "room"],
        [{ room: "a,b" }, "room"],
        [{ room: "x".repeat(10_000) }, "room"],
        ["", "room"],
        [{ room: "ok", state_vector: "AA==" }, "state_vector"],
        [{ room: "ok", state_vector: [0] }, "state_vector"],
        [{ room: "ok", state_vector: 7 }, "state_vector"],
        [{ room: "ok", state_vector: {} }, "state_vector"],
        [{ room: "ok", state_vector: bytes, deletions_hash: "AA==" }, "deletions_hash"],
        [{ room: "ok", state_vector: bytes, deletions_hash: bytes }, "deletions_hash"],
      ],
      leave_room: [
        [{}, "room"],
        [{ room: 42 }, "room"],
        ["", "room"],
      ],
      document_sync: [
        [{ state_vector: bytes }, "room"],
        [{ room: 42, state_vector: bytes }, "room"],
        [() => ({ room }), "state_vector"],
        [() => ({ room, state_vector: null }), "state_vector"],
        [() => ({ room, state_vector: "AA==" }), "state_vector"],
        [() => ({ room, state_vector: bytes, deletions_hash: bytes }), "deletions_hash"],
      ],
      document_update: [
        [{ update }, "room"],
        [{ room: 42, update }, "room"],
        [() => ({ room }), "update"],
        [() => ({ room, update: null }), "update"],
        [() => ({ room, update: "AAA=" }), "update"],
        [() => ({ room, update: [0, 0] }), "update"],
        [() => ({ room, update: { 0: 0, 1: 0 } }), "update"],
        [() => ({ room, update: new Uint8Array(0) }), "update"],
      ],
      awareness_update: [
        [{ update }, "room"],
        [() => ({ room }), "update"],
        [() => ({ room, update: "AAA=" }), "update"],
        [() => ({ room, update: new Uint8Array([255, 255, 255, 255, 15]) }), "update"],
        [() => ({ room, update: new Uint8Array([1, 7]) }), "update"],
        [() => ({ room, update: new Uint8Array([1, 7, 1, 1, 123]) }), "update"],
      ],
      presence_update: [
        [{ status: "offline" }, "status"],
        [{ status: "" }, "status"],
        [{ status: 7 }, "status"],
        [{ activity: "editing" }, "activity"],
        [{ activity: [] }, "activity"],
        [{ activity: {} }, "activity"],
        [{ activity: { kind: 7 } }, "activity"],
        [{ activity: { kind: "x".repeat(65) } }, "activity"],
        [{ activity: { kind: "a", label: "x".repeat(256) } }, "activity"],
        [{ activity: { kind: "a", label: "a\u0000b" } }, "activity"],
        [{ activity: { kind: bytes } }, "activity"],
        [{ activity: { kind: "a", room: "a,b" } }, "room"],
        [{ status: "busy", activity: { kind: "" } }, "activity"],
      ],
      presence_list: [
        [{ room: "a,b" }, "room"],
        [{ room: 7 }, "room"],
        [{ room: "" }, "room"],
      ],
      token_refresh: [
        [{}, "token"],
        [{ token: 42 }, "token"],
        [{ token: null }, "token"],
        [{ token: bytes }, "token"],
      ],
    };

    for (const [event, cases] of Object.entries(malformed)) {
      it(`are told which field of a ${event} is invalid`, async () => {
        for (const [payload, field] of cases) {
          const sent = typeof payload === "function" ? payload() : payload;
          const error = await eve.refusal(event, sent);
          assert.deepEqual([error.code, error.field], ["invalid", field], JSON.stringify(sent));
        }
        for (const payload of [[], [null], [42], [true], [[room]], [[{ room }]], [bytes]]) {
          assert.equal((await eve.refusal(event, ...payload)).code, "invalid", JSON.stringify(payload));
        }
        assert.equal(eve.socket.connected, true);
        await unharmed();
      });
    }

    it("are told that an event is unknown", async () => {
      for (const event of ["document_destroy", "", "__proto__", "constructor", "x".repeat(10_000), "sync-step-1"]) {
        for (const payload of [[], [{ room }], [{ room, update: bytes }]]) {
          const { code, field } = await eve.refusal(event, ...payload);
          assert.deepEqual([code, field], ["invalid", "event"], event.slice(0, 20));
        }
      }
    });

    it("get a request_error where they asked for no acknowledgement", async () => {
      const heard = next(eve.socket, "request_error");
      eve.socket.emit("join_room", { room: 42 });
      const { event, error } = await heard;
      assert.equal(event, "join_room");
      assert.equal(checkError(error).field, "room");
      const unknown = next(eve.socket, "request_error");
      eve.socket.emit("no_such_event", {});
      assert.equal((await unknown).event, "no_such_event");
      const bad = next(eve.socket, "request_error");
      eve.socket.emit("document_update", { room, update: bytes });
      assert.equal((await bad).event, "document_update");
    });

    it("are told where a room has to be joined first", async () => {
      const requests = [
        ["document_update", { update }],
        ["document_sync", { state_vector: bytes }],
        ["awareness_update", { update: bytes }],
      ];
      for (const [event, payload] of requests) {
        for (const name of ["never joined", "no such document"]) {
          assert.equal((await eve.refusal(event, { room: name, ...payload })).code, "conflict", event);
        }
      }
    });

    for (const [defect, state_vector] of Object.entries(HOSTILE_STATE_VECTORS)) {
      it(`are refused a state vector with ${defect}`, async () => {
        const memory_before = memory(server.pid);
        for (const event of ["join_room", "document_sync"]) {
          const { code, field } = await eve.refusal(event, { room, state_vector });
          assert.deepEqual([code, field], ["invalid", "state_vector"], event);
        }
        assert.ok(memory(server.pid, "VmHWM") < memory_before + 128 * MIB, "memory was reserved for the count");
      });
    }
  });

  describe("of too large a size, whose senders", () => {
    before(set);
    after(closeClients);

    for (const transports of [["websocket"], ["polling"]]) {
      it(`are answered too_large up to twice the limit, over ${transports}`, async () => {
        const client = await Client.connect(server, { person: { user: "large" }, transports });
        await client.ok("join_room", room);
        const { update_bytes } = client.welcome.limits;
        for (const size of [update_bytes + 1, 2 * update_bytes - 1_000]) {
          const update = new Uint8Array(size);
          assert.equal((await client.refusal("document_update", { room, update })).code, "too_large");
        }
        const large = new Y.Doc();
        large.getMap("large").set(transports[0], "x".repeat(update_bytes - 1_000));
        await client.ok("document_update", { room, update: Y.encodeStateAsUpdate(large) });
        assert.deepEqual(client.disconnects, []);
        await unharmed();
      });

      it(`may be cut beyond that, over ${transports}, and reconnect`, async () => {
        const client = await Client.connect(server, { person: { user: "huge" }, transports });
        await client.ok("join_room", room);
        const update = new Uint8Array(4 * client.welcome.limits.update_bytes);
        await client.request("document_update", { room, update }).catch(() => {});
        await until("it is connected", () => client.socket.connected);
        await client.ok("join_room", room);
        await unharmed();
      });
    }
  });

  describe("instead of packets, whose senders", () => {
    before(set);
    after(closeClients);

    const garbage = {
      "an empty frame": [""],
      "no Engine.IO packet": ["x", "9", "\u0000"],
      "an unknown Socket.IO packet": ["4", "49", "4x"],
      "half an event": ["42", "42[", '42["join_room"', '42["join_room",{"room":"a"'],
      "an event that is no array": ["42{}", "42null", '42"x"', "42[]", "42[42]", "42[null]", "42[{}]"],
      "strange acknowledgement numbers": [
        '42-1["x"]',
        '4299999999999999999999999["join_room","a"]',
        '42007["join_room","a"]',
      ],
      "an acknowledgement of nothing": ["430[]", "43[]", '4399[{"ok":true}]'],
      "a second connect": ['40{"token":"x"}', "40"],
      "an unknown namespace": ["40/other,{}", '42/other,["join_room","a"]', "41/other,"],
      "bytes that nobody announced": [Buffer.from([1, 2, 3]), Buffer.alloc(0)],
      "text where bytes are due": ['451-7["document_update",{"update":{"_placeholder":true,"num":0}}]', "42[]"],
      "attachments that never come": ['4599999-["document_update",{}]', '45-["x"]', '45["x"]'],
      "placeholders out of range": [
        '451-8["document_update",{"room":"a","update":{"_placeholder":true,"num":99}}]',
        Buffer.from([0]),
        '451-9["document_update",{"room":"a","update":{"_placeholder":true,"num":-1}}]',
        Buffer.from([0]),
      ],
      "brackets without end": [`42["join_room",${"[".repeat(200_000)}`],
      "objects without end": [`42["join_room",${'{"a":'.repeat(100_000)}`],
      "Engine.IO close and upgrade probes": ["2probe", "5", "6", "1"],
    };
    for (const [kind, frames] of Object.entries(garbage)) {
      it(`do no harm with ${kind}`, async () => {
        for (const frame of frames) {
          const raw = await RawSocket.connect(server, { user: "garbage" });
          raw.send(frame);
          raw.send('42999["leave_room","nowhere"]');
          await until("it is answered or cut", () => raw.closed || raw.frames.some((it) => /^43999/.test(it)));
          raw.close();
        }
        const raw = await RawSocket.connect(server, { user: "garbage" });
        for (const frame of frames) raw.send(frame);
        raw.close();
        await unharmed();
      });
    }

    it("do no harm before they have sent a token", async () => {
      for (const frame of ['42["join_room","a"]', "40[", "40{", "41", Buffer.from([1]), `40${"[".repeat(100_000)}`]) {
        const raw = await RawSocket.open(server);
        raw.send(frame);
        raw.send('420["join_room","a"]');
        raw.send(`40${JSON.stringify({ token: "x" })}`);
        await until("it is refused or cut", () => raw.closed || raw.frames.some((it) => /^44/.test(it)));
        assert.ok(!raw.frames.some((it) => /^43/.test(it)), "a client without a token is answered");
        raw.close();
      }
      await unharmed();
    });

    it("do no harm by polling", async () => {
      const url = `${server.url}/socket.io/?EIO=4&transport=polling`;
      for (const path of ["&sid=nobody", "&sid=", "&sid=%00"]) {
        for (const method of ["GET", "POST"]) {
          const body = method === "POST" ? "garbage" : undefined;
          const response = await fetch(url + path, { method, body });
          await response.arrayBuffer();
          assert.ok(response.status < 500, `${response.status} for ${method} ${path}`);
        }
      }
      const handshake = await (await fetch(url)).text();
      const { sid } = JSON.parse(handshake.slice(1));
      for (const body of ["", "garbage", "4".repeat(1_000), "b====", "\u001e\u001e"]) {
        const response = await fetch(`${url}&sid=${sid}`, { method: "POST", body });
        await response.arrayBuffer();
        assert.ok(response.status < 500, `${response.status} for ${body.slice(0, 10)}`);
      }
      for (const path of [
        "/socket.io/",
        "/socket.io/?EIO=3&transport=polling",
        "/socket.io/?EIO=4&transport=carrier",
      ]) {
        const response = await fetch(server.url + path);
        await response.arrayBuffer();
        assert.ok(response.status >= 400 && response.status < 500, `${response.status} for ${path}`);
      }
      await unharmed();
    });
  });
});
