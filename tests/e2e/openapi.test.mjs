// The description of the HTTP interface, compared with what the server does. One database suffices: scripts/test compares
// random requests with the description on both.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, afterEach, before, describe, it } from "node:test";
import { suiteServer } from "@realtime-server/harness/suite";
import { token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";
import { Doc, encodeStateAsUpdate } from "yjs";
import { Client, closeClients } from "./support/client.mjs";
import { Description } from "./support/described.mjs";

const ROOM = "article-42";
/** The fields of an example that a request cannot have beside a field. */
const INSTEAD_OF = { ids: ["all"], sid: ["user", "issued_before"] };
const PERSON = { user: "u-17", roles: ["admin", "service"] };

describe("the description of the HTTP interface", () => {
  // A receiver of webhooks that wants no more of them, so that messages to it are failed at once.
  const receiver = createServer((request, response) =>
    request.resume().once("end", () => response.writeHead(410).end()),
  );
  const env = { WEBHOOK_SECRET: `whsec_${Buffer.alloc(32, 7).toString("base64")}` };
  let description;
  let done = new Set();

  before(async () => {
    await new Promise((resolve) => receiver.listen(0, "127.0.0.1", resolve));
    env.WEBHOOK_URL = `http://127.0.0.1:${receiver.address().port}/`;
  });
  const server = suiteServer({ env });
  before(async () => (description = await Description.read(server)));
  afterEach(closeClients);
  after(() => receiver.close());

  const send = (method, address, { person = PERSON, body, type = "application/json", headers = {} } = {}) =>
    fetch(server.url + address, {
      method: method.toUpperCase(),
      headers: { authorization: `Bearer ${token(person)}`, ...(body && { "content-type": type }), ...headers },
      body: body && (body instanceof Uint8Array ? body : JSON.stringify(body)),
    });

  /** Calls an operation, whose body is its example unless another one is given, and compares the answer. */
  async function call(name, fields, options = {}) {
    const { method } = description.operations.get(name);
    const body = options.body ?? description.body(name)?.example;
    const response = await send(method, description.address(name, fields), { ...options, body });
    return { status: response.status, body: await description.check(name, response) };
  }

  /** Calls an operation, which has to succeed; its answer. */
  async function ok(name, fields, options) {
    const { status, body } = await call(name, fields, options);
    assert.ok(status < 300, `${name}: ${status} ${JSON.stringify(body)}`);
    done.add(name);
    return body;
  }

  it("has every method of every path, and no other", async () => {
    for (const path of Object.keys(description.document.paths)) {
      const { described, others } = description.methods(path);
      const address = path.replace(/\{\w+\}/g, "some");
      const status = async (method) => (await fetch(server.url + address, { method: method.toUpperCase() })).status;
      for (const method of described) assert.ok(![404, 405].includes(await status(method)), `${method} ${path}`);
      for (const method of others) assert.equal(await status(method), 405, `${method} ${path}`);
    }
  });

  it("has an example for every body, which is accepted, and the exact shape of every answer", async () => {
    assert.equal((await call("document_put", { room: ROOM })).status, 201);
    await ok("document_put", { room: ROOM });
    await ok("document_get", { room: ROOM });
    await ok("document_patch", { room: ROOM });
    const update = encodeStateAsUpdate(new Doc());
    await ok("document_update", { room: ROOM }, { body: update, type: "application/octet-stream" });
    const client = await Client.connect(server, { person: PERSON });
    await client.join(ROOM);
    assert.equal((await ok("presence_of_team")).users.length, 1);
    assert.equal((await ok("presence_of_room", { room: ROOM })).users.length, 1);
    await ok("document_list", { q: "plan", limit: 1, status: "draft" });
    await threads();
    await ok("workflow_get", { room: ROOM });
    await ok("workflow_transition", { room: ROOM });
    assert.equal((await ok("workflow_history", { room: ROOM })).history.length, 1);
    await notices();
    await ok("document_delete", { room: ROOM });
    await ok("document_list", { trash: "true" });
    await ok("document_restore", { room: ROOM }, { body: {} });
    for (const name of [
      "health_get",
      "live_get",
      "ready_get",
      "metrics_get",
      "openapi_get",
      "asyncapi_get",
      "docs_get",
    ])
      await ok(name);
    await ok("dev_token", { user: "ana" });
    await ok("session_revoke");
    assert.deepEqual(
      [...description.operations.keys()].filter((name) => !done.has(name)),
      [],
      "operations without a call",
    );
  });

  async function threads() {
    const { thread } = await ok("thread_create", { room: ROOM });
    const of_thread = { thread_id: thread.id };
    const { comment } = await ok("comment_create", of_thread);
    const of_comment = { comment_id: comment.id };
    await ok("comment_edit", of_comment);
    await ok("reaction_add", { ...of_comment, emoji: "👍" });
    await ok("thread_resolve", of_thread);
    await ok("thread_get", of_thread);
    assert.equal((await ok("thread_list", { room: ROOM, status: "resolved" })).threads.length, 1);
    await ok("thread_reopen", of_thread);
    await ok("reaction_remove", { ...of_comment, emoji: "👍" });
    await ok("comment_delete", of_comment);
    await ok("thread_get", of_thread);
    const failed = () => ok("webhook_list", { failed: "true" });
    const { messages } = await until("a message is failed", async () => {
      const page = await failed();
      return page.messages.length && page;
    });
    await ok("webhook_retry", { message_id: messages[0].id });
    await ok("thread_delete", of_thread);
  }

  async function notices() {
    await ok("notification_publish");
    assert.equal((await ok("notification_list", { unread_only: "true" })).notifications.length, 1);
    await ok("notification_read");
    await ok("notification_list");
    await ok("notification_delete");
    await ok("notification_preferences_put");
    await ok("notification_preferences_get");
    await ok("activity_publish");
    assert.ok((await ok("activity_list", { room: ROOM })).activities.length > 5);
  }

  it("has the limits of every field: a value at the limit is accepted, one beyond it refused", async () => {
    const room = "limits";
    await ok("document_put", { room });
    const { thread } = await ok("thread_create", { room });
    const { comment } = await ok("comment_create", { thread_id: thread.id });
    const ids = { room, thread_id: thread.id, comment_id: comment.id, emoji: "👍" };
    let checked = 0;
    for (const [name, { parameters = [] }] of description.operations) {
      const in_path = parameters.filter((it) => it.in === "path").map((it) => [it.name, ids[it.name]]);
      const fields = Object.fromEntries(in_path);
      if (in_path.some(([, value]) => value === undefined)) continue;
      for (const parameter of parameters.filter((it) => it.in === "query")) {
        for (const [value, fits] of extremes(parameter.schema)) {
          const answer = await call(name, { ...fields, [parameter.name]: value });
          judge(answer, fits, `${name}, ${parameter.name}`, parameter.name);
          checked += 1;
        }
      }
      const { schema, example } = description.body(name) ?? {};
      for (const [field, property] of Object.entries(schema?.properties ?? {})) {
        for (const [value, fits] of extremes(property)) {
          const body = { ...example, [field]: value };
          for (const other of INSTEAD_OF[field] ?? []) delete body[other];
          judge(await call(name, fields, { body }), fits, `${name}, ${field}`, field);
          checked += 1;
        }
      }
    }
    assert.ok(checked > 60, `${checked} values`);
  });

  /** Values at the limits of a schema and beyond, each with whether it is within them. */
  function extremes(schema) {
    const { maxLength, minLength, maxItems, minimum, maximum, items, pattern } = description.resolve(schema);
    const id = description.resolve(items ?? {}).format === "uuid" ? "01952f3e-7a6c-7c31-9d0f-" : "u-";
    const list = (length) => Array.from({ length }, (_, nth) => id + String(nth).padStart(12, "0"));
    const text = (length) => (/^\^\(https/.test(pattern) ? `/${"x".repeat(length - 1)}` : "x".repeat(length));
    const found = [];
    if (maxLength) found.push([text(maxLength), true], [text(maxLength + 1), false]);
    if (minLength) found.push([text(minLength), true], ["", false]);
    if (maxItems) found.push([list(maxItems), true], [list(maxItems + 1), false]);
    if (maximum) found.push([maximum, true], [maximum + 1, false]);
    if (minimum) found.push([minimum, true], [minimum - 1, false]);
    return found;
  }

  /** Checks that a value was refused because of its limit, or for another reason, or not at all. */
  function judge({ status, body }, fits, what, field) {
    const said = `${what}: ${status} ${JSON.stringify(body)}`;
    const tooMany = status === 409 && field === "mentions";
    const refused = tooMany || [400, 413].includes(status);
    assert.equal(refused, !fits, said);
    if (status === 400) assert.equal(body.error.field, field, said);
  }

  it("has every error code, the same as the client", () => {
    const client = readFileSync(new URL("../../web/client/src/protocol.ts", import.meta.url), "utf8");
    const [, list] = client.match(/SERVER_ERROR_CODES = \[([^\]]*)\]/);
    const codes = [...list.matchAll(/"(\w+)"/g)].map(([, code]) => code);
    assert.deepEqual(description.document.components.schemas.ErrorCode.enum, codes);
  });

  it("has what each refusal is answered with", async () => {
    const room = "refusals";
    const refusal = async (name, fields, options) => {
      const { status, body } = await call(name, fields, options);
      return [status, body.error.code, body.error.field];
    };
    const nobody = { user: "nobody", roles: [] };
    assert.deepEqual(await refusal("document_get", { room }, { person: nobody }), [403, "forbidden", undefined]);
    assert.deepEqual(await refusal("document_get", { room }), [404, "not_found", undefined]);
    assert.deepEqual(await refusal("document_get", { room: "a,b" }), [400, "invalid", "room"]);
    assert.deepEqual(await refusal("document_patch", { room }, { body: { title: 7 } }), [400, "invalid", "title"]);
    const expired = { ...PERSON, ttl_s: -60 };
    assert.deepEqual(await refusal("presence_of_team", {}, { person: expired }), [401, "token_expired", undefined]);
    await ok("document_put", { room });
    const step = { to: "published" };
    assert.deepEqual(await refusal("workflow_transition", { room }, { body: step }), [409, "conflict", undefined]);
    const both = { all: true, ids: 7 };
    assert.deepEqual(await refusal("notification_read", {}, { body: both }), [400, "invalid", "ids"]);
    const nameless = { verb: "exported", actor: { id: "u-3", name: 7 } };
    assert.deepEqual(await refusal("activity_publish", {}, { body: nameless }), [400, "invalid", "actor"]);
    const headers = { "idempotency-key": "k".repeat(256) };
    assert.deepEqual(await refusal("thread_create", { room }, { headers }), [400, "invalid", "idempotency-key"]);
    const large = { title: "x".repeat(20_000) };
    assert.deepEqual(await refusal("document_put", { room }, { body: large }), [413, "too_large", undefined]);
  });
});
