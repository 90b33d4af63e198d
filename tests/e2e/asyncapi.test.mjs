// The description of sockets, compared with what the server and the client do. One database suffices: it is about names and shapes.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { afterEach, before, describe, it } from "node:test";
import { suiteServer } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";
import Ajv from "ajv";
import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { Client, closeClients } from "./support/client.mjs";
import { closed } from "./support/described.mjs";

const META = createRequire(import.meta.url)("@asyncapi/specs/schemas/3.0.0.json");
const read = (path) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
/** Requests of services and of applications without the client package. */
const WITHOUT_CLIENT = [
  "activity_publish",
  "notification_publish",
  "session_revoke",
  "thread_get",
  "webhook_list",
  "webhook_retry",
  "workflow_get",
];
const ROOM = "article-42";

/** The names of the members of an interface of the client, which are at its first level. */
function membersOf(name) {
  const [, body] = read("web/client/src/protocol.ts").match(RegExp(`^export interface ${name} \\{\n(.*?)^\\}`, "ms"));
  return [...body.matchAll(/^ {2}(\w+)\??:/gm)].map(([, member]) => member);
}

/** The value with a text in the place of each binary attachment, as schemas of JSON describe it. */
function asJson(value) {
  if (Buffer.isBuffer(value) || value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return "";
  if (Array.isArray(value)) return value.map(asJson);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, asJson(member)]));
}

