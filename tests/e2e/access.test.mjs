// Tokens and rights: roles, grants, teams, and the end of sessions. Sections 1 and 2 of the protocol.

import assert from "node:assert/strict";
import { afterEach, before, describe, it } from "node:test";
import * as Y from "yjs";
import { suiteServer } from "@realtime-server/harness/suite";
import { SECRET, claims, sign, token } from "@realtime-server/harness/tokens";
import { next, until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";

const ROLES = {
  viewer: { rights: ["view"], permission: "view" },
  commenter: { rights: ["comment", "view"], permission: "comment" },
  editor: { rights: ["comment", "edit", "view"], permission: "edit" },
  reviewer: { rights: ["comment", "review", "view"], permission: "review" },
  admin: { rights: ["comment", "edit", "manage", "review", "view"], permission: "manage" },
  service: { rights: ["edit", "publish", "view"], permission: "edit" },
};

/** An update by a client that has not written before. */
function someUpdate() {
  const doc = new Y.Doc();
  doc.getMap("map").set(`key ${doc.clientID}`, true);
  return Y.encodeStateAsUpdate(doc);
}

// On SQLite alone: rights follow from the token, without a query.
describe("access", () => {
  const server = suiteServer();
  before(async () => {
    const ana = await Client.connect(server);
    for (const room of ["known", "article-1", "article-42", "article-42-draft", "other"]) await ana.join(room);
    closeClients();
  });
  afterEach(closeClients);

  const connect = (person) => Client.connect(server, { person });
  const mayEdit = async (client, room) => {
    const ack = await client.request("document_update", { room, update: someUpdate() });
    if (!ack.ok) assert.equal(ack.error.code, "forbidden");
    return ack.ok;
  };

  for (const [role, { rights, permission }] of Object.entries(ROLES)) {
    it(`a token with the role ${role} has the rights ${rights.join(", ")}`, async () => {
      const client = await connect({ user: role, role });
      assert.deepEqual([...client.welcome.rights].sort(), rights);
      const ack = await client.ok("join_room", "known");
      assert.deepEqual([...ack.rights].sort(), rights);
      assert.equal(ack.permission, permission);
      assert.equal(await mayEdit(client, "known"), rights.includes("edit"));
    });
  }

  it("the rights of several roles add up, and a role that is unknown adds none", async () => {
    const client = await connect({ roles: ["reviewer", "service", "astronaut"] });
    assert.deepEqual([...client.welcome.rights].sort(), ["comment", "edit", "publish", "review", "view"]);
    const ack = await client.ok("join_room", "known");
    assert.equal(ack.permission, "edit");
    assert.equal(await mayEdit(client, "known"), true);
  });

  it("a token without known roles connects and may do nothing", async () => {
    for (const held of [claims({ roles: null }), claims({ roles: [] }), claims({ roles: ["astronaut"] })]) {
      const client = await Client.connect(server, { token: sign(held) });
      assert.deepEqual(client.welcome.rights, []);
      assert.equal((await client.refusal("join_room", "known")).code, "forbidden");
    }
  });

  it("a grant replaces the role, with more rights or fewer: the exact name wins, then the longest prefix", async () => {
    const documents = {
      "article-*": "comment",
      "article-42": "edit",
      "article-42-*": "none",
      known: "manage",
      "oth*": "view",
    };
    for (const role of ["viewer", "admin"]) {
      const client = await connect({ user: `granted ${role}`, role, documents });
      const permission = async (room) => (await client.ok("join_room", room)).permission;
      assert.equal(await permission("article-1"), "comment");
      assert.equal(await mayEdit(client, "article-1"), false);
      assert.equal(await permission("article-42"), "edit");
      assert.equal(await mayEdit(client, "article-42"), true);
      assert.equal((await client.refusal("join_room", "article-42-draft")).code, "forbidden");
      assert.equal(await permission("known"), "manage");
      assert.equal(await mayEdit(client, "known"), true);
      assert.equal(await permission("other"), "view");
      assert.equal(await mayEdit(client, "other"), false);
    }
  });

  it("a grant of edit lets its holder create that document", async () => {
    const client = await connect({ user: "invited", role: "viewer", documents: { "mine-*": "edit" } });
    await client.ok("join_room", "mine-1");
    assert.equal((await client.refusal("join_room", "theirs-1")).code, "not_found");
  });

  it("a grant of review includes comment, and a grant of manage includes every right", async () => {
    const client = await connect({ role: "viewer", documents: { known: "review", other: "manage" } });
    assert.deepEqual([...(await client.ok("join_room", "known")).rights].sort(), ["comment", "review", "view"]);
    const rights = (await client.ok("join_room", "other")).rights;
    for (const right of ["comment", "edit", "manage", "review", "view"]) assert.ok(rights.includes(right), right);
  });

  it("a team cannot reach the documents of another team, whatever a payload says", async () => {
    const ana = await (await connect({ user: "ana" })).join("known");
    const rival = await (await connect({ user: "ana", team: "rival" })).join("known");
    assert.notEqual(ana.joined.document_id, rival.joined.document_id);
    await ana.edit(({ text }) => text.insert(0, "a secret of acme"));
    await rival.edit(({ map }) => map.set("mine", true));
    assert.equal(rival.content, "");
    assert.equal(rival.received, 0);
  });

  it("a token without a team belongs to the team default, and without a name shows the id", async () => {
    const bare = await Client.connect(server, { token: sign({ sub: "u-2", exp: claims().exp, roles: ["editor"] }) });
    assert.equal(bare.welcome.team, "default");
    assert.equal(bare.welcome.user.name, "u-2");
    assert.equal("avatar_url" in bare.welcome.user, false);
  });

  for (const [defect, bad, code] of [
    ["is missing", undefined, "unauthorized"],
    ["is empty", "", "unauthorized"],
    ["is garbage", "not.a.token", "unauthorized"],
    ["is no text", 42, "unauthorized"],
    ["has expired", token({ ttl_s: -60 }), "token_expired"],
    ["is signed with another secret", sign(claims(), "another secret, of the same length as ours"), "unauthorized"],
    ["is expired and forged", sign(claims({ ttl_s: -60 }), "another secret"), "unauthorized"],
    ["was altered", altered(token({ role: "viewer" })), "unauthorized"],
    ["is not signed (alg none)", sign(claims(), SECRET, { algorithm: "none" }), "unauthorized"],
    ["is signed with another algorithm", sign(claims(), SECRET, { algorithm: "HS512" }), "unauthorized"],
    ["has no exp", sign(claims({ exp: undefined })), "unauthorized"],
    ["has no sub", sign(claims({ sub: undefined })), "unauthorized"],
    ["is not valid yet", sign(claims({ nbf: claims().iat + 600 })), "unauthorized"],
    ["is far too long", sign(claims({ padding: "x".repeat(20_000) })), "unauthorized"],
  ]) {
    it(`a connection is refused as ${code} when its token ${defect}`, async () => {
      for (const transports of [["websocket"], ["polling"]]) {
        const auth = bad === undefined ? {} : { token: bad };
        assert.equal(await Client.refused(server, { auth, transports }), code);
      }
    });
  }

  it("a token may come as Authorization header", async () => {
    for (const transports of [["websocket"], ["polling"]]) {
      const extraHeaders = { Authorization: `Bearer ${token({ user: "by-header" })}` };
      const client = await Client.connect(server, { auth: {}, extraHeaders, transports });
      assert.equal(client.welcome.user.id, "by-header");
      assert.equal(
        await Client.refused(server, { auth: {}, extraHeaders: { Authorization: "Bearer x" } }),
        "unauthorized",
      );
    }
  });

  it("a refused client is accepted when it connects again with a valid token", async () => {
    const client = new Client(server, { token: "not.a.token" });
    await next(client.socket, "connect_error");
    client.token = token();
    client.socket.connect();
    await until("the client is connected", () => client.welcome);
  });
});

describe("sessions and their tokens", () => {
  const server = suiteServer({ env: { JWT_LEEWAY_MS: 0, TOKEN_NOTICE_MS: 60_000, TOKEN_GRACE_MS: 1_000 } });
  afterEach(closeClients);

  const ANA = { user: "ana" };
  /** How long a token is valid that expires during a test: long enough to connect with it on a slow machine. */
  const TTL_S = 5;
  /** When a session whose token has expired has ended at the latest: long before the end of the usual 25 s. */
  const LATE_MAX_MS = 10_000;

  it("token_expiring comes at once when less than the notice is left, and not before", async () => {
    const long = await Client.connect(server, { person: ANA });
    const early = [];
    long.socket.on("token_expiring", (payload) => early.push(payload));
    const short = new Client(server, { token: sign(claims({ ...ANA, ttl_s: 30 })) });
    const { expires_at } = await next(short.socket, "token_expiring");
    const left_ms = Date.parse(expires_at) - Date.now();
    assert.ok(left_ms > 20_000 && left_ms <= 30_000, `${left_ms} ms`);
    assert.deepEqual(early, []);
  });

  it("a refresh prolongs the session, again and again", async () => {
    const short = new Client(server, { token: token({ ...ANA, ttl_s: TTL_S }) });
    const ended = [];
    short.socket.on("session_ended", (payload) => ended.push(payload));
    await next(short.socket, "connection");
    const first_end = Date.parse(short.welcome.session.expires_at);
    const fresh = claims({ ...ANA, ttl_s: 3_600 });
    const ack = await short.ok("token_refresh", { token: sign(fresh) });
    assert.equal(Date.parse(ack.expires_at), fresh.exp * 1_000);
    assert.deepEqual([...ack.rights].sort(), ["comment", "edit", "view"]);
    await until("the first token would have ended the session", () => Date.now() > first_end + 1_500);
    assert.deepEqual(ended, []);
    assert.equal(short.socket.connected, true);
    await short.ok("join_room", "refreshed");
  });

  it("a refresh without the right edit stops editing at once, and one with it allows editing again", async () => {
    const client = await Client.connect(server, { person: ANA });
    await client.ok("join_room", "rights");
    await client.ok("document_update", { room: "rights", update: someUpdate() });
    const lost = await client.ok("token_refresh", { token: token({ ...ANA, role: "viewer" }) });
    assert.deepEqual(lost.rights, ["view"]);
    assert.equal((await client.refusal("document_update", { room: "rights", update: someUpdate() })).code, "forbidden");
    await client.ok("token_refresh", { token: token({ ...ANA, role: "editor" }) });
    await client.ok("document_update", { room: "rights", update: someUpdate() });
  });

  it("a refresh without the right view closes the room for that session only", async () => {
    const client = await Client.connect(server, { person: ANA });
    const room = await client.join("closed");
    const kept = await client.join("kept");
    const ben = await (await Client.connect(server, { person: { user: "ben" } })).join("closed");
    const narrowed = token({ ...ANA, documents: { closed: "none" } });
    await client.ok("token_refresh", { token: narrowed });
    await until("the room is closed", () => room.closed.length > 0);
    assert.deepEqual(room.closed, [{ room: "closed", code: "forbidden" }]);
    await ben.edit(({ text }) => text.insert(0, "not for ana"));
    await kept.edit(({ text }) => text.insert(0, "still here"));
    assert.equal(room.received, 0);
    assert.equal((await client.refusal("join_room", "closed")).code, "forbidden");
    const refused = await client.refusal("document_update", { room: "closed", update: someUpdate() });
    assert.ok(["forbidden", "conflict"].includes(refused.code), refused.code);
    assert.deepEqual(ben.closed, []);
  });

  it("a refused refresh changes nothing", async () => {
    const client = await Client.connect(server, { person: ANA });
    const room = await client.join("unchanged");
    for (const [bad, code] of [
      [token({ user: "ben" }), "forbidden"],
      [token({ ...ANA, team: "rival" }), "forbidden"],
      [token({ ...ANA, role: "viewer", ttl_s: -60 }), "token_expired"],
      [sign(claims({ ...ANA, role: "viewer" }), "another secret"), "unauthorized"],
      ["garbage", "unauthorized"],
    ]) {
      assert.equal((await client.refusal("token_refresh", { token: bad })).code, code);
      await room.edit(({ map }) => map.set("still", code));
    }
  });

  it("without a refresh the session ends soon after its token has expired, and the client is told", async () => {
    const client = new Client(server, { token: token({ ...ANA, ttl_s: TTL_S }) });
    await next(client.socket, "connection");
    const expires_at = Date.parse(client.welcome.session.expires_at);
    const { code } = await next(client.socket, "session_ended");
    const late_ms = Date.now() - expires_at;
    assert.equal(code, "token_expired");
    assert.ok(late_ms > 900 && late_ms < LATE_MAX_MS, `${late_ms} ms after exp`);
    await until("it is disconnected", () => client.disconnects.length === 1);
    assert.equal(await Client.refused(server, { token: client.token }), "token_expired");
  });
});

/** The same token with the rights of an admin written into it. */
function altered(original) {
  const [header, payload, signature] = original.split(".");
  const changed = { ...JSON.parse(Buffer.from(payload, "base64url")), roles: ["admin"] };
  return [header, Buffer.from(JSON.stringify(changed)).toString("base64url"), signature].join(".");
}
