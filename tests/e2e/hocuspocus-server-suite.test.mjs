// The cases of the tests of Hocuspocus about its server (`tests/server` of ueberdosis/hocuspocus), as far as a client can see
// their subject, on this server. Each test names the cases that it answers, by file and title. The cases about the provider
// are in hocuspocus-suite.test.mjs. docs/stock-clients.md says what was left out, and lists the differences.
//
// They are about what a client sees, which is the same with every database, so they run on SQLite alone.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { WebSocket } from "ws";
import { token } from "@realtime-server/harness/tokens";
import { pause, until } from "@realtime-server/harness/until";
import { Caller } from "./support/http.mjs";
import { PEER_URL, differs, oursAlone, suitePeer } from "./support/peer.mjs";
import { Hocuspocus, Raw, Socket, closeStock } from "./support/stock.mjs";
import { frame, order, read, record, shown } from "./support/suites.mjs";

/** Names of documents that their suite calls weird. */
const NAMES = [
  ..."not-weird äöü <>{}|^ß with/slash with\\backslash 🌟 : — 漢 *".split(" "),
  "with space",
  "triple   space",
  `a-very-${"long-".repeat(8)}name`,
];
/** More than any test needs but the one about them. */
const ROOMS_PER_SOCKET = 20;
/** After this time a client has to have shown its token, and answered a ping. */
const TIMEOUT_MS = 3_000;
const PING_INTERVAL_MS = 500;
const REFUSED = differs({ ours: "unauthorized", theirs: "permission-denied" });

const shared = (server, options) => Object.assign(new Socket(server, options), { isShared: true });
const isOpen = ({ provider }) => provider.status === "connected";

/** A connection whose frames a test writes itself. */
async function openRaw(server) {
  const raw = new Raw(server, "", { door: "hocuspocus" });
  await until("it is open", () => raw.socket.readyState === WebSocket.OPEN);
  return raw;
}

