// Updates by HTTP: `POST /api/v1/documents/{room}/updates`. Section HTTP of the protocol.

import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { afterEach, describe, it } from "node:test";
import * as Y from "yjs";
import { databases, sqlite } from "@realtime-server/harness/databases";
import { suiteServer } from "@realtime-server/harness/suite";
import { claims, sign, token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";
import { Client, checkError, closeClients } from "./support/client.mjs";
import { chain, everything, replica } from "./support/crafted.mjs";

const MIB = 1024 * 1024;
const BYTES = "application/octet-stream";
/** An update without blocks and deletions, which changes nothing. */
const NOTHING = Uint8Array.of(0, 0);

const path = (room) => `/api/v1/documents/${encodeURIComponent(room)}/updates`;
const bearer = (person) => ({ authorization: `Bearer ${token(person)}` });

/** Posts `update`; the status, and the answer's body. */
async function post(server, room, update, { person, headers, ...options } = {}) {
  const response = await fetch(server.url + path(room), {
    method: "POST",
    headers: { "content-type": BYTES, ...bearer(person), ...headers },
    body: update,
    ...options,
  });
  assert.equal(response.headers.get("cache-control"), "no-store");
  return { status: response.status, headers: response.headers, body: await response.json() };
}

/** Posts an update that has to be refused. Returns `[status, code]`, the whole error and the headers. */
async function refusal(server, room, update, options) {
  const { status, body, headers } = await post(server, room, update, options);
  assert.ok(body.error, `accepted: ${JSON.stringify(body)}`);
  return { is: [status, checkError(body.error).code], error: body.error, headers };
}

/** Begins a request: its headers are sent, the body is for the caller to write. */
function open(server, room, { person, headers } = {}) {
  const request = httpRequest(server.url + path(room), {
    method: "POST",
    headers: { ...bearer(person), "content-type": BYTES, ...headers },
  });
  const answered = new Promise((resolve, reject) => {
    request.on("response", async (response) => {
      let text = "";
      for await (const part of response) text += part;
      resolve({ status: response.statusCode, ...JSON.parse(text) });
    });
    request.on("error", reject);
  });
  request.flushHeaders();
  return { request, answered };
}

/** A document with a text of `length` characters, which no compression of Yjs makes smaller. */
function textOf(length) {
  const doc = replica(501);
  doc.getText("text").insert(0, "Some words and then more. ".repeat(length / 26 + 1).slice(0, length));
  return Y.encodeStateAsUpdate(doc);
}

/** An update of `count` map entries of some 100 bytes, each a block of its own. */
function entriesOf(count) {
  const doc = replica(502);
  const map = doc.getMap("map");
  doc.transact(() => {
    for (let nth = 0; nth < count; nth += 1) map.set(`entry ${nth}`, "value".repeat(15));
  });
  return Y.encodeStateAsUpdate(doc);
}

/** The room of a client that joins now. */
async function seen(server, room, person) {
  const client = await Client.connect(server, { person: { user: "newcomer", ...person } });
  return client.join(room);
}

for (const database of databases) {
  describe(`updates by HTTP on ${database.name}`, () => {
    const server = suiteServer({ database });
    afterEach(closeClients);

    it("an update creates a document, and is durable and visible when it is answered", async () => {
      const { status, body } = await post(server, "made by HTTP", everything());
      assert.equal(status, 200, JSON.stringify(body));
      assert.equal(body.ok, true);
      assert.ok(body.seq >= 1);
      assert.equal(body.pending, undefined);
      await server.kill9();
      await server.launch();
      const { doc } = await seen(server, "made by HTTP");
      const expected = new Y.Doc();
      Y.applyUpdate(expected, everything());
      for (const each of [doc, expected]) for (const name of ["text", "map", "array"]) each.get(name);
      assert.equal(doc.getText("text").toString(), expected.getText("text").toString());
      assert.deepEqual(doc.getArray("array").toJSON(), expected.getArray("array").toJSON());
    });

    it("clients in the room receive it at once, and merge it", async () => {
      const room = await (await Client.connect(server)).join("shared");
      await room.edit(({ text }) => text.insert(0, "typed"));
      const doc = replica(503);
      Y.applyUpdate(doc, Y.encodeStateAsUpdate(room.doc));
      doc.getText("text").insert(5, " and posted");
      const before = room.joined.members.length;
      const { status } = await post(server, "shared", Y.encodeStateAsUpdate(doc), { person: { user: "poster" } });
      assert.equal(status, 200);
      await until("it is there", () => room.content === "typed and posted");
      const { joined } = await seen(server, "shared");
      assert.equal(joined.members.length, before + 1, "the poster does not stay");
    });

    it("the same update is accepted again, and changes nothing", async () => {
      const update = chain(3)[0];
      const first = await post(server, "again", update);
      const second = await post(server, "again", update);
      assert.deepEqual([first.status, second.status], [200, 200]);
      assert.equal(second.body.seq, first.body.seq);
      assert.equal((await post(server, "again", NOTHING)).body.ok, true);
    });

    it("an update whose dependencies are missing is answered as pending", async () => {
      const { status, body } = await post(server, "waiting", chain(3)[2]);
      assert.equal(status, 200);
      assert.equal(body.pending, true);
    });

    it("a script with the right edit may send a document that others wrote", async () => {
      const authors = [1, 2, 3].map((client) => {
        const doc = replica(client);
        doc.getText("text").insert(0, `of ${client}. `);
        return Y.encodeStateAsUpdate(doc);
      });
      const { status } = await post(server, "migrated", Y.mergeUpdates(authors), { person: { role: "service" } });
      assert.equal(status, 200);
      const { content } = await seen(server, "migrated");
      for (const client of [1, 2, 3]) assert.match(content, new RegExp(`of ${client}`));
    });

    it("an update larger than UPDATE_BYTES_MAX and than the inbox of a room is accepted as a whole", async () => {
      const { status, body } = await post(server, "large", textOf(20 * MIB));
      assert.equal(status, 200, JSON.stringify(body));
      assert.equal((await seen(server, "large")).content.length, 20 * MIB);
    });
  });
}

describe("updates by HTTP are refused", () => {
  const server = suiteServer({
    database: sqlite,
    env: {
      UPDATE_BYTES_MAX: 256 * 1024,
      ROOM_INBOX_BYTES_MAX: 256 * 1024,
      DOCUMENT_BYTES_MAX: MIB,
      HTTP_BODIES_BYTES_MAX: 2 * MIB,
      HTTP_BODY_TIMEOUT_MS: 2_000,
      REQUESTS_PER_SECOND: 50,
    },
  });
  afterEach(closeClients);

  it("without the right edit", async () => {
    await post(server, "mine", everything());
    for (const person of [
      { role: "viewer" },
      { role: "reviewer" },
      { roles: [] },
      { role: "admin", documents: { mine: "view" } },
    ]) {
      const { is } = await refusal(server, "mine", everything(), { person: { user: "other", ...person } });
      assert.deepEqual(is, [403, "forbidden"], JSON.stringify(person));
    }
    assert.deepEqual((await refusal(server, "new", NOTHING, { person: { role: "viewer" } })).is, [403, "forbidden"]);
    const documents = { granted: "edit" };
    assert.equal((await post(server, "granted", NOTHING, { person: { role: "viewer", documents } })).status, 200);
  });

  it("without a valid token", async () => {
    for (const [headers, code] of [
      [{ authorization: "" }, "unauthorized"],
      [{ authorization: "Bearer no.such.token" }, "unauthorized"],
      [{ authorization: `Bearer ${sign(claims(), "another secret")}` }, "unauthorized"],
      [{ authorization: `Bearer ${token({ ttl_s: -10 })}` }, "token_expired"],
    ]) {
      assert.deepEqual((await refusal(server, "mine", NOTHING, { headers })).is, [401, code]);
    }
  });

  it("if the body is empty or not an update, or the content type or the room is invalid", async () => {
    const { is, error } = await refusal(server, "malformed", Uint8Array.of(1, 2, 3));
    assert.deepEqual([...is, error.field], [400, "invalid", "body"]);
    assert.deepEqual((await refusal(server, "malformed", new Uint8Array(0))).error.field, "body");
    for (const kind of ["application/json", "text/plain", "", "application/octet-stream2"]) {
      const refused = await refusal(server, "malformed", everything(), { headers: { "content-type": kind } });
      assert.deepEqual([...refused.is, refused.error.field], [400, "invalid", "content-type"], kind);
    }
    for (const room of ["a,b", "a\nb", "x".repeat(256)]) {
      const refused = await refusal(server, room, NOTHING);
      assert.deepEqual([...refused.is, refused.error.field], [400, "invalid", "room"], room);
    }
    const text = await (await server.get("/api/v1/documents", bearer())).text();
    assert.doesNotMatch(text, /malformed/, "a document was created");
  });

  it("if the body is larger than a document: before it is read where its length is known, else while it is read", async () => {
    const large = textOf(MIB + 1000);
    const { is, error } = await refusal(server, "too large", large);
    assert.deepEqual(is, [413, "too_large"]);
    assert.match(error.message, new RegExp(String(MIB)));
    // Without a length, and without an end.
    const endless = open(server, "too large");
    const sending = setInterval(() => endless.request.write(new Uint8Array(64 * 1024)), 1);
    assert.equal((await endless.answered).status, 413);
    clearInterval(sending);
    endless.request.destroy();
    // Only the headers are sent.
    const early = open(server, "too large", { headers: { "content-length": 10 ** 12 } });
    assert.equal((await early.answered).status, 413);
    early.request.destroy();
  });

  it("if the document would become too large", async () => {
    const doc = replica(504);
    const updates = [];
    doc.on("update", (update) => updates.push(update));
    for (const letter of "ab") doc.getText("text").insert(0, letter.repeat(0.6 * MIB));
    assert.equal((await post(server, "growing", updates[0])).status, 200);
    assert.deepEqual((await refusal(server, "growing", updates[1])).is, [413, "too_large"]);
    assert.equal((await seen(server, "growing")).content.length, Math.floor(0.6 * MIB));
  });

  it("if the body is sent too slowly", async () => {
    const began = performance.now();
    const { request, answered } = open(server, "slow", {
      person: { user: "slow" },
      headers: { "content-length": 1000 },
    });
    request.write(Uint8Array.of(1));
    const answer = await answered;
    assert.equal(answer.status, 400);
    assert.equal(answer.error.field, "body");
    assert.ok(performance.now() - began < 10_000);
  });

  it("if one user sends too many bodies at once", async () => {
    const person = { user: "busy" };
    const hang = () => Promise.all([1, 2].map(() => hangingBody(server, "hanging", person)));
    const hanging = await hangUntil("the third is refused", hang, async () => {
      const { status } = await post(server, "hanging", NOTHING, { person });
      return status === 429;
    });
    const other = await post(server, "hanging", NOTHING, { person: { user: "not busy" } });
    assert.equal(other.status, 200, "other users are not affected");
    hanging.forEach((socket) => socket.destroy());
    await until("there is room again", async () => {
      const { status } = await post(server, "hanging", NOTHING, { person });
      return status === 200;
    });
  });

  it("if all bodies together have too many bytes", async () => {
    const body = (user) => hangingBody(server, "much", { user }, new Uint8Array(0.9 * MIB));
    const hang = () => Promise.all(["one", "two"].map(body));
    const update = textOf(0.5 * MIB);
    const hanging = await hangUntil("there is no room", hang, async () => {
      const { status, body } = await post(server, "much", update, { person: { user: "three" } });
      return status === 503 && checkError(body.error).code === "overloaded";
    });
    hanging.forEach((socket) => socket.destroy());
    await until("there is room again", async () => {
      const { status } = await post(server, "much", update, { person: { user: "three" } });
      return status === 200;
    });
  });

  it("if the client disconnects before the end of the body, which has no effect", async () => {
    const socket = await hangingBody(server, "left", { user: "leaver" });
    socket.destroy();
    const { joined, content } = await seen(server, "left");
    assert.deepEqual(
      joined.members.map(({ user }) => user.id),
      ["newcomer"],
    );
    assert.equal(content, "");
  });
});

describe("a user who sends too many updates by HTTP", () => {
  // So few a second that no machine is too slow to send more.
  const server = suiteServer({ database: sqlite, env: { REQUESTS_PER_SECOND: 2 } });

  it("is refused, with the time after which one is accepted", async () => {
    const person = { user: "often" };
    const ask = () => post(server, "often", NOTHING, { person, headers: { "content-type": "x/y" } });
    const answers = await Promise.all(Array.from({ length: 40 }, ask));
    const refused = answers.filter(({ status }) => status === 429);
    assert.ok(refused.length > 0, "none is refused");
    assert.ok(answers.length - refused.length >= 4, `${refused.length} are refused, although the burst is 4`);
    for (const { body, headers } of refused) {
      assert.equal(checkError(body.error).code, "rate_limited");
      assert.ok(Number(headers.get("retry-after")) >= 1);
    }
    assert.equal((await post(server, "often", NOTHING, { person: { user: "seldom" } })).status, 200);
  });
});

/** A request whose body has begun and does not go on; resolves once the server reads it. */
async function hangingBody(server, room, person, beginning = new Uint8Array(0)) {
  const socket = connect(server.port, "127.0.0.1");
  await new Promise((resolve) => socket.once("connect", resolve));
  const head = [
    `POST ${path(room)} HTTP/1.1`,
    "host: test",
    `authorization: ${bearer(person).authorization}`,
    `content-type: ${BYTES}`,
    `content-length: ${beginning.length + 1000}`,
    "expect: 100-continue",
    "",
    "",
  ];
  socket.write(head.join("\r\n"));
  const answer = await new Promise((resolve) => socket.once("data", resolve));
  assert.match(String(answer), /^HTTP\/1\.1 100 /);
  socket.on("error", () => {});
  socket.write(beginning);
  return socket;
}

/**
 * Waits until `condition` holds while the bodies that `hang` begins hang, and returns these. The server gives up such a body
 * after HTTP_BODY_TIMEOUT_MS, for which a busy machine may keep this test from asking; then others are begun.
 */
async function hangUntil(expectation, hang, condition) {
  let hanging = [];
  await until(expectation, async () => {
    hanging.forEach((socket) => socket.destroy());
    hanging = await hang();
    await until(expectation, condition, 1_500);
    return true;
  });
  return hanging;
}

describe("50 MB by HTTP", () => {
  const server = suiteServer({ database: sqlite });
  afterEach(closeClients);

  for (const [content, update] of [
    ["a text", () => textOf(50 * MIB)],
    ["many small blocks", () => entriesOf(500_000)],
  ]) {
    it(`${content}: saved and visible to a newcomer, or refused with a reason`, async () => {
      const bytes = update();
      const { status, body } = await post(server, content, bytes);
      if (status !== 200) {
        const { code } = checkError(body.error);
        assert.ok(["too_large", "storage_unavailable", "overloaded"].includes(code), code);
        assert.equal((await seen(server, content)).content, "");
        return;
      }
      await server.kill9();
      await server.launch();
      const { doc } = await seen(server, content);
      assert.deepEqual(Y.encodeStateVector(doc), Y.encodeStateVectorFromUpdate(bytes));
    });
  }
});
