// The page that the server shows, in real windows, with servers that are killed and databases that stop.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { chromium } from "playwright-core";
import { postgres } from "@realtime-server/harness/databases";
import { suiteBrowser, suiteServer } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";

describe("the page", () => {
  const server = suiteServer();
  const browser = suiteBrowser(chromium);

  const open = async (query = "", options) => {
    const room = new URLSearchParams(query).get("document");
    if (room !== null) await server.createDocument(room);
    return browser.open(`${server.url}/${query}`, options);
  };
  /** A window with `room` open, whose person may write. */
  const write = async (room, name) => {
    const page = await open(`?document=${room}&name=${name}`);
    await saved(page);
    await editor(page).click();
    return page;
  };

  it("leads a new user from an empty list to a document that a second window shares", async () => {
    const ana = await open();
    await ana.getByLabel("New document").fill("Launch plan");
    await ana.getByRole("button", { name: /create/i }).click();
    await ana.waitForURL(/team=demo&document=[a-z2-9]{16}$/);
    await saved(ana);
    await editor(ana).click();
    await ana.keyboard.type("Hello from the first window.");
    await ana.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await ana.getByRole("button", { name: /share/i }).click();
    await ana.getByText("Link copied").first().waitFor();
    const link = await ana.evaluate(() => navigator.clipboard.readText());

    const ben = await browser.open(link);
    await holds(ben, "Hello from the first window.");
    await ben.goto(server.url);
    await ben.getByRole("link", { name: /Launch plan/ }).waitFor();
    await ana.getByRole("link", { name: "All documents" }).click();
    await ana.getByRole("link", { name: /Launch plan/ }).click();
    await holds(ana, "Hello from the first window.");
  });

  it("shows what two users write at once, and to each the other's caret and name", async () => {
    const [ana, ben] = await Promise.all([write("both", "Ana"), write("both", "Ben")]);
    await Promise.all([ana.keyboard.type("From Ana. ", { delay: 15 }), ben.keyboard.type("From Ben. ", { delay: 15 })]);
    await same(ana, ben);
    assert.equal(letters(await textOf(ana)), letters("From Ana. From Ben."));
    await caret(ana, "Ben");
    await caret(ben, "Ana");
    await ana.getByLabel(/2 people here.*Ben/).waitFor();
    await saved(ana, ben);
    await ben.context().close();
    await ana.getByLabel(/1 person here/).waitFor();
    await until("Ben's caret is gone", async () => (await ana.locator(".realtime-caret").count()) === 0);
  });

  it("undoes one's own edits only", async () => {
    const [ana, ben] = [await write("undo", "Ana"), await write("undo", "Ben")];
    await ana.keyboard.type("kept ");
    await holds(ben, "kept");
    await ben.keyboard.press("Control+End");
    await ben.keyboard.type("undone");
    await holds(ana, "kept undone");
    await ben.keyboard.press("Control+z");
    await until("only Ben's is undone", async () => (await textOf(ana)).trim() === "kept");
    await same(ana, ben);
  });

  it("shows in the toolbar which formats the selection has, and which are possible", async () => {
    const page = await write("toolbar", "Ana");
    const button = (name) => page.getByRole("toolbar").getByRole("button", { name, exact: true });
    const bold = (state) =>
      until(`Bold is ${state}`, async () => (await button("Bold").getAttribute("aria-pressed")) === String(state));
    const undo = (state) =>
      until(`Undo is ${state}`, async () => (await button("Undo").getAttribute("aria-disabled")) === String(!state));
    await bold(false);
    await undo(false);
    await page.keyboard.type("plain ");
    await undo(true);
    await page.keyboard.press("Control+b");
    await bold(true);
    await page.keyboard.type("bold");
    await page.keyboard.press("Home");
    await bold(false);
    await button("Bold").click();
    await bold(true);
  });

  it("tells that the server is away and that it is back, and loses no edit made meanwhile", async () => {
    const [ana, ben] = await Promise.all([write("killed", "Ana"), write("killed", "Ben")]);
    await ana.keyboard.type("before ");
    await holds(ben, "before");
    await saved(ana, ben);
    await server.kill9();
    for (const page of [ana, ben]) await page.getByTestId("banner").getByText("Offline").waitFor();
    await Promise.all([ana.keyboard.type("ANA"), ben.keyboard.type("BEN")]);
    for (const page of [ana, ben])
      await until("it is told", async () => /Offline since .*, 1 word not sent yet/.test(await status(page)));
    await server.launch();
    for (const page of [ana, ben])
      await page.getByTestId("banner").getByText("Back online, everything is saved").waitFor();
    await saved(ana, ben);
    await same(ana, ben);
    assert.equal(letters(await textOf(ana)), letters("before ANA BEN"));
    await server.kill9();
    await server.launch();
    const cleo = await open("?document=killed&name=Cleo");
    await holds(cleo, "ANA");
    await holds(cleo, "BEN");
  });

  it("merges what was written in two windows without a network", async () => {
    const [ana, ben] = await Promise.all([write("offline", "Ana"), write("offline", "Ben")]);
    await Promise.all([ana, ben].map((page) => page.context().setOffline(true)));
    for (const page of [ana, ben]) await page.getByTestId("banner").getByText("Offline").waitFor();
    await Promise.all([ana.keyboard.type("one"), ben.keyboard.type("two")]);
    assert.deepEqual(await Promise.all([textOf(ana), textOf(ben)]), ["one", "two"]);
    await Promise.all([ana, ben].map((page) => page.context().setOffline(false)));
    await saved(ana, ben);
    await same(ana, ben);
    assert.match(await textOf(ana), /^(onetwo|twoone)$/);
  });

  it("shows a document after a reload without the server, with the edits that are not saved", async () => {
    const ana = await write("reloaded", "Ana");
    await ana.keyboard.type("saved, ");
    await saved(ana);
    // The page is still served, since the browser does not cache it for long: the test is about the copy of the document.
    await ana.route("**/socket.io/**", (route) => route.abort());
    await ana.routeWebSocket(/socket\.io/, (socket) => socket.close());
    await ana.reload();
    await holds(ana, "saved,");
    await editor(ana).click();
    await ana.keyboard.press("Control+End");
    await ana.keyboard.type("offline.");
    await until("it is not called saved", async () => /1 word not sent yet/.test(await status(ana)));
    await ana.unrouteAll();
    const again = await ana.context().newPage();
    await again.goto(`${server.url}/?document=reloaded&name=Ana`);
    await holds(again, "saved,");
  });

  it("saves 10 MB pasted at once, and can be used for writing afterwards", async () => {
    const ana = await write("pasted", "Ana");
    await ana.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    const paragraph = `${"0123456789 words ".repeat(60).slice(0, 999)}\n`;
    await ana.evaluate((text) => navigator.clipboard.writeText(text.repeat(10_000)), paragraph);
    ana.setDefaultTimeout(120_000);
    await ana.keyboard.press("Control+v");
    await until("it is there", async () => (await lengthOf(ana)) === 9_990_000, 120_000, 200);
    await until("it is saved", async () => (await status(ana)) === "Saved", 120_000, 200);
    assert.equal(await ana.getByTestId("banner").count(), 0);
    await ana.keyboard.type("and on");
    await until("that is saved as well", async () => (await status(ana)) === "Saved", 60_000, 200);
    const ben = await open("?document=pasted&name=Ben");
    await until("Ben has all of it", async () => (await lengthOf(ben)) === 9_990_006, 120_000, 200);
  });

  it("tells when parts of a document could not be read from the database", async () => {
    await server.createDocument("damaged");
    const ana = await browser.blank();
    await ana.routeWebSocket(/socket\.io/, (near) => {
      const far = near.connectToServer();
      far.onMessage((frame) =>
        near.send(typeof frame === "string" ? frame.replace('"storage":"ok"', '"storage":"damaged"') : frame),
      );
    });
    await ana.goto(`${server.url}/?document=damaged&name=Ana`);
    await ana.getByTestId("banner").getByText("Parts of this document could not be read from the database").waitFor();
    await editor(ana).click();
    await ana.keyboard.type("still writable");
    await until("it is saved", async () => (await status(ana)) === "Saved");
    await ana.getByTestId("banner").getByText("the operator has been told").waitFor();
  });

  it("lets a viewer read, but not write", async () => {
    const ana = await write("guarded", "Ana");
    await ana.keyboard.type("Only read this.");
    await saved(ana);
    const vic = await open("?document=guarded&name=Vic&role=viewer");
    await holds(vic, "Only read this.");
    await until("it is said", async () => (await status(vic)) === "View only");
    assert.equal(await editor(vic).getAttribute("contenteditable"), "false");
    assert.equal(await vic.getByRole("toolbar").count(), 0);
    await editor(vic).click();
    await vic.keyboard.type("not this");
    await vic.keyboard.press("Control+b");
    await ana.keyboard.type(" More.");
    await holds(vic, "Only read this. More.");
    assert.equal(await textOf(ana), "Only read this. More.");
  });

  it("renews a token that expires during writing, without any notice", async () => {
    const ana = await open("?document=renewed&name=Ana&ttl=4");
    await saved(ana);
    const tokens = [];
    ana.on("request", (request) => request.url().includes("/dev/token") && tokens.push(request.url()));
    const said = new Set();
    await ana.exposeFunction("said", (text) => said.add(text));
    await ana.evaluate(() => {
      const status = document.querySelector('[data-testid="status"]');
      new MutationObserver(() => window.said(status.textContent)).observe(status, {
        subtree: true,
        characterData: true,
        childList: true,
      });
    });
    await editor(ana).click();
    let written = "";
    const began = Date.now();
    await until(
      "three tokens are used up",
      async () => {
        await ana.keyboard.type("x");
        written += "x";
        return tokens.length >= 3 && Date.now() - began > 8_000;
      },
      30_000,
      100,
    );
    await saved(ana);
    assert.equal(await textOf(ana), written);
    assert.equal(await ana.getByTestId("banner").count(), 0);
    const unseen = [...said].filter((text) => !/^Sav(ed|ing…)/.test(text));
    assert.deepEqual(unseen, []);
  });
});