describe("the suite of Hocuspocus about its server", () => {
  const server = suitePeer({ ROOM_IDLE_MS: 50, ROOMS_PER_SOCKET });
  afterEach(closeStock);

  const open = (room, options) => Hocuspocus.open(server, room, options);
  const count = (metric) => server.metric(metric).then((count) => count || 0);
  const rooms = () => count("realtime_rooms");
  const connections = () => count('realtime_connections{transport="hocuspocus"}');
  const become = (what, expected) =>
    until(`there are ${expected}`, async () => assert.equal(await what(), expected) ?? true);
  /** Waits until nothing is left of the test before. */
  const nothing = async () => (await become(rooms, 0), await become(connections, 0));

  // onAuthenticate: "doesn’t execute the onAuthenticate callback when no token is passed", "doesn’t send any message when no
  // token is provided"; requiresAuthentication: "requires a token when the onAuthenticate hook is present".
  it("who shows no token is denied, and is sent nothing of the document", async () => {
    const writer = await open("closed");
    writer.text.insert(0, "secret");
    await writer.saved();
    const one = new Hocuspocus(server, "closed", { token: null });
    const frames = record(one);
    assert.equal(await one.denied(), REFUSED);
    assert.deepEqual([order(frames), one.content, isOpen(one.socket)], [["denied"], "", true]);
  });

  // onAuthenticate: "replies with a `PermissionDenied` message when authentication fails", "disconnects provider when the
  // onAuthenticate hook throws an Error"; onConnect: "refuses connection when an error is thrown", "stops when …" (two);
  // getConnectionsCount: "close connection open when it fails", "dont close connection open when it fails …".
  it("a refused token opens no document, and leaves the connection open", async () => {
    await nothing();
    const one = new Hocuspocus(server, "refused", { token: "no-token" });
    const frames = record(one);
    assert.equal(await one.denied(), REFUSED);
    await become(connections, differs({ ours: 1, theirs: 0 }));
    assert.equal(await rooms(), 0);
    assert.deepEqual([order(frames), isOpen(one.socket), one.socket.closes], [["denied"], true, []]);
  });

  // onAuthenticate: "onAuthenticate has access to document name", "connects with the correct token", "… wrong auth only
  // disconnects affected doc (when multiplexing)".
  it("a token that is not for one document opens the other one of the connection", async () => {
    const socket = shared(server);
    const person = { user: "ana", documents: { other: "none" } };
    const other = new Hocuspocus(server, "other", { socket, person });
    assert.equal(await other.denied(), differs({ ours: "forbidden", theirs: "permission-denied" }));
    const one = await open("secret", { socket, person });
    one.text.insert(0, "in");
    await one.saved();
    assert.deepEqual([one.denials, other.provider.isAuthenticated, isOpen(socket)], [[], false, true]);
  });

  // onAuthenticate: "onAuthenticate readonly auth only affects 1 doc (when multiplexing)"; onConnect: "sets the provider to
  // readOnly", "defaults to readOnly = false", "has connection.readOnly"; onLoadDocument: "sets the provider to readOnly".
  it("a viewer's document is read-only, and the other one of the connection is not", async () => {
    const socket = shared(server);
    await open("doc1");
    const viewer = await open("doc1", { socket, person: { role: "viewer" } });
    const editor = await open("doc2", { socket });
    assert.deepEqual([viewer.provider.authorizedScope, editor.provider.authorizedScope], ["readonly", "read-write"]);
    editor.text.insert(0, "in");
    await editor.saved();
  });

  // onConnect: "has the document name", "encodes weird document names: …" (13).
  it("documents have names of all kinds, each its own content", async () => {
    const socket = shared(server);
    for (const name of NAMES) {
      const one = await open(name, { socket });
      one.text.insert(0, name);
      await one.saved();
    }
    for (const name of NAMES) assert.equal((await open(name)).content, name);
  });

  // onConnect: "has the request parameters"; getDocumentName: none of its names.
  it("parameters of the address change nothing", async () => {
    const socket = shared({ url: server.url }, { parameters: { foo: "bar", token: "no-token" } });
    const one = await open("parameters", { socket });
    one.text.insert(0, "in");
    await one.saved();
  });

  // onConnect: "cleans up correctly when provider disconnects during onLoadDocument"; onDisconnect: "the connections count is
  // correct"; onStoreDocument: "removes the document from memory when there’s no connection …".
  it("who disconnects while it opens a document leaves nothing behind", async () => {
    await nothing();
    for (let round = 0; round < 10; round += 1) {
      const one = new Hocuspocus(server, `left-${round}`);
      await until("it is connected", () => isOpen(one.socket));
      one.close();
    }
    await nothing();
  });

  // beforeHandleAwareness: "mutating states in beforeHandleAwareness rewrites the update before it is applied".
  it("nobody poses as another: the name in a state is the token's", async () => {
    const [one, other] = [await open("posing"), await open("posing", { person: { user: "ben" } })];
    one.provider.setAwarenessField("user", { name: "Spoofed", color: "#123456" });
    one.provider.setAwarenessField("foo", "bar");
    const state = await until("it is seen", () => shown(other, one)?.foo && shown(other, one));
    assert.equal(state.user.name, differs({ ours: "ana's name", theirs: "Spoofed" }));
  });

  // broadcastEncoding: "addresses every broadcast message to the receiving connection"; sessionAwareness: "two providers with
  // same doc name both connect successfully", "all outgoing messages … include sessionId", "SyncStep2 reply includes sessionId".
  it("each provider is addressed as it has called itself, and addresses the server so", async () => {
    const socket = shared(server);
    const all = [
      await open("addressed", { socket, sessionAwareness: true }),
      await open("addressed", { person: { user: "ben" } }),
      await open("addressed", { socket, sessionAwareness: true }),
    ];
    const received = all.map((one) => record(one));
    const sent = [];
    const { webSocket } = socket.provider;
    const send = webSocket.send.bind(webSocket);
    webSocket.send = (data) => (sent.push(read(data)), send(data));
    for (const one of all) one.text.insert(0, "x");
    for (const one of all) one.provider.setAwarenessField("foo", "bar");
    const done = (one) => one.content === "xxx" && all.every((other) => shown(one, other)?.foo);
    await until("all have all", () => all.every(done));
    all[0].provider.forceSync();
    for (const one of all) await one.saved();
    for (const [at, one] of all.entries())
      for (const { address } of received[at]) assert.equal(address, one.provider.effectiveName);
    for (const { address } of sent) assert.match(address, /^addressed\0./);
    assert.ok(sent.filter(({ kind }) => kind === "step 2").length > 0);
  });

  // sessionAwareness: "auth failure isolation - provider A fails, provider B succeeds".
  it("a provider is denied, and another one of its document and connection is not", async () => {
    const socket = shared(server);
    const denied = new Hocuspocus(server, "isolated", { socket, sessionAwareness: true, token: "no-token" });
    const one = await open("isolated", { socket, sessionAwareness: true });
    assert.equal(await denied.denied(), REFUSED);
    one.text.insert(0, "in");
    await one.saved();
    assert.deepEqual([one.denials, denied.content], [[], ""]);
  });

  // sessionAwareness: "false - two providers with same name on same socket throws when first is authenticated", "providers with
  // different doc names still work without sessionAwareness".
  it("without addresses of their own, two providers of a connection need two documents", async () => {
    const socket = shared(server);
    await open("plain-1", { socket });
    await open("plain-2", { socket });
    assert.throws(() => new Hocuspocus(server, "plain-1", { socket }), /Cannot attach two providers/);
  });

  // broadcastStatelessBypass: "rejects client-sent BroadcastStateless (opcode 6) — payload must not reach peers".
  it("a message that only servers may send closes its connection, and reaches nobody", async () => {
    const payloads = [];
    const victim = await open("victim", { onStateless: ({ payload }) => payloads.push(payload) });
    const raw = await openRaw(server);
    raw.socket.send(frame.auth("victim", token({ user: "eve", role: "viewer" })));
    await until("it is authenticated", () => raw.frames.length > 0);
    raw.socket.send(frame.text("victim", 6, "spoofed"));
    // Theirs closes the document, by a frame, and leaves the connection open.
    if (PEER_URL) await until("it is closed", () => raw.frames.some((bytes) => read(bytes).kind === "close"));
    else assert.deepEqual(await raw.closed(), [4400, "invalid"]);
    victim.text.insert(0, "unharmed");
    await victim.saved();
    assert.deepEqual(payloads, []);
  });

  // closeConnections: "closes a specific connection when a documentName is passed".
  it("a document is closed to those who have it open, and the others are not touched", oursAlone, async () => {
    const [closed, kept] = [await open("closed-1"), await open("closed-2")];
    await new Caller(server, { user: "ana" }).ok("DELETE", "documents/closed-1");
    assert.equal(await closed.denied(), "not_found");
    kept.text.insert(0, "kept");
    await kept.saved();
    // Theirs has closed the connection, which would open the document again.
    assert.deepEqual([isOpen(closed.socket), isOpen(kept.socket), kept.denials], [true, true, []]);
  });

  // getConnectionsCount: "returns 0 connections …", "outputs the total connections", "adds and removes connections properly",
  // "multiplexed connections counts properly"; onConnect: "the connections count is correct"; getDocumentsCount: all four.
  it("connections and documents are counted, those of one connection and those of one document once", async () => {
    await nothing();
    const socket = shared(server);
    await Promise.all(["a", "b", "c"].map((room) => open(room, { socket })));
    const others = await Promise.all([open("a"), open("d")]);
    await become(connections, 3);
    await become(rooms, 4);
    for (const one of others) one.close();
    await become(rooms, 3);
    await become(connections, 1);
    closeStock();
    await nothing();
  });

  // onLoadDocument: "multiple simultanous connections do not create multiple documents", "if a new connection connects while …".
  it("who comes while a document is loaded gets the same one", async () => {
    await nothing();
    const all = await Promise.all(Array.from({ length: 5 }, (_, n) => open("once", { person: { user: `u${n}` } })));
    assert.equal(await rooms(), 1);
    for (const one of all) one.text.insert(0, "x");
    await until("all have all", () => all.every(({ content }) => content === "xxxxx"));
  });

  // onClose: "server closes connection when receiving close event from provider", "server doesnt close connection after
  // receiving close event from all connections"; unauthenticatedQueueLimit: "does not close … closed all of its documents".
  it("documents are closed one by one, and their connection stays", async () => {
    await nothing();
    const socket = shared(server);
    const all = [await open("one", { socket }), await open("two", { socket })];
    for (const [left, one] of [...all.entries()].reverse()) {
      one.close();
      await become(rooms, left);
    }
    const again = await open("three", { socket });
    again.text.insert(0, "in");
    await again.saved();
    assert.deepEqual([socket.connects, socket.closes], [1, []]);
  });

  // onTokenSync, provider sendToken: "onTokenSync receives correct token from provider after authentication", "… works with
  // multiple providers sending tokens"; server requestToken: "… works with readonly connections …".
  it("documents of a connection are sent fresh tokens, and go on with their rights", async () => {
    const socket = shared(server);
    await open("renewed-1");
    const scopes = [];
    for (const [number, role] of [
      [1, "viewer"],
      [2, "editor"],
    ]) {
      let asked = 0;
      const fresh = () => token({ user: "ana", role, ttl_s: 3600 + (asked += 1) });
      const one = await open(`renewed-${number}`, { socket, token: fresh });
      await one.provider.sendToken();
      await one.saved();
      scopes.push(one.provider.authorizedScope);
      assert.deepEqual([asked, one.denials], [2, []]);
    }
    assert.deepEqual([scopes, socket.closes], [["readonly", "read-write"], []]);
  });

  // onTokenSync, server requestToken: "failure of onTokenSync should trigger onAuthenticationFailed hook on provider side".
  it("a refused fresh token changes nothing while the first one is valid", async () => {
    const one = await open("kept");
    await one.saved();
    const frames = record(one);
    one.provider.configuration.token = "no-token";
    await one.provider.sendToken();
    // Theirs closes the document, for which the provider takes that as the end of the connection.
    if (PEER_URL) return until("it is closed", () => frames.some(({ kind }) => kind === "close"));
    one.text.insert(0, "in");
    await one.saved();
    assert.deepEqual([one.denials, order(frames)], [[], ["status"]]);
  });

  // websocketError: "does not crash when invalid opcode is sent", "… invalid utf-8 sequence is sent pre-authentication", "… post-
  // authentication".
  it("bytes that are no frame, and texts, end their connection only", async () => {
    const witness = await open("witness");
    for (const [isAuthenticated, bytes, ours, theirs] of [
      [true, [0x80, 0x80, 0, 0, 0, 0], 4400, 1002],
      [false, [0x81, 0x82, 0, 0, 0, 0, 0xcf, 0xa9], 4400, 4401],
      [true, [0x81, 0x84, 0, 0, 0, 0, 0xce, 0xba, 0xe1, 0xbd], 4400, 1007],
    ]) {
      const raw = await openRaw(server);
      if (isAuthenticated) {
        raw.socket.send(frame.auth("witness", token({ user: "eve" })));
        await until("it is authenticated", () => raw.frames.length > 0);
      }
      raw.socket._socket.write(Buffer.from(bytes));
      assert.equal((await raw.closed())[0], differs({ ours, theirs }), JSON.stringify(bytes));
    }
    witness.text.insert(0, "unharmed");
    await witness.saved();
  });

  // unauthenticatedQueueLimit: "closes an unauthenticated connection that opens too many pending documents", "… counts in-flight
  // authentications …".
  it("a connection opens no more documents than it may", oursAlone, async () => {
    const socket = shared(server);
    const all = Array.from(
      { length: ROOMS_PER_SOCKET + 5 },
      (_, n) => new Hocuspocus(server, `limit-${n}`, { socket, token: token() }),
    );
    await until("all are answered", () => all.every((one) => one.provider.isAuthenticated || one.denials.length));
    assert.deepEqual(
      all.flatMap(({ denials }) => denials),
      Array(5).fill("too_many_rooms"),
    );
    assert.deepEqual([socket.connects, socket.closes], [1, []]);
  });

  // unauthenticatedQueueLimit: "closes an unauthenticated connection that exceeds the pre-auth byte limit".
  it("a large frame before the token closes the connection", async () => {
    const raw = await openRaw(server);
    raw.socket.send(frame.text("queued", 5, "A".repeat(6 * 2 ** 20)));
    assert.deepEqual(await raw.closed(), differs({ ours: [4413, ""], theirs: [4205, "Reset Connection"] }));
  });

  // unauthenticatedQueueLimit: "does not close an authenticated connection that later exceeds the pre-auth limits".
  it("many frames after the token do not", async () => {
    const raw = await openRaw(server);
    raw.socket.send(frame.auth("busy", token()));
    await until("it is authenticated", () => raw.frames.length > 0);
    for (let n = 0; n < 50; n += 1) raw.socket.send(frame.text("busy", 5, "A".repeat(64 * 1024)));
    // The answer to what follows says that they were read.
    raw.socket.send(frame.raw("busy", [0, 0, 1, 0]));
    await until("it is answered", () => raw.frames.some((bytes) => read(bytes).kind === "step 2"));
    assert.equal(raw.ended, undefined);
  });
});

