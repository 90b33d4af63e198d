// The main path of the page in Firefox, beside Chromium: writing together, pasting, and writing without a server.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { chromium } from "playwright-core";
import puppeteer from "puppeteer-core";
import { launchFirefox, openTab } from "@realtime-server/harness/firefox";
import { temporaryFolder } from "@realtime-server/harness/process";
import { suiteBrowser, suiteServer } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";
import { editor, outline, putOnClipboard, readOutline, saved } from "./editor.mjs";

const TABLE = {
  "text/html":
    "<table><tr><th>Region</th><th>Sales</th></tr><tr><td>North</td><td>120</td></tr>" +
    '<tr><td colspan="2"><b>Both regions</b></td></tr></table>',
  "text/plain": "Region\tSales\nNorth\t120\nBoth regions",
};

describe("Firefox", () => {
  const server = suiteServer();
  const browser = suiteBrowser(chromium);
  let folder;
  let firefox;
  let tabs = [];
  before(async () => {
    folder = temporaryFolder();
    firefox = await launchFirefox(puppeteer, folder);
  });
  after(() => firefox?.close());
  afterEach(async () => {
    const problems = tabs.flatMap((tab) => tab.problems);
    for (const tab of tabs) if (!tab.isClosed()) await tab.close();
    tabs = [];
    assert.deepEqual(problems, [], "errors in the pages");
  });

  const open = async (room) => {
    const tab = await openTab(firefox, `${server.url}/?document=${room}&name=Fay`);
    tabs.push(tab);
    return tab;
  };
  const textOf = (tab, selector) => tab.$eval(selector, (element) => element.innerText);
  const status = (tab) => textOf(tab, '[data-testid="status"]');
  const isSaved = (tab) => until("Firefox says that all is saved", async () => (await status(tab)) === "Saved");
  const read = (tab) => tab.$eval(".ProseMirror", readOutline);
  const press = async (tab, key) => {
    await tab.keyboard.down("Control");
    await tab.keyboard.press(key);
    await tab.keyboard.up("Control");
  };
  const labels = (page) =>
    page.evaluate(() =>
      [...document.querySelectorAll(".ProseMirror .realtime-caret-label")].map((label) => label.textContent),
    );

  it("shows what is written in it and in Chromium at once, and to each the other's caret and name", async () => {
    await server.createDocument("together");
    const [fay, ana] = [await open("together"), await browser.open(`${server.url}/?document=together&name=Ana`)];
    await Promise.all([isSaved(fay), saved(ana)]);
    await Promise.all([fay.click(".ProseMirror"), editor(ana).click()]);
    await Promise.all([
      fay.keyboard.type("From Firefox. ", { delay: 15 }),
      ana.keyboard.type("From Chromium. ", { delay: 15 }),
    ]);
    await until("both show the same", async () => {
      const lines = await read(fay);
      assert.deepEqual(lines, await outline(ana));
      // In an empty document each of them begins a paragraph; the letters are all there, in whatever order they were merged.
      assert.equal(sorted(lines.join("").replaceAll("paragraph", "")), sorted("From Firefox. From Chromium. "));
      return true;
    });
    await until("Firefox shows Ana's caret", async () => (await labels(fay)).join() === "Ana");
    await until("Chromium shows Fay's caret", async () => (await labels(ana)).join() === "Fay");
    await Promise.all([isSaved(fay), saved(ana)]);
  });

  it("pastes a table and undoes it", async () => {
    await server.createDocument("table");
    const [fay, ana] = [await open("table"), await browser.open(`${server.url}/?document=table&name=Ana`)];
    await isSaved(fay);
    await fay.click(".ProseMirror");
    assert.ok(await fay.evaluate(putOnClipboard, TABLE), "Firefox copies");
    await press(fay, "v");
    const expected = [
      "table(tableRow(tableHeader(paragraph(Region))tableHeader(paragraph(Sales)))" +
        "tableRow(tableCell(paragraph(North))tableCell(paragraph(120)))" +
        "tableRow(tableCell colspan=2(paragraph([bold:Both regions]))))",
      "paragraph()",
    ];
    await until("both show it", async () => {
      assert.deepEqual(await read(fay), expected);
      assert.deepEqual(await outline(ana), expected);
      return true;
    });
    assert.equal(await fay.$('[data-testid="editor-notice"]'), null);
    await isSaved(fay);
    await press(fay, "z");
    await until("both show an empty document", async () => {
      const lines = await read(fay);
      assert.deepEqual(lines, await outline(ana));
      // Each of them may begin a paragraph in the empty document, at once.
      assert.match(lines.join(), /^paragraph\(\)(,paragraph\(\))?$/);
      return true;
    });
  });

  it("keeps what is written without a server through a closed tab and a restart, and sends it", async () => {
    await server.createDocument("kept");
    const first = await open("kept");
    await isSaved(first);
    await until("the page is kept", () =>
      first.evaluate(async () => (await navigator.serviceWorker.ready).active?.state === "activated"),
    );
    await server.kill9();
    await until("Firefox says that it is offline", async () => /Offline/.test(await textOf(first, "body")));
    await first.click(".ProseMirror");
    await first.keyboard.type("written before the tab was closed");
    await until("it is kept", async () => /6 words not sent yet/.test(await status(first)));
    await first.close();

    const second = await open("kept");
    const shows = (tab, words) =>
      until(`Firefox shows "${words}"`, async () => (await read(tab)).join() === `paragraph(${words})`);
    await shows(second, "written before the tab was closed");
    assert.match(await status(second), /Offline since .*, 6 words not sent yet/);
    await second.click(".ProseMirror");
    await press(second, "End");
    await second.keyboard.type(" and after it");
    await until("it is kept", async () => /9 words not sent yet/.test(await status(second)));
    await firefox.close();

    firefox = await launchFirefox(puppeteer, folder);
    const third = await open("kept");
    await shows(third, "written before the tab was closed and after it");
    await server.launch();
    await isSaved(third);
    const ana = await browser.open(`${server.url}/?document=kept&name=Ana`);
    await until(
      "Chromium shows it",
      async () => (await outline(ana)).join() === "paragraph(written before the tab was closed and after it)",
    );
  });
});

function sorted(text) {
  return [...text.replace(/[()]/g, "")].sort().join("");
}
