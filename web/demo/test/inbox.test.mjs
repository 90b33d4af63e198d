// Notifications on the page: the bell, the list behind it, and the title of the tab.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { chromium } from "playwright-core";
import { suiteBrowser, suiteServer } from "@realtime-server/harness/suite";
import { token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";
import { clean, connected, personOf } from "./support/person.mjs";

describe("the inbox", () => {
  const server = suiteServer();
  const browser = suiteBrowser(chromium);

  /** A window of Ana. Each test has a team of its own. */
  const enter = async (team, options) => {
    const page = await browser.open(`${server.url}/?name=Ana&team=${team}`, options);
    await connected(page);
    return page;
  };

  const publish = async (team, user, notification) => {
    const response = await fetch(`${server.url}/api/v1/notifications`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${token({ user: "service", role: "service", team })}`,
        "content-type": "application/json",
      },
      body: JSON.stringify({ user, kind: "note", ...notification }),
    });
    assert.equal(response.status, 201, await response.text());
  };

  const bell = (page, unread) =>
    page.getByRole("button", { name: unread === 0 ? /^Notifications$/ : `Notifications, ${unread} unread` });

  it("rings on two tabs of a person, and what is read on one is read on the other", async () => {
    const page = await enter("tabs");
    const { id } = await personOf(page);
    const other = await page.context().newPage();
    await other.goto(`${server.url}/?name=Ana`);
    await bell(other, 0).waitFor();
    await publish("tabs", id, { title: "The backup is done", body: "All 12 documents." });
    await bell(page, 1).waitFor();
    await bell(other, 1).waitFor();
    await until("screen readers are told", async () =>
      (await page.getByTestId("inbox").getByRole("status").innerText()).includes("The backup is done"),
    );
    await bell(page, 1).click();
    await page.getByText("All 12 documents.").waitFor();
    assert.equal(await bell(page, 1).getAttribute("aria-expanded"), "true");
    await page.getByRole("button", { name: "Mark as read: The backup is done" }).click();
    await bell(page, 0).waitFor();
    await bell(other, 0).waitFor();
  });

  it("has what was published while the page was closed, and opens its document", async () => {
    const page = await enter("away");
    const { id } = await personOf(page);
    await server.createDocument("plan", { title: "Plan", team: "away" });
    const context = page.context();
    await page.close();
    await publish("away", id, { title: "See the plan", room: "plan" });
    const back = await context.newPage();
    await back.goto(`${server.url}/?name=Ana`);
    await bell(back, 1).click();
    await back.getByRole("link", { name: "See the plan" }).click();
    await back.waitForURL(/team=away&document=plan$/);
    await back.getByRole("textbox", { name: "Text of the document" }).waitFor();
    await bell(back, 0).waitFor();
  });

  it("of a mention names the thread in the address of the document", async () => {
    const page = await enter("mention");
    const { id } = await personOf(page);
    await server.createDocument("draft", { title: "Draft", team: "mention" });
    const response = await fetch(`${server.url}/api/v1/documents/draft/threads`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${token({ user: "ben", team: "mention" })}`,
        "content-type": "application/json",
      },
      body: JSON.stringify({ body: "Ana, is this right?", mentions: [id] }),
    });
    assert.equal(response.status, 201);
    const { thread } = await response.json();
    await bell(page, 1).click();
    await page.getByRole("dialog", { name: "Notifications" }).getByText("Ana, is this right?").waitFor();
    await page.getByRole("dialog", { name: "Notifications" }).getByRole("link").click();
    await page.waitForURL((url) => url.searchParams.get("thread") === thread.id);
    await page.getByRole("textbox", { name: "Text of the document" }).waitFor();
  });

  it("is used by keyboard: open, remove, close", async () => {
    const page = await enter("keys");
    const { id } = await personOf(page);
    await publish("keys", id, { title: "First" });
    await publish("keys", id, { title: "Second", url: "https://example.com/second" });
    await bell(page, 2).focus();
    await page.keyboard.press("Enter");
    const list = page.getByRole("dialog", { name: "Notifications" });
    await list.getByText("Second").waitFor();
    assert.equal(await list.getByRole("link", { name: "Second" }).getAttribute("href"), "https://example.com/second");
    await list.getByRole("button", { name: "Remove: Second" }).focus();
    await page.keyboard.press("Enter");
    await bell(page, 1).waitFor();
    await until("the focus stays in the list", () =>
      page.evaluate(() => document.activeElement?.closest("[role=dialog]") !== null),
    );
    await list.getByRole("button", { name: "Mark all as read" }).click();
    await bell(page, 0).waitFor();
    await page.keyboard.press("Escape");
    await list.waitFor({ state: "hidden" });
    assert.equal(await bell(page, 0).getAttribute("aria-expanded"), "false");
  });

  it("shows the number in the title of a tab that is hidden, until it is shown again", async () => {
    const page = await enter("title");
    const { id } = await personOf(page);
    const show = (isHidden) =>
      page.evaluate((isHidden) => {
        Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
      }, isHidden);
    await publish("title", id, { title: "While it was visible" });
    await bell(page, 1).waitFor();
    assert.equal(await page.title(), "Documents · Realtime Server");
    await show(true);
    await publish("title", id, { title: "While it was hidden" });
    await until("the title has the number", async () => (await page.title()) === "(2) Documents · Realtime Server");
    await show(false);
    await until("the number is gone", async () => (await page.title()) === "Documents · Realtime Server");
  });

  it("breaks no rule of accessibility, on a laptop and on a phone", async () => {
    for (const viewport of [
      { width: 1280, height: 800 },
      { width: 390, height: 844 },
    ]) {
      const team = `axe-${viewport.width}`;
      const page = await enter(team, { viewport });
      const { id } = await personOf(page);
      await bell(page, 0).click();
      await page.getByText("Nothing here yet. You are notified").waitFor();
      await clean(page, "an empty inbox");
      await publish(team, id, { title: "A title ".repeat(20), body: "b".repeat(400) });
      await page.getByRole("button", { name: /^Remove/ }).waitFor();
      await clean(page, "an inbox");
    }
  });
});
