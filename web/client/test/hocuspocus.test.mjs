// An application of @hocuspocus/provider continues to work when the import and the constructor are changed.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { build, preview } from "vite";
import * as Y from "yjs";
import { HocuspocusProvider, HocuspocusProviderWebsocket } from "@realtime-server/client/hocuspocus";
import { freePort, temporaryFolder } from "@realtime-server/harness/process";
import { suiteBrowser, suiteServer } from "@realtime-server/harness/suite";
import { token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";
import { closeAll, join, text } from "./support/scene.mjs";

const socketUrl = (server) => server.url.replace("http", "ws");

describe("a Hocuspocus application with Tiptap", () => {
  const server = suiteServer();
  const browser = suiteBrowser(chromium);
  let site;

  before(async () => {
    const outDir = temporaryFolder();
    const root = fileURLToPath(new URL("pages/hocuspocus", import.meta.url));
    const alias = { "@hocuspocus/provider": "@realtime-server/client/hocuspocus" };
    await build({ root, logLevel: "error", resolve: { alias }, build: { outDir, emptyOutDir: false } });
    site = await preview({
      ...{ root, logLevel: "error", build: { outDir } },
      preview: { port: await freePort(), host: "127.0.0.1" },
    });
  });
  after(() => site?.close());
  afterEach(closeAll);

  const enter = async (name, given = token({ user: name, name })) => {
    const query = new URLSearchParams({ url: socketUrl(server), token: given, name });
    const page = await browser.open(`${site.resolvedUrls.local[0]}?${query}`);
    const shows = (selector, expected) =>
      until(`${name}'s ${selector} shows ${expected}`, async () =>
        (await page.locator(selector).innerText()).includes(expected),
      );
    return { page, shows };
  };

  it("is edited by two windows at once, with carets, and says what is saved", async () => {
    const [ana, ben] = [await enter("Ana"), await enter("Ben")];
    for (const { shows } of [ana, ben]) await shows("#status", "synced");
    await ana.page.locator(".tiptap").click();
    await ana.page.keyboard.type("Written by Ana.");
    await ben.shows(".tiptap", "Written by Ana.");
    await ana.shows("#saved", "saved");
    // At the start of the text: its middle is the label of Ana's caret, where nothing can be typed.
    await ben.page.locator(".tiptap p").click({ position: { x: 1, y: 5 } });
    await ben.page.keyboard.type("And Ben. ");
    await ana.shows(".tiptap", "And Ben.");
    await ana.shows(".collaboration-carets__label", "Ben");
    for (const { shows } of [ana, ben]) {
      await shows("#people", "Ana");
      await shows("#people", "Ben");
    }
    const properties = await ana.page.evaluate(() => {
      const { isSynced, synced, isAuthenticated, authorizedScope, hasUnsyncedChanges, unsyncedChanges } =
        window.provider;
      return { isSynced, synced, isAuthenticated, authorizedScope, hasUnsyncedChanges, unsyncedChanges };
    });
    assert.deepEqual(properties, {
      ...{ isSynced: true, synced: true, isAuthenticated: true, authorizedScope: "read-write" },
      ...{ hasUnsyncedChanges: false, unsyncedChanges: 0 },
    });
    await server.kill9();
    await ana.shows("#status", "connecting");
    await server.launch();
    await ana.shows("#status", "synced");
  });

  it("is told why it is refused", async () => {
    const { shows } = await enter("Mallory", "no token at all");
    await shows("#refused", "unauthorized");
    await shows("#status", "disconnected");
  });
});

describe("the provider of Hocuspocus", () => {
  const server = suiteServer();
  const opened = [];
  afterEach(() => {
    for (const one of opened.splice(0)) one.destroy();
    closeAll();
  });

  const open = (configuration) => {
    const own = configuration.websocketProvider ? {} : { url: socketUrl(server), token: token() };
    const provider = new HocuspocusProvider({ name: "plan", ...own, ...configuration });
    opened.push(provider);
    return provider;
  };

  it("emits the events of the original, in its order", async () => {
    const told = [];
    const provider = open({ name: "told", onStatus: ({ status }) => told.push(status) });
    for (const event of [
      "open",
      "connect",
      "synced",
      "authenticated",
      "unsyncedChanges",
      "close",
      "disconnect",
      "destroy",
    ])
      provider.on(event, (data) => told.push(data && !data.event?.type ? [event, data] : event));
    await until("it is synchronised", () => provider.isSynced);
    provider.document.getText("text").insert(0, "x");
    await until("it is saved", () => !provider.hasUnsyncedChanges);
    provider.disconnect();
    provider.destroy();
    const event = { code: 1000, reason: "" };
    assert.deepEqual(told, [
      ...["connecting", "connected", "open", "connect"],
      ...[
        ["authenticated", { scope: "read-write" }],
        ["synced", { state: true }],
        ["unsyncedChanges", { number: 1 }],
        ["unsyncedChanges", { number: 0 }],
      ],
      ...["disconnected", ["close", { event }], ["disconnect", { event }], "destroy"],
    ]);
  });

  it("shares a connection between documents, and can be connected again", async () => {
    const socket = new HocuspocusProviderWebsocket({ url: socketUrl(server) });
    const [one, two] = ["one", "two"].map((name) => open({ name, websocketProvider: socket, token: token() }));
    await until("both are synchronised", () => one.isSynced && two.isSynced);
    assert.equal(one.client, two.client);
    one.disconnect();
    two.document.getText("text").insert(0, "two");
    await until("it is saved", () => !two.hasUnsyncedChanges);
    await one.connect();
    await until("it is back", () => one.isSynced);
    opened.push(socket);
  });

  it("says that a viewer is readonly, and refuses one without a right", async () => {
    const ana = await join(server, "guarded");
    text(ana).insert(0, "kept");
    await ana.whenSaved();
    const vic = open({ name: "guarded", token: () => token({ user: "vic", role: "viewer" }) });
    await until("it is synchronised", () => vic.isSynced);
    assert.equal(vic.authorizedScope, "readonly");
    const reasons = [];
    const events = [];
    open({
      name: "guarded",
      token: () => Promise.resolve(token({ user: "out", documents: { guarded: "none" } })),
      onAuthenticationFailed: ({ reason }) => reasons.push(reason),
      onClose: ({ event }) => events.push(event),
    });
    await until("it is refused", () => reasons.length > 0);
    assert.deepEqual(reasons, ["forbidden"]);
    assert.deepEqual(events, [{ code: 4403, reason: "forbidden" }]);
  });

  it("lists awareness states by clientId, and has none where awareness is null", async () => {
    const document = new Y.Doc();
    const provider = open({ document });
    let states = [];
    provider.on("awarenessUpdate", (data) => (states = data.states));
    provider.setAwarenessField("user", { name: "Ana", color: "#f783ac" });
    assert.deepEqual(states, [{ clientId: document.clientID, user: { name: "Ana", color: "#f783ac" } }]);
    const quiet = open({ name: "quiet", awareness: null });
    assert.equal(quiet.awareness, null);
    assert.throws(() => quiet.setAwarenessField("user", {}), /awareness: null/);
  });

  it("writes to the console why it is refused where nobody listens", async (test) => {
    const write = test.mock.method(console, "error", () => {});
    open({ token: "no token at all" });
    await until("it is written", () => write.mock.callCount() > 0);
    assert.match(write.mock.calls[0].arguments[0], /^The document plan: .*\(unauthorized\)$/);
  });
});
