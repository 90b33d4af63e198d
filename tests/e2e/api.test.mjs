// The list of documents, by HTTP. Section HTTP of the protocol.

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { afterEach, describe, it } from "node:test";
import { databases, sqlite } from "@realtime-server/harness/databases";
import { KeySet } from "@realtime-server/harness/key-set";
import { Server } from "@realtime-server/harness/server";
import { suiteServer } from "@realtime-server/harness/suite";
import { claims, sign, token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";
import { Client, checkError, closeClients } from "./support/client.mjs";

const LIST = "/api/v1/documents";
const ORIGIN = "https://app.example.org";
const FOREIGN = "https://evil.example.org";
const RFC3339_MS = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

for (const database of databases) {
  describe(`the list of documents on ${database.name}`, () => {
    const server = suiteServer({ database, env: { CORS_ALLOWED_ORIGINS: ORIGIN, JWT_LEEWAY_MS: 0 } });
    afterEach(closeClients);

    const bearer = (person) => ({ authorization: `Bearer ${token(person)}` });
    /** One page, as `person` gets it. */
    async function list(person, query = "") {
      const response = await server.get(LIST + query, bearer(person));
      const body = await response.json();
      assert.equal(response.status, 200, JSON.stringify(body));
      return body;
    }
    /** The error of a request that has to be refused, and its status. */
    async function refusal(query, headers) {
      const response = await server.get(LIST + query, headers);
      assert.equal(response.headers.get("cache-control"), "no-store");
      const { error } = await response.json();
      return { ...checkError(error), status: response.status };
    }
    const rooms = ({ documents }) => documents.map(({ room }) => room);
    /** The rooms of a user of `team`, who has joined `names` one after the other. */
    async function author(team, names) {
      const client = await Client.connect(server, { person: { team } });
      const joined = [];
      for (const name of names) joined.push(await client.join(name));
      return joined;
    }

    it("a document is listed as in the ack of join_room, with its times", async () => {
      const began = Date.now();
      const [room] = await author("single", ["only"]);
      const answer = await list({ team: "single" });
      assert.deepEqual(Object.keys(answer), ["documents"]);
      const { document, permission } = room.joined;
      assert.deepEqual(answer.documents, [{ ...document, permission }]);
      const { created_at, updated_at, ...rest } = document;
      const created_by = { id: "ana", name: "ana's name" };
      assert.deepEqual(rest, { room: "only", document_id: room.joined.document_id, created_by, status: "draft" });
      for (const moment of [created_at, updated_at]) {
        assert.match(moment, RFC3339_MS);
        assert.ok(Date.parse(moment) >= began && Date.parse(moment) <= Date.now(), moment);
      }
      assert.equal(created_at, updated_at);
    });

    it("the document written last comes first, and reading does not change the order", async () => {
      const [one, , three] = await author("order", ["one", "two", "three"]);
      assert.deepEqual(rooms(await list({ team: "order" })), ["three", "two", "one"]);
      for (const [edited, order] of [
        [one, ["one", "three", "two"]],
        [three, ["three", "one", "two"]],
      ]) {
        const before = Date.now();
        await until("the clock, which counts milliseconds, goes on", () => Date.now() > before);
        await edited.edit(({ text }) => text.insert(0, "written"));
        assert.deepEqual(rooms(await list({ team: "order" })), order);
      }
      await (await Client.connect(server, { person: { team: "order" } })).join("two");
      assert.deepEqual(rooms(await list({ team: "order" })), ["three", "one", "two"]);
    });

    it("only what the token allows to view is listed, with the highest permission", async () => {
      await author("rights", ["article-1", "article-42", "secret-1", "other"]);
      const permissions = async (person) => {
        const { documents } = await list({ team: "rights", ...person });
        return Object.fromEntries(documents.map(({ room, permission }) => [room, permission]));
      };
      const everywhere = (permission) =>
        Object.fromEntries(["article-1", "article-42", "secret-1", "other"].map((room) => [room, permission]));
      for (const [role, permission] of [
        ["viewer", "view"],
        ["commenter", "comment"],
        ["editor", "edit"],
        ["reviewer", "review"],
        ["admin", "manage"],
      ]) {
        assert.deepEqual(await permissions({ role }), everywhere(permission), role);
      }
      const documents = { "article-*": "comment", "article-42": "edit", "secret-*": "none", other: "no such word" };
      for (const role of ["viewer", "admin"]) {
        assert.deepEqual(await permissions({ role, documents }), { "article-1": "comment", "article-42": "edit" });
      }
      assert.deepEqual(await permissions({ roles: [] }), {});
      assert.deepEqual(await permissions({ roles: [], documents: { other: "view" } }), { other: "view" });
      assert.deepEqual(await permissions({ documents: "malformed" }), {});
    });

    it("a team sees its own documents only", async () => {
      await author("red", ["shared name", "red only"]);
      await author("blue", ["shared name"]);
      const [red, blue] = [await list({ team: "red" }), await list({ team: "blue" })];
      assert.deepEqual(rooms(red), ["red only", "shared name"]);
      assert.deepEqual(rooms(blue), ["shared name"]);
      assert.notEqual(red.documents[1].document_id, blue.documents[0].document_id);
      assert.deepEqual(await list({ team: "green" }), { documents: [] });
    });

    it("all pages together have every document once", async () => {
      const names = Array.from({ length: 60 }, (_, nth) => (nth % 4 ? `page ${nth}` : `hidden ${nth}`));
      await author("pages", names);
      const person = { team: "pages", documents: { "hidden *": "none" } };
      const visible = names.filter((name) => !name.startsWith("hidden")).reverse();
      assert.equal((await list({ team: "pages" })).documents.length, 50, "the default");
      for (const limit of [1, 7, 45, 100]) {
        const met = [];
        let query = `?limit=${limit}`;
        for (;;) {
          const page = await list(person, query);
          assert.ok(page.documents.length <= limit);
          met.push(...rooms(page));
          if (!page.next_cursor) break;
          query = `?limit=${limit}&cursor=${encodeURIComponent(page.next_cursor)}`;
        }
        assert.deepEqual(met, visible, `${limit} a page`);
      }
    });

    it("a write between two pages neither repeats nor omits another document", async () => {
      const joined = await author("moving", ["a", "b", "c", "d"]);
      const first = await list({ team: "moving" }, "?limit=2");
      assert.deepEqual(rooms(first), ["d", "c"]);
      await joined[2].edit(({ text }) => text.insert(0, "moves to the front"));
      const second = await list({ team: "moving" }, `?limit=2&cursor=${first.next_cursor}`);
      assert.deepEqual(rooms(second), ["b", "a"]);
      assert.equal(second.next_cursor, undefined);
    });

    it("an impossible limit or cursor is invalid, and unknown parameters are ignored", async () => {
      for (const limit of ["0", "101", "-1", "1.5", "ten", ""]) {
        const { status, code, field } = await refusal(`?limit=${limit}`, bearer());
        assert.deepEqual([status, code, field], [400, "invalid", "limit"], limit);
      }
      for (const cursor of ["", "garbage", "%ff", "AAAA", "x".repeat(10_000)]) {
        const { status, code, field } = await refusal(`?cursor=${cursor}`, bearer());
        assert.deepEqual([status, code, field], [400, "invalid", "cursor"], cursor);
      }
      await list({}, "?limit=1&limit=100&order=asc&unknown");
    });

    for (const [defect, headers, code] of [
      ["is missing", {}, "unauthorized"],
      ["is garbage", { authorization: "Bearer not.a.token" }, "unauthorized"],
      ["comes by another scheme", { authorization: `Basic ${token()}` }, "unauthorized"],
      ["is forged", { authorization: `Bearer ${sign(claims(), "another secret")}` }, "unauthorized"],
      ["has expired", { authorization: `Bearer ${token({ ttl_s: -1 })}` }, "token_expired"],
    ]) {
      it(`a request is refused as ${code} when its token ${defect}`, async () => {
        const refused = await refusal("", headers);
        assert.deepEqual([refused.status, refused.code], [401, code]);
        const response = await server.get(LIST, headers);
        assert.equal(response.headers.get("www-authenticate"), "Bearer");
      });
    }

    it("answers forbid caches to keep them", async () => {
      const response = await server.get(LIST, bearer());
      assert.equal(response.headers.get("cache-control"), "no-store");
      assert.match(response.headers.get("content-type"), /^application\/json/);
    });

    it("pages of allowed origins can read the answer, and others cannot", async () => {
      const preflight = (origin) =>
        fetch(server.url + LIST, {
          method: "OPTIONS",
          headers: {
            origin,
            "access-control-request-method": "GET",
            "access-control-request-headers": "authorization",
          },
        });
      const allowed = await preflight(ORIGIN);
      assert.ok(allowed.ok, String(allowed.status));
      assert.equal(allowed.headers.get("access-control-allow-origin"), ORIGIN);
      assert.match(allowed.headers.get("access-control-allow-methods"), /GET/);
      assert.match(allowed.headers.get("access-control-allow-headers"), /authorization/i);
      assert.equal((await preflight(FOREIGN)).headers.get("access-control-allow-origin"), null);
      for (const [origin, echoed] of [
        [ORIGIN, ORIGIN],
        [FOREIGN, null],
      ]) {
        const response = await server.get(LIST, { ...bearer(), origin });
        assert.equal(response.headers.get("access-control-allow-origin"), echoed);
        assert.match(response.headers.get("vary"), /origin/i);
      }
      const refused = await server.get(LIST, { origin: ORIGIN });
      assert.equal(refused.status, 401);
      assert.equal(refused.headers.get("access-control-allow-origin"), ORIGIN, "a page can read why");
    });

    it("requests and refused tokens are counted", async () => {
      await server.get(LIST);
      await list();
      for (const metric of [
        `realtime_http_requests_total{route="${LIST}",status="200"}`,
        'realtime_authentication_failures_total{code="unauthorized"}',
      ]) {
        await until(`${metric} is counted`, async () => (await server.metric(metric)) >= 1);
      }
    });

    it("while the database is away the answer is storage_unavailable", { skip: !database.canBeStopped }, async () => {
      await author("outage", ["kept"]);
      await database.cluster.stop("immediate");
      const began = performance.now();
      const { status, code } = await refusal("", bearer({ team: "outage" }));
      assert.deepEqual([status, code], [503, "storage_unavailable"]);
      assert.ok(performance.now() - began < 15_000, "it waits longer than the 5 s for a connection to the database");
      await database.cluster.start();
      await until("it answers again", async () => (await server.get(LIST, bearer())).status === 200, 30_000);
      assert.deepEqual(rooms(await list({ team: "outage" })), ["kept"]);
    });
  });
}

it("a token is verified with published keys, also with keys that were not available at the start", async () => {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const keys = await KeySet.serve();
  keys.publish("own", publicKey, "ES256");
  keys.down = true;
  const server = await Server.start({ database: sqlite, env: { JWT_SECRET: undefined, JWT_JWKS_URL: keys.url } });
  const signed = sign(claims(), privateKey, { algorithm: "ES256", kid: "own" });
  const list = (bearer) => server.get(LIST, { authorization: `Bearer ${bearer}` });
  const early = await list(signed);
  assert.equal(early.status, 503);
  assert.equal(checkError((await early.json()).error).code, "overloaded");
  keys.down = false;
  await until("the keys are fetched", async () => (await list(signed)).status === 200);
  assert.equal((await list(token())).status, 401);
  keys.close();
  await server.stop();
});
