// Sessions at every door: their users are revoked, and their tokens lose rights. Sections 2 and 8 of the protocol. SQLite only: the
// rows are those of sessions.test.mjs. What each door does beyond this is in the file of its clients.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { suiteServer } from "@realtime-server/harness/suite";
import { claims, token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";
import { KINDS, alike, closeAll, everyKind, farewell, showToken, userOf } from "./support/doors.mjs";
import { Caller } from "./support/http.mjs";

/** The time within which a revocation takes effect, and what a busy machine may take to tell it. */
const EFFECT_MS = 2_000;
const TOLD_MS = 2_000;

/** What each kind is told when it is sent away with a code. */
const toldEach = (code, close) =>
  Object.fromEntries(KINDS.map((kind) => [kind, kind.startsWith("y-websocket") ? `${close} ${code}` : code]));

/** Waits until every client was sent away, and returns what each was told. */
const farewells = (kinds, timeout_ms) =>
  until(
    "every client was sent away",
    () => {
      const told = Object.entries(kinds).map(([kind, one]) => [kind, farewell(kind, one)]);
      return told.every(([, code]) => code !== undefined) && Object.fromEntries(told);
    },
    timeout_ms,
  );

describe("sessions at every door", () => {
  const server = suiteServer({ env: { JWT_LEEWAY_MS: 0, SOCKETS_PER_USER: 50 } });
  afterEach(closeAll);

  it("end within two seconds when their user is revoked, and those of others and with newer tokens do not", async () => {
    const platform = new Caller(server, { user: "platform", role: "service" });
    const { iat } = claims();
    const ana = await everyKind(server, "revoked", () => ({ user: "ana", iat: iat - 120 }));
    const newer = await everyKind(server, "revoked", () => ({ user: "ana", iat: iat - 30 }));
    const ben = await everyKind(server, "revoked", () => ({ user: "ben", iat: iat - 120 }));
    const issued_before = new Date((iat - 60) * 1_000).toISOString();
    await platform.ok("POST", "sessions/revoke", { user: "ana", issued_before });
    const told = await farewells(ana, EFFECT_MS + TOLD_MS);
    assert.deepEqual(told, toldEach("session_revoked", 4401));
    // Those clients that try again with the old token are refused; nothing of theirs arrives.
    for (const { text } of Object.values(ana)) text.insert(0, "x");
    for (const kinds of [newer, ben]) {
      for (const { text } of Object.values(kinds)) text.insert(0, "o");
    }
    await until("the others go on", () => [newer, ben].every(alike) && ben.native.content === "o".repeat(12));
    for (const kinds of [newer, ben]) {
      for (const [kind, one] of Object.entries(kinds)) assert.equal(farewell(kind, one), undefined, kind);
    }
  });

  it("lose the right to edit with a token without it: edits are not taken, and what others write is shown", async () => {
    const kinds = await everyKind(server, "narrowed");
    const ben = (await everyKind(server, "narrowed", (kind) => ({ user: `${userOf(kind)} 2` }))).native;
    for (const { text } of Object.values(kinds)) text.insert(0, "a");
    await until("all can write", () => alike(kinds) && ben.content === "a".repeat(KINDS.length));
    for (const [kind, one] of Object.entries(kinds)) {
      await showToken(kind, one, token({ user: userOf(kind), role: "viewer" }));
    }
    const { native, ...stock } = kinds;
    const [two, three, socket] = ["y-websocket 2", "y-websocket 3", "y-socket.io"].map((kind) => kinds[kind]);
    const hocuspocus = ["Hocuspocus 3", "Hocuspocus 4"].map((kind) => kinds[kind]);
    await until("y-websocket is back", () => [two, three].every((one) => one.connects === 2 && one.provider.synced));
    await until("y-socket.io is back", () => socket.disconnects.length === 1 && socket.provider.synced);
    await until("Hocuspocus is told", () =>
      hocuspocus.every(({ provider }) => provider.authorizedScope === "readonly" && !provider.hasUnsyncedChanges),
    );
    for (const { text } of Object.values(stock)) text.insert(0, "x");
    await assert.rejects(
      native.edit(({ text }) => text.insert(0, "x")),
      /the right: edit/,
    );
    await until("y-socket.io is told", () => socket.told.some(([event]) => event === "request_error"));
    assert.deepEqual(
      socket.told.map(([event, { error }]) => [event, error.code]),
      [["request_error", "forbidden"]],
    );
    await ben.edit(({ text }) => text.insert(text.length, "b"));
    await until("all read on", () => Object.values(stock).every(({ content }) => content.endsWith("b")));
    assert.equal(ben.content, `${"a".repeat(KINDS.length)}b`);
    for (const { provider } of hocuspocus) assert.equal(provider.hasUnsyncedChanges, true);
    for (const one of [two, three]) assert.deepEqual([one.connects, farewell("y-websocket", one)], [2, undefined]);
  });

  it("end with a token without the right to view, and each is told so", async () => {
    const kinds = await everyKind(server, "closed");
    for (const [kind, one] of Object.entries(kinds)) {
      await showToken(kind, one, token({ user: userOf(kind), documents: { closed: "none" } }));
    }
    // Long before 15 s, after which clients renew their cursors, and that would be refused as well.
    const told = await farewells(kinds, 10_000);
    assert.deepEqual(told, { ...toldEach("forbidden", 4403), "y-socket.io": "refused: forbidden" });
  });
});
