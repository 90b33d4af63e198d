// What is written in a browser stays there until the server has it: through closed tabs, other people in the same browser, and a
// restart without a server. The page itself opens without the network.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { chromium } from "playwright-core";
import { launchProfile } from "@realtime-server/harness/browser";
import { suiteBrowser, suiteServer } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";
import { editor, outline, saved } from "./editor.mjs";

describe("what is kept in a browser", () => {
  const server = suiteServer();
  const browser = suiteBrowser(chromium);
  const profiles = [];
  const started = [];
  after(async () => {
    // Those that a failed test has left open would keep the process from ending.
    await Promise.all(started.map((context) => context.close()));
    profiles.forEach((folder) => rmSync(folder, { recursive: true, force: true }));
  });

  const newProfile = () => {
    const folder = mkdtempSync(join(tmpdir(), "realtime-profile-"));
    profiles.push(folder);
    return folder;
  };
  const start = async (folder) => {
    const context = await launchProfile(chromium, folder);
    started.push(context);
    return context;
  };
  const holds = (page, text) =>
    until(`the page shows "${text}"`, async () => (await outline(page)).join("\n").includes(text));
  const status = (page) => page.getByTestId("status").innerText();
  const nameOf = (page) => page.getByRole("button", { name: /You are/ }).getAttribute("aria-label");
  const shell = (page) =>
    until("the page is kept", () =>
      page.evaluate(async () => (await navigator.serviceWorker.ready).active?.state === "activated"),
    );
  const another = async (page, query) => {
    const tab = await page.context().newPage();
    await tab.goto(`${server.url}/${query}`);
    return tab;
  };

  it("is the person: the same in every window and after the tab was closed, and the others of that browser by their names", async () => {
    const ana = await browser.open(`${server.url}/`);
    await ana.getByRole("button", { name: /You are/ }).click();
    await ana.getByLabel("Name").fill("Ana of this browser");
    await ana.getByRole("button", { name: "Go on as this person" }).click();
    const id = (page) =>
      until("the page knows who it is", () => page.evaluate(() => JSON.parse(sessionStorage.getItem("identity"))));
    const ben = await another(ana, "?name=Ben");
    const anaId = await id(ana);
    const benId = await id(ben);
    assert.notEqual(anaId, benId);
    await ben.close();
    const again = await another(ana, "");
    assert.equal(await nameOf(again), "You are Ana of this browser. Change who you are");
    assert.equal(await id(again), anaId);
    assert.equal(await id(await another(ana, "?name=Ben")), benId);
  });

  it("is every word that was written without a network, after the tab was closed and the browser restarted, and it is sent", async () => {
    await server.createDocument("kept");
    const folder = newProfile();
    const first = await start(folder);
    let page = first.pages()[0] ?? (await first.newPage());
    await page.goto(`${server.url}/?document=kept&name=Ana`);
    await saved(page);
    await shell(page);
    await server.kill9();
    await page.getByTestId("banner").getByText("Offline").waitFor();
    await editor(page).click();
    await page.keyboard.type("written before the tab was closed ");
    await until("it is kept", async () => /6 words not sent yet/.test(await status(page)));
    await page.close();
    page = await first.newPage();
    await page.goto(`${server.url}/?document=kept&name=Ana`);
    await holds(page, "written before the tab was closed");
    await editor(page).click();
    await page.keyboard.press("Control+End");
    await page.keyboard.type("and after it");
    await until("it is kept", async () => /9 words not sent yet/.test(await status(page)));
    await first.close();

    const second = await start(folder);
    page = second.pages()[0] ?? (await second.newPage());
    await page.goto(`${server.url}/?document=kept&name=Ana`);
    await holds(page, "written before the tab was closed and after it");
    assert.match(await status(page), /Offline since .*, 9 words not sent yet/);
    // The list sends it as well: nobody has to open the document.
    await page.goto(`${server.url}/?name=Ana`);
    await server.launch();
    const ben = await browser.open(`${server.url}/?document=kept&name=Ben`);
    await holds(ben, "written before the tab was closed and after it");
    await second.close();
  });

  it("is offered if another person of the browser has left it, who sends, saves or discards it", async () => {
    await server.createDocument("left", { title: "Plans for May" });
    const ana = await browser.open(`${server.url}/?document=left&name=Ana`);
    await saved(ana);
    await ana.context().setOffline(true);
    await ana.getByTestId("banner").getByText("Offline").waitFor();
    await editor(ana).click();
    await ana.keyboard.type("left by Ana");
    await until("it is kept", async () => /3 words not sent yet/.test(await status(ana)));
    const context = ana.context();
    await ana.close();
    await context.setOffline(false);
    const ben = await context.newPage();
    await ben.goto(`${server.url}/?name=Ben`);
    const offer = ben.getByRole("region", { name: "Recovered edits" }).getByRole("listitem");
    await offer.getByText("3 words by Ana").waitFor();
    assert.equal(await offer.getByRole("link").innerText(), "Plans for May");
    const download = ben.waitForEvent("download");
    await offer.getByRole("button", { name: "Download" }).click();
    assert.equal((await download).suggestedFilename(), "Plans for May.txt");
    const chunks = [];
    for await (const chunk of await (await download).createReadStream()) chunks.push(chunk);
    assert.equal(Buffer.concat(chunks).toString(), "left by Ana");
    await offer.getByRole("button", { name: "Discard" }).click();
    await offer.getByRole("button", { name: "Keep them" }).click();
    await offer.getByRole("button", { name: "Send as Ana" }).click();
    await until("nothing is offered any more", async () => (await offer.count()) === 0);
    const cleo = await browser.open(`${server.url}/?document=left&name=Cleo`);
    await holds(cleo, "left by Ana");
    await context.close();
  });

  it("is not called kept if the browser cannot write it", async () => {
    const ana = await browser.blank();
    await ana.addInitScript(() => {
      const add = IDBObjectStore.prototype.add;
      IDBObjectStore.prototype.add = function (...values) {
        if (window.isFull) throw new DOMException("full", "QuotaExceededError");
        return add.apply(this, values);
      };
    });
    await server.createDocument("full");
    await ana.goto(`${server.url}/?document=full&name=Ana`);
    await saved(ana);
    await ana.context().setOffline(true);
    await ana.getByTestId("banner").getByText("Offline").waitFor();
    await ana.evaluate(() => (window.isFull = true));
    await editor(ana).click();
    await ana.keyboard.type("lost?");
    await ana.getByTestId("banner").getByText("cannot keep what you write").waitFor();
    await until("it is said", async () => /not kept on this device/.test(await status(ana)));
    await ana.evaluate(() => (window.isFull = false));
    await until("it is kept later", async () => /1 word not sent yet/.test(await status(ana)));
    await ana.context().setOffline(false);
    await saved(ana);
  });

  it("moves no text when the connection is lost and comes back", async () => {
    await server.createDocument("still");
    for (const viewport of [
      { width: 1280, height: 800 },
      { width: 390, height: 844 },
    ]) {
      const ana = await browser.open(`${server.url}/?document=still&name=Ana`, { viewport });
      await saved(ana);
      await editor(ana).click();
      await ana.keyboard.type("still here");
      await saved(ana);
      const boxes = () =>
        ana.evaluate(() =>
          [".page", ".ProseMirror > *", ".toolbar"].map((selector) => {
            const { x, y, width, height } = document.querySelector(selector).getBoundingClientRect();
            return { selector, x, y, width, height };
          }),
        );
      const before = await boxes();
      await ana.context().setOffline(true);
      await ana.getByTestId("banner").getByText("Offline").waitFor();
      assert.deepEqual(await boxes(), before);
      await ana.keyboard.type(" ");
      await until("it is counted", async () => /not sent yet/.test(await status(ana)));
      assert.deepEqual(await boxes(), before);
      await ana.context().setOffline(false);
      await ana.getByTestId("banner").getByText("Back online").waitFor();
      assert.deepEqual(await boxes(), before);
    }
  });
});