describe("the suite of Hocuspocus about timeouts", () => {
  const server = suitePeer({ CONNECT_TIMEOUT_MS: TIMEOUT_MS, PING_INTERVAL_MS, PING_TIMEOUT_MS: TIMEOUT_MS }, 1);
  afterEach(closeStock);

  // unauthenticatedQueueLimit: "closes a continuously-sending unauthenticated connection once the pre-auth timeout elapses",
  // "closes an unauthenticated connection that exceeds the pre-auth message-count limit".
  it("frames before the token do not put off the time until which it has to come", async () => {
    const raw = await openRaw(server);
    while (!raw.ended) {
      if (raw.socket.readyState === WebSocket.OPEN) raw.socket.send(frame.text("queued", 5, "A".repeat(16)));
      await pause(100);
    }
    assert.deepEqual(raw.ended, differs({ ours: [4401, "unauthorized"], theirs: [4408, "Connection Timeout"] }));
  });

  // idleTimeout: "idle timeout does not close a connection that keeps sending pongs", "… still closes … that sends nothing".
  it("a client that answers pings stays, and one that does not is closed", async () => {
    const silent = new Raw(server, "", { door: "hocuspocus", autoPong: false });
    await until("it is open", () => silent.socket.readyState === WebSocket.OPEN);
    silent.socket.send(frame.auth("silent", token({ user: "ben" })));
    const one = await Hocuspocus.open(server, "idle", { awareness: null });
    const [code] = await silent.closed();
    assert.equal(code, differs({ ours: 1006, theirs: 4408 }));
    // Their 4.7.0 counts messages only, and closes it too, sooner or later; the case is younger.
    if (!PEER_URL) assert.deepEqual(one.socket.closes, []);
  });
});
