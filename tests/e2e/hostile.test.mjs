// One bad client harms nobody: malformed bytes, malformed requests, floods, stolen names.
// A to H are the classes of input that are known to break Yjs servers.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import * as Y from "yjs";
import { Client, checkError, closeClients } from "./support/client.mjs";
import {
  FOREIGN_SNAPSHOT,
  HOSTILE_STATE_VECTORS,
  OVERFLOWING_CLOCK,
  POISONED_PENDING,
  abuses,
  chain,
  everything,
  hugeCounts,
  nestedTypes,
  nestedValue,
  replica,
  waiting,
} from "./support/crafted.mjs";
import { databases } from "./support/databases.mjs";
import { memory } from "./support/process.mjs";
import { Random } from "./support/random.mjs";
import { RawSocket } from "./support/raw.mjs";
import { converged } from "./support/room.mjs";
import { Server } from "./support/server.mjs";
import { next, until } from "./support/until.mjs";

const MIB = 2 ** 20;
const PENDING_MAX = 50;
const MUTATIONS = 1_000;
const ATTACKER_ID = 4_242;

for (const database of databases) {
  describe(`hostile clients on ${database.name}`, () => {
    let server;
    let room;
    let anasClient;
    let ana;
    let ben;
    let eve;
    let rooms = 0;

    before(async () => {
      await database.start();
      const env = { PENDING_UPDATES_MAX: PENDING_MAX, REQUESTS_PER_SECOND: 10_000, UPDATES_BURST: 100_000 };
      server = await Server.start({ database, env });
    });
    after(async () => {
      const { code } = await server.stop();
      await database.stop();
      assert.equal(code, 0);
    });

    /** Ana and Ben at work in a room of their own; Eve is in it too. */
    const scene = async () => {
      room = `scene ${(rooms += 1)}`;
      anasClient = await Client.connect(server, { person: { user: "ana" } });
      ana = await anasClient.join(room, replica(1_001));
      ben = await (await Client.connect(server, { person: { user: "ben" } })).join(room, replica(1_002));
      ana.type("work of ana");
      ben.map.set("ben", "was here");
      await converged([ana, ben]);
      eve = await Client.connect(server, { person: { user: "eve" } });
      await eve.ok("join_room", room);
    };

    /** Ana and Ben are not disturbed, and who joins now sees what they see. */
    const unharmed = async () => {
      const mark = `mark ${Math.random()}`;
      await ana.edit(({ map }) => map.set("mark", mark));
      await until("the mark has arrived", () => ben.map.get("mark") === mark);
      const visitor = await Client.connect(server, { person: { user: "late" } });
      const late = await visitor.join(room);
      await converged([ana, ben, late]);
      visitor.close();
      assert.deepEqual([...ana.refusals, ...ben.refusals], []);
      assert.equal(server.alive, true);
    };

    const attack = (update) => eve.refusal("document_update", { room, update });
    const held = async () => {
      const state_vector = Y.encodeStateVector(new Y.Doc());
      const ack = await eve.ok("document_sync", { room, state_vector });
      return [ack.seq, ack.state_vector.toString("hex"), ack.update.toString("hex")];
    };

    /** The update is refused as `codes`, leaves the document as it was, and reaches nobody. */
    const isRefused = async (update, codes = ["invalid"]) => {
      const [before_attack, received] = [await held(), ana.received];
      const { code } = await attack(update);
      assert.ok(codes.includes(code), `${code}, not ${codes}`);
      assert.deepEqual(await held(), before_attack, "the document is as it was");
      assert.equal(ana.received, received, "nothing is relayed");
    };

    describe("that send broken updates", () => {
      before(scene);
      afterEach(unharmed);
      after(closeClients);

      it("are refused a clock that overflows (A)", async () => {
        const doc = replica(1);
        doc.getMap("map").set("client 1", true);
        await eve.ok("document_update", { room, update: Y.encodeStateAsUpdate(doc) });
        await until("it has arrived", () => ana.map.has("client 1"));
        await isRefused(OVERFLOWING_CLOCK);
      });

      it("poison nothing with what waits for ever (B)", async () => {
        await eve.request("document_update", { room, update: POISONED_PENDING });
      });

      it("cannot pass a snapshot for an update (C)", async () => {
        await eve.request("document_update", { room, update: FOREIGN_SNAPSHOT });
      });

      it("are refused values that are nested thousands deep (D)", async () => {
        for (const depth of [1_000, 10_000, 100_000]) await isRefused(nestedValue(ATTACKER_ID, depth));
      });

      it("are refused shared types that are nested thousands deep, at once or by and by (E)", async () => {
        for (const depth of [5_000, 50_000]) await isRefused(nestedTypes(ATTACKER_ID, 0, depth));
        let refusal;
        for (let level = 0; level < 20_000 && !refusal; level += 20) {
          const update = nestedTypes(ATTACKER_ID + 1, level, level + 20);
          const ack = await eve.request("document_update", { room, update });
          if (!ack.ok) refusal = checkError(ack.error);
        }
        assert.equal(refusal?.code, "invalid", "no depth was too much");
      });

      it("are refused counts that promise billions, which cost nothing (F)", async () => {
        const memory_before = memory(server.pid);
        const began = performance.now();
        for (const update of Object.values(hugeCounts(ATTACKER_ID))) {
          for (let time = 0; time < 5; time += 1) await attack(update);
        }
        for (const update of Object.values(hugeCounts(ATTACKER_ID))) await isRefused(update);
        assert.ok(memory(server.pid, "VmHWM") - memory_before < 128 * MIB, "memory was touched");
        assert.ok(performance.now() - began < 5_000, `${performance.now() - began} ms`);
      });

      for (const [what, update] of Object.entries(abuses(ATTACKER_ID))) {
        it(`are refused ${what}`, () => isRefused(update));
      }

      it("are refused updates that end too early", async () => {
        const whole = everything();
        for (let length = 0; length < whole.length; length += 7) await attack(whole.subarray(0, length));
        await isRefused(whole.subarray(0, whole.length - 1));
        await isRefused(new TextEncoder().encode("not an update at all"));
      });

      it(`harm nobody with ${MUTATIONS} mutations of valid updates`, async () => {
        const random = new Random(7);
        const seeds = [everything(), Y.encodeStateAsUpdate(ana.doc), ...chain(3)];
        const answers = [];
        for (let number = 0; number < MUTATIONS; number += 1) {
          const update = random.of(seeds).slice();
          for (let byte = random.below(4); byte >= 0; byte -= 1) update[random.below(update.length)] = random.below(256);
          answers.push(eve.request("document_update", { room, update }));
        }
        const refused = (await Promise.all(answers)).filter((ack) => !ack.ok);
        for (const { error } of refused) checkError(error);
        assert.ok(refused.length > MUTATIONS / 4, `${refused.length} refused`);
      });
    });

    describe("that lie about who they are", () => {
      before(scene);
      after(closeClients);

      it("cannot take the clocks of somebody present, whose later edits survive (H)", async () => {
        const thief = new Y.Doc();
        Y.applyUpdate(thief, Y.encodeStateAsUpdate(ana.doc));
        thief.clientID = ana.doc.clientID;
        const known = Y.encodeStateVector(thief);
        thief.getText("text").insert(0, "stolen ".repeat(15));
        const { code } = await attack(Y.encodeStateAsUpdate(thief, known));
        assert.ok(["conflict", "forbidden", "invalid"].includes(code), code);
        await ana.edit(({ text }) => text.insert(0, "REAL TEXT "));
        await until("it has arrived", () => ben.content.startsWith("REAL TEXT "));
        assert.ok(!ben.content.includes("stolen"));
        await unharmed();
      });

      it("cannot take them by blocks without content either (H)", async () => {
        const clock = Y.decodeStateVector(Y.encodeStateVector(ana.doc)).get(ana.doc.clientID);
        const update = Uint8Array.of(1, 1, ...varUint(ana.doc.clientID), ...varUint(clock), 0, ...varUint(1_000_000), 0);
        const { code } = await attack(update);
        assert.ok(["conflict", "forbidden", "invalid"].includes(code), code);
        await ana.edit(({ text }) => text.insert(0, "AND MORE "));
        await until("it has arrived", () => ben.content.startsWith("AND MORE "));
        await unharmed();
      });

      it("may hand on what others wrote, as every replica does", async () => {
        const carrier = await (await Client.connect(server, { person: { user: "carrier" } })).join(room);
        await converged([ana, carrier]);
        await eve.ok("document_update", { room, update: Y.encodeStateAsUpdate(carrier.doc) });
        await unharmed();
      });

      it("may not edit without the right, not even with an update that changes nothing", async () => {
        const viewer = await Client.connect(server, { person: { user: "vera", role: "viewer" } });
        await viewer.ok("join_room", room);
        for (const update of [everything(), Y.encodeStateAsUpdate(ana.doc), Y.encodeStateAsUpdate(new Y.Doc())]) {
          assert.equal((await viewer.refusal("document_update", { room, update })).code, "forbidden");
        }
        await unharmed();
      });
    });

    describe("that send what waits for ever", () => {
      beforeEach(scene);
      afterEach(closeClients);

      for (const [what, wait] of Object.entries(waiting)) {
        it(`cannot hide anything behind it from those who join later (${what})`, async () => {
          const doc = new Y.Doc();
          await eve.request("document_update", { room, update: wait(doc.clientID, 1_000) });
          Y.applyUpdate(doc, Y.encodeStateAsUpdate(ana.doc));
          const known = Y.encodeStateVector(doc);
          doc.getText("text").insert(doc.getText("text").length, "!");
          await eve.request("document_update", { room, update: Y.encodeStateAsUpdate(doc, known) });
          await unharmed();
          ana.type(" typed behind it");
          await unharmed();
        });
      }

      it("cannot keep somebody who was away from handing in what was typed meanwhile", async () => {
        await eve.request("document_update", { room, update: waiting.text(ATTACKER_ID + 2, 10) });
        await unharmed();
        const { disconnects } = anasClient;
        anasClient.breakTransport();
        ana.type(" typed while away");
        await until("she is back", () => disconnects.length > 0 && ana.settled);
        await unharmed();
        assert.ok(ben.content.includes("typed while away"));
      });
    });

    describe("that flood", () => {
      before(scene);
      after(closeClients);

      it("are refused as overloaded when too much waits for what is missing, while others go on (G)", async () => {
        const links = chain(PENDING_MAX * 3);
        const [first, ...rest] = links;
        const acks = await Promise.all(rest.map((update) => eve.request("document_update", { room, update })));
        const refused = acks.filter((ack) => !ack.ok);
        const kept = acks.length - refused.length;
        for (const { error } of refused) assert.equal(checkError(error).code, "overloaded");
        assert.ok(kept > 0 && kept <= PENDING_MAX, `${kept} are kept`);
        await unharmed();
        await eve.ok("document_update", { room, update: first });
        for (const update of rest) await eve.ok("document_update", { room, update });
        await unharmed();
        assert.ok(ana.content.length > links.length, "everything is whole in the end");
      });

      it("slow nobody down for long by thousands of refused updates", async () => {
        const garbage = new TextEncoder().encode("garbage");
        const flood = Array.from({ length: 3_000 }, () => eve.request("document_update", { room, update: garbage }));
        await unharmed();
        for (const ack of await Promise.all(flood)) assert.equal(ack.ok, false);
      });
    });

    describe("that send malformed requests", () => {
      before(scene);
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
        token_refresh: [
          [{}, "token"],
          [{ token: 42 }, "token"],
          [{ token: null }, "token"],
          [{ token: bytes }, "token"],
        ],
      };

      for (const [event, cases] of Object.entries(malformed)) {
        it(`are told what is wrong with a ${event}`, async () => {
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

      it("get a request_error where they wait for no acknowledgement", async () => {
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

      for (const [what, state_vector] of Object.entries(HOSTILE_STATE_VECTORS)) {
        it(`are refused a state vector with ${what}`, async () => {
          const memory_before = memory(server.pid);
          for (const event of ["join_room", "document_sync"]) {
            const { code, field } = await eve.refusal(event, { room, state_vector });
            assert.deepEqual([code, field], ["invalid", "state_vector"], event);
          }
          assert.ok(memory(server.pid, "VmHWM") < memory_before + 128 * MIB, "memory was touched");
        });
      }
    });

    describe("that send too much", () => {
      before(scene);
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

        it(`may be cut beyond that, over ${transports}, and come back`, async () => {
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

    describe("that send garbage instead of packets", () => {
      before(scene);
      after(closeClients);

      const garbage = {
        "an empty frame": [""],
        "no Engine.IO packet": ["x", "9", "\u0000"],
        "an unknown Socket.IO packet": ["4", "49", "4x"],
        "half an event": ["42", "42[", '42["join_room"', '42["join_room",{"room":"a"'],
        "an event that is no array": ["42{}", "42null", '42"x"', "42[]", "42[42]", "42[null]", "42[{}]"],
        "strange acknowledgement numbers": ['42-1["x"]', '4299999999999999999999999["join_room","a"]', '42007["join_room","a"]'],
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
      for (const [what, frames] of Object.entries(garbage)) {
        it(`do no harm with ${what}`, async () => {
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

      it("do no harm before they have shown a token", async () => {
        for (const frame of ['42["join_room","a"]', "40[", "40{", "41", Buffer.from([1]), `40${"[".repeat(100_000)}`]) {
          const raw = await RawSocket.open(server);
          raw.send(frame);
          raw.send('420["join_room","a"]');
          raw.send(`40${JSON.stringify({ token: "x" })}`);
          await until("it is refused or cut", () => raw.closed || raw.frames.some((it) => /^44/.test(it)));
          assert.ok(!raw.frames.some((it) => /^43/.test(it)), "nobody answers a stranger");
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
        for (const path of ["/socket.io/", "/socket.io/?EIO=3&transport=polling", "/socket.io/?EIO=4&transport=carrier"]) {
          const response = await fetch(server.url + path);
          await response.arrayBuffer();
          assert.ok(response.status >= 400 && response.status < 500, `${response.status} for ${path}`);
        }
        await unharmed();
      });
    });

    it("nothing of all that made the CRDT panic", async () => {
      const metrics = await (await server.get("/metrics")).text();
      assert.match(metrics, /^realtime_apply_panics_total 0$/m);
    });
  });
}

function varUint(number) {
  const bytes = [];
  for (; number > 127; number = Math.floor(number / 128)) bytes.push((number % 128) | 128);
  return [...bytes, number];
}
