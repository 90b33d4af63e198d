// What the page says about a server that is slow, or that takes no further window, and how it says it.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { RealtimeClient } from "@realtime-server/client";
import { chromium } from "playwright-core";
import { suiteBrowser, suiteServer } from "@realtime-server/harness/suite";
import { token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";
import { closeWriters, Writer } from "./support/writers.mjs";

/** How many connections a person may have, by default. */
const WINDOWS_MAX = 20;

describe("the status of the page", () => {
  const server = suiteServer();
  const browser = suiteBrowser(chromium);
  const clients = [];
  afterEach(closeWriters);
  afterEach(() => clients.splice(0).forEach((client) => client.destroy()));

  const status = (page) => page.getByTestId("status").innerText();
  const saved = (page) => until("the page says that all is saved", async () => (await status(page)) === "Saved");
  const open = async (room) => {
    await Writer.enter(server, room, "Ben"); // who begins the document
    const page = await browser.open(`${server.url}/?document=${room}&name=Ana`);
    await saved(page);
    return page;
  };

  it("says that a connected server takes longer than usual after 5 s without an answer, and takes it back", async () => {
    const page = await open("slow");
    await page.locator(".ProseMirror").click();
    process.kill(server.pid, "SIGSTOP");
    try {
      await page.keyboard.type("kept");
      const typed = Date.now();
      await until("it is saving", async () => (await status(page)) === "Saving…");
      await page.getByTestId("banner").getByText("The server is taking longer than usual to answer").waitFor();
      assert.ok(Date.now() - typed > 4_500, "not before 5 s");
      assert.equal(await status(page), "Taking longer than usual, 4 changes not saved yet");
    } finally {
      process.kill(server.pid, "SIGCONT");
    }
    await saved(page);
    await until("the banner is gone", async () => (await page.getByTestId("banner").count()) === 0);
  });

  it("tells the 21st window of a person that too many are open, and connects it when one is closed", async () => {
    const page = await open("crowded");
    const id = await page.evaluate(() => JSON.parse(sessionStorage.getItem("identity")));
    await page.goto("about:blank");
    const person = { user: id, team: "demo" };
    for (let window = 0; window < WINDOWS_MAX; window += 1) {
      clients.push(new RealtimeClient({ url: server.url, token: () => token(person) }));
    }
    await until("20 windows are connected", () => clients.every((client) => client.status === "connected"));
    await page.goto(`${server.url}/?document=crowded`);
    await page.getByTestId("banner").getByText("too many windows are open. Close one").waitFor();
    assert.match(await status(page), /^Too many windows open/);
    clients.pop().destroy();
    // The page tries again by itself as well, and may do so before the click.
    const button = page.getByRole("button", { name: "Try now" });
    await until("it is connected", async () => {
      if (await button.isVisible()) await button.click({ timeout: 1_000 });
      return (await status(page)) === "Saved";
    });
  });

  it("moves no text when the banner comes and goes", async () => {
    const page = await open("unmoved");
    await page.locator(".ProseMirror").click();
    await page.keyboard.type("Stay.");
    await saved(page);
    const top = () => page.locator(".ProseMirror p").evaluate((line) => line.getBoundingClientRect().top);
    const before = await top();
    await page.context().setOffline(true);
    await page.getByTestId("banner").getByText("Offline").waitFor();
    assert.equal(await top(), before);
    const banner = await page.getByTestId("banner").evaluate((element) => element.getBoundingClientRect().bottom);
    assert.ok(banner <= before, "the banner covers no text");
    await page.context().setOffline(false);
    await saved(page);
    assert.equal(await top(), before);
  });
});