describe("the description of sockets", () => {
  const server = suiteServer();
  let document;
  let check;
  before(async () => {
    const response = await server.get("/api/v1/asyncapi.json");
    document = await response.json();
    const ajv = addFormats(new Ajv2020({ strict: false, allErrors: true }));
    ajv.addSchema(closed({ components: document.components }), "asyncapi");
    /** Compares a payload with the description of a message. */
    check = (message, payload) => {
      const validate = ajv.compile({ $ref: `asyncapi#/components/messages/${message}/payload` });
      const json = asJson(payload);
      assert.ok(validate(json), `${message}: ${JSON.stringify(validate.errors)} in ${JSON.stringify(json)}`);
    };
  });
  afterEach(closeClients);

  /** The names of the messages of a kind: `request`, `ack` or `event`. */
  const names = (kind) => {
    const keys = Object.keys(document.components.messages).map((key) => key.split("."));
    return keys.filter(([of]) => of === kind).map(([, name]) => name);
  };

  it("is valid", () => {
    // META contains the schema of schemas itself.
    const ajv = addFormats(new Ajv({ strict: false, meta: false, validateSchema: false, allErrors: true }));
    const validate = ajv.compile(META);
    assert.ok(validate(document), JSON.stringify(validate.errors?.slice(0, 5)));
  });

  it("has the names of the client and of the server, and no others", () => {
    const sorted = (list) => [...new Set(list)].sort();
    assert.deepEqual(sorted(names("request")), sorted([...membersOf("Requests"), ...WITHOUT_CLIENT]));
    assert.deepEqual(sorted(names("ack")), sorted(names("request")));
    assert.deepEqual(sorted(names("event")), sorted(membersOf("ServerEvents")));
    const protocol = read("src/socket/protocol.rs");
    for (const [module, kind] of [
      ["request", "request"],
      ["event", "event"],
    ]) {
      const [, body] = protocol.match(RegExp(`pub mod ${module} \\{(.*?)^\\}`, "ms"));
      for (const [, name] of body.matchAll(/= "(\w+)";/g)) assert.ok(names(kind).includes(name), name);
    }
  });

  it("has the exact shape of every answer and of every event", async () => {
    const person = { user: "u-17", roles: ["admin", "service"] };
    const seen = new Set();
    const open = async (options) => {
      const client = new Client(server, options);
      client.socket.onAny((event, payload) => {
        seen.add(event);
        client.problem ??= attempt(() => check(`event.${event}`, payload));
      });
      return until("the client is connected", () => client.welcome && client);
    };
    const [ana, ben] = [await open({ person }), await open({ person: { user: "u-3" } })];
    const asked = new Set();
    const ask = async (name, payload, from = ana) => {
      const answer = await from.socket.emitWithAck(name, payload);
      assert.equal(answer.ok, true, `${name}: ${JSON.stringify(answer)}`);
      check(`request.${name}`, payload);
      check(`ack.${name}`, answer);
      asked.add(name);
      return answer;
    };
    const empty = Buffer.from([0]);
    await ask("join_room", { room: ROOM, state_vector: empty, since: 0 });
    await ask("join_room", { room: ROOM }, ben);
    await ask("document_sync", { room: ROOM, state_vector: empty });
    await ask("document_update", { room: ROOM, update: Buffer.from(UPDATE, "base64") });
    await ask("awareness_update", { room: ROOM, update: Buffer.from([1, 7, 1, 2, 0x7b, 0x7d]) });
    await ask("presence_update", { status: "busy", activity: { kind: "editing", room: ROOM } });
    await ask("presence_list", { room: ROOM });
    await ask("token_refresh", { token: ana.token });
    await ask("workflow_transition", { room: ROOM, to: "in_review" });
    await ask("workflow_get", { room: ROOM });
    await ask("workflow_history", { room: ROOM });
    const { thread } = await ask("thread_create", { room: ROOM, body: "Is it?", mentions: ["u-3"] });
    const { comment } = await ask("comment_create", { thread_id: thread.id, body: "It is." }, ben);
    await ask("comment_edit", { comment_id: comment.id, body: "It was." }, ben);
    await ask("reaction_add", { comment_id: comment.id, emoji: "👍" });
    await ask("reaction_remove", { comment_id: comment.id, emoji: "👍" });
    await ask("thread_resolve", { thread_id: thread.id });
    await ask("thread_reopen", { thread_id: thread.id });
    await ask("thread_list", { room: ROOM });
    await ask("thread_get", { thread_id: thread.id });
    await ask("comment_delete", { comment_id: comment.id });
    await ask("thread_delete", { thread_id: thread.id });
    await ask("activity_publish", { verb: "exported", room: ROOM });
    await ask("activity_list", {});
    await ask("notification_publish", { user: "u-3", kind: "export", title: "It is ready" });
    await ask("notification_list", {}, ben);
    await ask("notification_read", { all: true }, ben);
    await ask("notification_delete", { all: true }, ben);
    await ask("notification_preferences", { muted: ["reply"] }, ben);
    await ask("webhook_list", {});
    await ask("session_revoke", { user: "u-3", issued_before: "2026-01-31T12:00:00.000Z" });
    await ask("leave_room", { room: ROOM });
    ben.socket.emit("document_update", { room: "elsewhere", update: empty });
    await ask("join_room", { room: ROOM });
    await fetch(`${server.url}/api/v1/documents/${ROOM}`, {
      method: "DELETE",
      headers: { authorization: `Bearer ${ana.token}` },
    });
    // What these tests cannot cause at once: outages, lagging, large teams, failed messages to the main service.
    const rare = ["document_resync", "document_storage", "presence_changed", "token_expiring", "session_ended"];
    const expected = names("event").filter((name) => !rare.includes(name));
    await until("every event has arrived", () => expected.every((name) => seen.has(name))).catch((error) => {
      throw new Error(`${error.message}: ${expected.filter((name) => !seen.has(name))}`);
    });
    for (const client of [ana, ben]) if (client.problem) throw client.problem;
    assert.deepEqual(
      names("request").filter((name) => !asked.has(name)),
      ["webhook_retry"],
    );
  });

  it("has what a refused request is answered with", async () => {
    const client = await Client.connect(server);
    for (const [name, payload] of [
      ["join_room", { room: "a,b" }],
      ["thread_get", { thread_id: "none" }],
      ["document_sync", { room: "elsewhere", state_vector: Buffer.from([0]) }],
    ]) {
      const answer = await client.socket.emitWithAck(name, payload);
      assert.equal(answer.ok, false);
      check(`ack.${name}`, answer);
    }
  });
});

/** An update that inserts a text. */
const UPDATE = "AQEBAAQBBHRleHQFaGVsbG8A";

function attempt(work) {
  try {
    work();
  } catch (error) {
    return error;
  }
}
