// The hooks in a browser: components show what others do, and render no more than what they show changes.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { build, preview } from "vite";
import { freePort, temporaryFolder } from "@realtime-server/harness/process";
import { suiteBrowser, suiteServer } from "@realtime-server/harness/suite";
import { token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";
import { client, closeAll, join } from "./support/scene.mjs";

describe("the hooks", () => {
  const server = suiteServer();
  const browser = suiteBrowser(chromium);
  let site;

  before(async () => {
    const outDir = temporaryFolder();
    const root = fileURLToPath(new URL("pages/hooks", import.meta.url));
    await build({ root, logLevel: "error", build: { outDir, emptyOutDir: false } });
    site = await preview({
      ...{ root, logLevel: "error", build: { outDir } },
      preview: { port: await freePort(), host: "127.0.0.1" },
    });
  });
  after(() => site?.close());
  afterEach(closeAll);

  const enter = async (room, person) => {
    const query = new URLSearchParams({ room, url: server.url, token: token(person) });
    const page = await browser.open(`${site.resolvedUrls.local[0]}?${query}`);
    const shows = (id, expected) =>
      until(`${id} shows ${expected}`, async () => (await page.locator(`#${id}`).innerText()) === expected);
    // All components render once more with this.
    await shows("synced", "true");
    return { page, shows, renders: () => page.evaluate(() => ({ ...window.renders })) };
  };

  it("render when what they select changes, and not with each cursor", async () => {
    const ben = await join(server, "others", { person: { user: "ben", name: "Ben" } });
    const { page, shows, renders } = await enter("others", { user: "ana", name: "Ana" });
    ben.awareness.setLocalStateField("cursor", 0);
    await shows("names", "Ben");
    await shows("self", "Ana");
    await shows("others", "0");
    await page.getByRole("button").click();
    await shows("mine", "typing");
    await until("Ben sees it", () => [...ben.awareness.getStates().values()].some(({ typing }) => typing));
    const before = await renders();
    for (let cursor = 1; cursor <= 10; cursor += 1) {
      ben.awareness.setLocalStateField("cursor", cursor);
      await shows("others", String(cursor));
    }
    const moved = await renders();
    assert.equal(moved.others - before.others, 10);
    const { others, ...rest } = before;
    assert.deepEqual(
      moved,
      { ...rest, others: others + 10 },
      "a component rendered for a cursor that it does not show",
    );

    ben.awareness.setLocalStateField("typing", true);
    await shows("typing", "Ben");
    const typed = await renders();
    assert.deepEqual(typed, { ...moved, others: moved.others + 1, typing: moved.typing + 1 });

    await page.getByRole("button").click();
    await shows("mine", "reading");
    assert.deepEqual(await renders(), { ...typed, mine: typed.mine + 1 });

    ben.destroy();
    await shows("names", "");
    await shows("others", "");
  });

  it("show a live list of documents", async () => {
    const person = { user: "ana", team: "listing" };
    const { shows, renders } = await enter("list", person);
    await shows("documents", "");
    const ben = client(server, { person: { user: "ben", team: "listing" } });
    await ben.whenConnected();
    const before = await renders();
    await ben.documents.create("a", { title: "Plan A" });
    await shows("documents", "Plan A");
    await ben.documents.rename("a", "Plan B");
    await shows("documents", "Plan B");
    const { documents, ...rest } = await renders();
    assert.deepEqual({ documents, ...rest }, { ...before, documents });
  });

  it("render the number of unread notifications when the number changes, and not with each change of the list", async () => {
    const person = { user: "ana", team: "unread" };
    const { shows, renders } = await enter("unread", person);
    const other = client(server, { person });
    await other.whenConnected();
    const publish = async (title) => {
      const response = await fetch(`${server.url}/api/v1/notifications`, {
        method: "POST",
        headers: { authorization: `Bearer ${token({ user: "service", role: "service", team: "unread" })}` },
        body: JSON.stringify({ user: "ana", kind: "note", title }),
      });
      assert.equal(response.status, 201, await response.text());
    };
    await shows("unread", "0");
    await publish("first");
    await shows("unread", "1");
    await publish("second");
    await shows("unread", "2");
    const { notifications } = await other.request("notification_list", {});
    await other.notifications.markRead([notifications[0].id]);
    await shows("unread", "1");
    const before = await renders();
    // The first removal changes the list and not the number; the second one changes both, and is seen after the first.
    await other.notifications.remove([notifications[0].id]);
    await other.notifications.remove([notifications[1].id]);
    await shows("unread", "0");
    assert.deepEqual(await renders(), { ...before, unread: before.unread + 1 });
  });

  it("let the browser ask before it closes a page with unsaved edits, and only then", async () => {
    const { page, shows } = await enter("asking", { user: "ana", name: "Ana" });
    await shows("self", "Ana");
    const asks = () => page.evaluate(() => !window.dispatchEvent(new Event("beforeunload", { cancelable: true })));
    const write = () => page.evaluate(() => window.provider.doc.getText("text").insert(0, "x"));
    await until("it is synchronised", () => page.evaluate(() => window.provider.synced));
    assert.equal(await asks(), false);
    await server.kill9();
    await write();
    assert.equal(await asks(), true);
    await server.launch();
    await until("it is saved", () => page.evaluate(() => window.provider.saved));
    assert.equal(await asks(), false);
    await server.kill9();
    await write();
    await page.evaluate(() => window.provider.destroy());
    assert.equal(await asks(), false, "a document that was closed on purpose");
    await server.launch();
  });

  it("write to the console that edits of a page that was left cannot be saved", async () => {
    const { page, shows } = await enter("left", { user: "ana", name: "Ana" });
    await shows("self", "Ana");
    await until("it is synchronised", () => page.evaluate(() => window.provider.synced));
    await page.evaluate(() => {
      window.provider.doc.getText("text").insertEmbed(0, { image: "x".repeat(3 * 1024 * 1024) });
      window.leave();
    });
    await until("it is written", () => page.problems.length > 0);
    assert.match(page.problems.splice(0).join(), /Edits of the document left are not saved: .* \(too_large\)/);
  });
});
