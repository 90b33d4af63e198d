// Accessibility of the page: no rule of axe is broken in any of its states, in light and dark colours, on a wide and a
// narrow screen, and it can be used by keyboard alone.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { chromium } from "playwright-core";
import { suiteBrowser, suiteServer } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";
import { accessible } from "./support/person.mjs";

const LAPTOP = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };

describe("accessibility", () => {
  const server = suiteServer();
  const browser = suiteBrowser(chromium);

  const open = async (query, options) => {
    const room = new URLSearchParams(query).get("document");
    if (room !== null) await server.createDocument(room);
    return browser.open(`${server.url}/${query}`, options);
  };

  const status = (page, words) =>
    until(`the page says ${words}`, async () => words.test(await page.getByTestId("status").innerText()));

  for (const [device, viewport] of [
    ["a laptop", LAPTOP],
    ["a phone", PHONE],
  ]) {
    it(`breaks no rule on ${device}`, async () => {
      const options = { viewport };
      const list = await open("?name=Ana", options);
      await status(list, /Connected/);
      await accessible(list, "the list");
      await list.getByRole("button", { name: /You are Ana/ }).click();
      await list.getByRole("dialog").waitFor();
      await accessible(list, "the dialog with one's name");

      const ana = await open(`?document=for ${device}&name=Ana`, options);
      await status(ana, /Saved/);
      await accessible(ana, "an empty document");
      await ana.locator(".ProseMirror").click();
      await ana.keyboard.type("# A heading\n");
      await ana.keyboard.type("- a list\n\n> a quotation\n\n``` code\n\n");
      const ben = await open(`?document=for ${device}&name=Ben`, options);
      await status(ben, /Saved/);
      await ben.locator(".ProseMirror").click();
      await ben.keyboard.type("Ben is here");
      await ana.locator(".realtime-caret").first().waitFor({ state: "attached" });
      await accessible(ana, "a document with two people");
      const vic = await open(`?document=for ${device}&name=Vic&role=viewer`, options);
      await status(vic, /View only/);
      await accessible(vic, "a document that one may only view");
      for (const role of ["viewer", "editor"]) {
        const early = await browser.open(`${server.url}/?document=nobody made this&name=Vic&role=${role}`, options);
        await early.getByText("Nobody has begun this document yet").waitFor();
        await accessible(early, "a document that does not exist yet");
      }
      const foreign = await browser.open(`${server.url}/?team=one&name=Vic`, options);
      await status(foreign, /Connected/);
      await foreign.goto(`${server.url}/?team=two&document=${device}`);
      await foreign.getByText("This link is for another team").waitFor();
      await accessible(foreign, "a link of another team");
      await list.reload();
      await list
        .getByRole("button", { name: /Actions for/ })
        .first()
        .click();
      await accessible(list, "the list with a menu");
      await list.getByRole("menuitem", { name: "Rename" }).click();
      await accessible(list, "the list with a title that is changed");
      await list.getByRole("button", { name: "Trash" }).click();
      await list.getByText("The trash is empty").waitFor();
      await accessible(list, "the trash");
      await server.kill9();
      await ana.getByTestId("banner").waitFor();
      await list.getByTestId("banner").waitFor();
      await accessible(ana, "a document without a server");
      await server.launch();
    });

    it(`fits the width of ${device}`, async () => {
      for (const query of ["?name=Ana", `?document=${"a very long name without end ".repeat(6)}&name=Ana`]) {
        const page = await open(query, { viewport });
        await status(page, /Connected|Saved/);
        const overhang = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        assert.ok(overhang <= 0, `${query} is ${overhang} px too wide`);
      }
    });
  }

  it("is used by keyboard alone: create a document, format text, leave it", async () => {
    const page = await open("?name=Ana");
    await status(page, /Connected/);
    await page.getByLabel("New document").focus();
    await page.keyboard.type("By keyboard");
    await page.keyboard.press("Enter");
    await page.waitForURL(/document=/);
    await status(page, /Saved/);
    await page.locator(".ProseMirror").focus();
    await page.keyboard.press("Control+b");
    await page.keyboard.type("bold");
    assert.equal(await page.locator(".ProseMirror strong").innerText(), "bold");
    const toolbar = page.getByRole("toolbar");
    await toolbar.locator("button[tabindex='0']").focus();
    const first = await focused(page);
    await page.keyboard.press("ArrowRight");
    assert.notEqual(await focused(page), first, "arrows move within the toolbar");
    await page.keyboard.press("End");
    await page.keyboard.press("Tab");
    await until("Tab leaves the toolbar for the text", () =>
      page.evaluate(() => document.activeElement?.classList.contains("ProseMirror")),
    );
    await page.getByRole("link", { name: "All documents" }).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("link", { name: /By keyboard/ }).waitFor();
  });
});

function focused(page) {
  return page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent);
}
