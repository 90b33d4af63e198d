// The list of documents: titles, the search, the trash, and what others do meanwhile.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { chromium } from "playwright-core";
import { suiteBrowser, suiteServer } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";

describe("the list of documents", () => {
  const server = suiteServer();
  const browser = suiteBrowser(chromium);

  // Each test has a team of its own.
  const open = async (team, name, more = "") => {
    const page = await browser.open(`${server.url}/?team=${team}&name=${name}${more}`);
    await until("it is connected", async () => (await page.getByTestId("status").innerText()) === "Connected");
    return page;
  };
  const create = async (page, title) => {
    await page.getByLabel("New document").fill(title);
    await page.getByRole("button", { name: "Create" }).click();
    await until("all is saved", async () => (await page.getByTestId("status").innerText()) === "Saved");
  };
  const leave = (page) => page.getByRole("link", { name: "All documents" }).click();
  const titles = (page) => page.locator(".document-row .document-name").allInnerTexts();
  const lists = (page, expected) =>
    until(`the list is ${expected}`, async () => JSON.stringify(await titles(page)) === JSON.stringify(expected));
  const act = async (page, title, action) => {
    await page.getByRole("button", { name: `Actions for ${title}` }).click();
    await page.getByRole("menuitem", { name: action }).click();
  };
  /** Moves the pointer away from the list. */
  const away = (page) => page.mouse.move(2, 2);

  it("gives a new document an address that tells nothing of it, and shows its title everywhere", async () => {
    const ana = await open("titles", "Ana");
    await create(ana, "  A secret plan ");
    assert.match(new URL(ana.url()).search, /^\?team=titles&document=[a-z2-9]{16}$/);
    assert.equal(await ana.getByRole("textbox", { name: "Title", exact: true }).inputValue(), "A secret plan");
    assert.equal(await ana.title(), "A secret plan · Realtime Server");
    await leave(ana);
    await lists(ana, ["A secret plan"]);
    await create(ana, "");
    assert.equal(await ana.getByRole("textbox", { name: "Title", exact: true }).inputValue(), "Untitled document");
  });

  it("changes a title in the header for all: Enter saves, Escape reverts, and leaving the field saves", async () => {
    const [ana, cleo] = await Promise.all([open("header", "Ana"), open("header", "Cleo")]);
    await create(ana, "First");
    const ben = await browser.open(ana.url());
    const shown = (page, title) =>
      until(
        `the title is ${title}`,
        async () => (await page.getByRole("textbox", { name: "Title", exact: true }).inputValue()) === title,
      );
    await shown(ben, "First");
    await ana.getByRole("textbox", { name: "Title", exact: true }).fill("Second");
    await ana.keyboard.press("Enter");
    await shown(ben, "Second");
    await until("the window has it", async () => (await ben.title()) === "Second · Realtime Server");
    await lists(cleo, ["Second"]);
    await ana.getByRole("textbox", { name: "Title", exact: true }).fill("never");
    await ana.keyboard.press("Escape");
    await shown(ana, "Second");
    await ben.getByRole("textbox", { name: "Title", exact: true }).fill("Third");
    await ben.locator(".ProseMirror").click();
    await shown(ana, "Third");
    await lists(cleo, ["Third"]);
    // A title without text is none: then the room's name is shown.
    await ana.getByRole("textbox", { name: "Title", exact: true }).fill(" ");
    await ana.keyboard.press("Enter");
    const room = new URL(ana.url()).searchParams.get("document");
    await shown(ben, room);
    await lists(cleo, [room]);
  });

  it("does not overwrite what someone types into the title, and says why a title is not saved", async () => {
    const ana = await open("typed", "Ana");
    await create(ana, "First");
    await ana.getByRole("textbox", { name: "Title", exact: true }).fill("Being typed");
    const room = new URL(ana.url()).searchParams.get("document");
    const heard = ana.waitForResponse((response) => response.request().method() === "PATCH");
    await server.createDocument(room, { team: "typed", title: "From elsewhere" });
    await until("the other title is known", async () => (await ana.title()).startsWith("From elsewhere"));
    assert.equal(await ana.getByRole("textbox", { name: "Title", exact: true }).inputValue(), "Being typed");
    await ana.route("**/api/v1/documents/**", (route) => route.abort());
    await ana.keyboard.press("Enter");
    await ana.getByText("The title is not saved").waitFor();
    assert.equal(await ana.getByRole("textbox", { name: "Title", exact: true }).inputValue(), "Being typed");
    await ana.unrouteAll();
    await ana.getByRole("textbox", { name: "Title", exact: true }).focus();
    await ana.keyboard.press("Enter");
    assert.equal((await heard).status(), 200);
    await until("it is saved", async () => (await ana.title()).startsWith("Being typed"));
  });

  it("shows new, edited, renamed and deleted documents as they happen", async () => {
    const [ana, ben] = await Promise.all([open("alive", "Ana"), open("alive", "Ben")]);
    await create(ben, "One");
    await lists(ana, ["One"]);
    await leave(ben);
    await create(ben, "Two");
    await lists(ana, ["Two", "One"]);
    await leave(ben);
    await ben.getByRole("link", { name: "One" }).click();
    await ben.locator(".ProseMirror").click();
    await ben.keyboard.type("An edit.");
    await lists(ana, ["One", "Two"]);
    await leave(ben);
    await act(ben, "Two", "Rename");
    await ben.getByRole("textbox", { name: "Title", exact: true }).fill("Second");
    await ben.keyboard.press("Enter");
    await until("it is renamed", async () => (await titles(ana)).includes("Second"));
    await act(ben, "One", "Move to the trash");
    await lists(ana, ["Second"]);
    await ben.getByRole("button", { name: "Undo" }).click();
    await until("it is back", async () => (await titles(ana)).includes("One"));
  });

  it("moves nothing under the pointer", async () => {
    const ana = await open("still", "Ana");
    for (const title of ["Lowest", "Middle", "Top"]) await server.createDocument(title, { team: "still", title });
    await lists(ana, ["Top", "Middle", "Lowest"]);
    const middle = ana.getByRole("link", { name: "Middle" });
    await middle.hover();
    const place = await middle.boundingBox();
    await server.createDocument("Newest", { team: "still", title: "Newest" });
    await lists(ana, ["Top", "Middle", "Lowest", "Newest"]);
    const owner = await open("still", "Owner", "&role=admin");
    await act(owner, "Top", "Move to the trash");
    await ana.getByText("no longer here").waitFor();
    await server.createDocument("Lowest", { team: "still", title: "Renamed" });
    await lists(ana, ["Top", "Middle", "Renamed", "Newest"]);
    assert.deepEqual(await middle.boundingBox(), place);
    await away(ana);
    await lists(ana, ["Newest", "Middle", "Renamed"]);
  });

  it("is searched in titles, sorted, and read page by page", async () => {
    for (let n = 0; n < 60; n += 1) {
      const title = `Report ${String(n).padStart(2, "0")}`;
      await server.createDocument(`r${n}`, { team: "many", title });
    }
    await server.createDocument("other", { team: "many", title: "Minutes" });
    const ana = await open("many", "Ana");
    await until("the newest is first", async () => (await titles(ana))[0] === "Minutes");
    const first = (await titles(ana)).length;
    assert.ok(first < 61, "not all are on one page");
    await ana.getByRole("button", { name: "Show more" }).click();
    await until("all are there", async () => (await titles(ana)).length === 61);
    await ana.getByLabel("Order").selectOption("By title");
    await until("they are in order", async () => {
      const shown = await titles(ana);
      return shown[0] === "Minutes" && shown[1] === "Report 00";
    });
    // The pointer stays on the list, whose order is held for what others do, and not for another search.
    await ana.getByRole("link", { name: "Report 03" }).hover();
    await ana.getByLabel("Search the documents").fill("rePORT 4");
    await until("ten are found", async () => (await titles(ana)).length === 10);
    await server.createDocument("r99", { team: "many", title: "Report 4, again" });
    await until("a new one that fits is found", async () => (await titles(ana)).includes("Report 4, again"));
    await ana.getByLabel("Search the documents").fill("nothing like that");
    await ana.getByText("Nothing found").waitFor();
  });

  it("keeps deleted documents in the trash for those who may restore them", async () => {
    const [ana, ben] = await Promise.all([open("trash", "Ana"), open("trash", "Ben")]);
    await create(ana, "Kept");
    await ana.locator(".ProseMirror").click();
    await ana.keyboard.type("every word");
    await until("all is saved", async () => (await ana.getByTestId("status").innerText()) === "Saved");
    await leave(ana);
    await act(ana, "Kept", "Move to the trash");
    await lists(ben, []);
    await away(ana);
    for (const page of [ana, ben]) await page.getByRole("button", { name: "Trash" }).click();
    await ben.getByText("The trash is empty").waitFor();
    await ana.getByRole("button", { name: "Restore Kept" }).click();
    await away(ana);
    await ana.getByText("The trash is empty").waitFor();
    await ben.getByRole("button", { name: "Trash" }).click();
    await lists(ben, ["Kept"]);
    await ben.getByRole("link", { name: "Kept" }).click();
    await ben.locator(".ProseMirror", { hasText: "every word" }).waitFor();
  });

  it("offers only the actions that a user may do", async () => {
    await server.createDocument("theirs", { team: "rights", title: "Theirs" });
    const [vic, ben, ada] = await Promise.all([
      open("rights", "Vic", "&role=viewer"),
      open("rights", "Ben"),
      open("rights", "Ada", "&role=admin"),
    ]);
    await lists(vic, ["Theirs"]);
    assert.equal(await vic.getByRole("button", { name: /Actions for/ }).count(), 0);
    const items = async (page) => {
      await page.getByRole("button", { name: "Actions for Theirs" }).click();
      return page.getByRole("menuitem").allInnerTexts();
    };
    assert.deepEqual(await items(ben), ["Rename"]);
    assert.deepEqual(await items(ada), ["Rename", "Move to the trash"]);
    await ada.keyboard.press("ArrowDown");
    await ada.keyboard.press("Escape");
    assert.equal(await ada.getByRole("menu").count(), 0);
  });

  it("shows who is in each document, in the colours that they have everywhere", async () => {
    const ana = await open("where", "Ana");
    const ben = await open("where", "Ben");
    await create(ben, "Here is Ben");
    const here = ana.getByRole("img", { name: "Here now: Ben" });
    await here.waitFor();
    const color = (avatar) => avatar.evaluate((element) => getComputedStyle(element).backgroundColor);
    const inDocument = ben.getByTestId("people").locator(".realtime-person .realtime-avatar").first();
    await inDocument.waitFor();
    const colors = await Promise.all([
      color(here.locator(".realtime-avatar")),
      color(ben.getByRole("button", { name: /You are/ }).locator(".realtime-avatar")),
      color(inDocument),
    ]);
    assert.equal(new Set(colors).size, 1, colors.join(" "));
    assert.notEqual(colors[0], "rgb(95, 102, 114)", "it is not the neutral one");
    await leave(ben);
    await until("he is gone", async () => (await ana.getByRole("img", { name: /Here now/ }).count()) === 0);
  });
});