describe("the page, when the database stops", () => {
  const server = suiteServer({ database: postgres });
  const browser = suiteBrowser(chromium);

  it("shows saved only when the edits are stored", async () => {
    const open = (name) => browser.open(`${server.url}/?document=outage&name=${name}`);
    await server.createDocument("outage");
    const [ana, ben] = await Promise.all([open("Ana"), open("Ben")]);
    await saved(ana, ben);
    await postgres.cluster.stop("immediate");
    await editor(ana).click();
    await ana.keyboard.type("kept");
    await holds(ben, "kept");
    await ana.getByTestId("banner").getByText("The server cannot reach its database").waitFor();
    await until("the changes are counted", async () => /4 changes not saved yet/.test(await status(ana)));
    await postgres.cluster.start();
    await saved(ana, ben);
    assert.equal(await textOf(ana), "kept");
  });
});

function editor(page) {
  return page.locator(".ProseMirror");
}

/** The text of the document, without the carets of others. */
function textOf(page) {
  return editor(page).evaluate((root) => {
    const copy = root.cloneNode(true);
    copy
      .querySelectorAll(".realtime-caret, .ProseMirror-separator, .ProseMirror-trailingBreak")
      .forEach((element) => element.remove());
    return copy.textContent.replaceAll("\u2060", "").replaceAll("\ufeff", "");
  });
}

function lengthOf(page) {
  return page.evaluate(() => document.querySelector(".ProseMirror")?.textContent.length ?? 0);
}

/** The characters of a text in a fixed order, since those of two users who type at once may be mixed in any way. */
function letters(text) {
  return [...text.replaceAll(/\s/g, "")].sort().join("");
}

function status(page) {
  return page.getByTestId("status").innerText();
}

async function saved(...pages) {
  for (const page of pages)
    await until("the page says that all is saved", async () => (await status(page)) === "Saved");
}

function holds(page, text) {
  return until(`the page shows "${text}"`, async () => (await textOf(page)).includes(text));
}

function same(one, other) {
  return until("both windows read the same", async () => (await textOf(one)) === (await textOf(other)));
}

function caret(page, name) {
  return page.locator(".realtime-caret", { hasText: name }).first().waitFor({ state: "attached" });
}
