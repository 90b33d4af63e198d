// The people in a document of the page: their carets, when many write in the same lines, and following one of them.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { chromium } from "playwright-core";
import { suiteBrowser, suiteServer } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";
import { closeWriters, Writer } from "./support/writers.mjs";

const NAMES = ["Ada", "Ben", "Cleo", "Dmitri", "Eva", "Farid", "Grace", "Hiro", "Ines", "Jonas"];

/** The places of ten people in the first two paragraphs: alone, side by side, at the same place, and at the end of a line. */
const PLACES = [...[4, 30, 32, 60, 84].map((index) => [0, index]), ...[10, 48, 48, 49, 84].map((index) => [1, index])];

const LINE = "Everyone who writes here sees the others as they type, and nobody waits for a lock at all.";

/** Moves the clock of a window, and lets it draw again. */
const later = (page, milliseconds) =>
  page.evaluate((milliseconds) => {
    const now = Date.now;
    Date.now = () => now() + milliseconds;
    dispatchEvent(new Event("resize"));
  }, milliseconds);

describe("the people in a document", () => {
  const server = suiteServer();
  const browser = suiteBrowser(chromium);
  afterEach(closeWriters);

  /** A window on a document of `paragraphs`, with the people of `names` in it. */
  const scene = async ({ room, names = NAMES, paragraphs = [LINE, LINE], options }) => {
    const people = await Promise.all(names.map((name) => Writer.enter(server, room, name)));
    await people[0].append(...paragraphs);
    await until("all have the text", () =>
      people.every(({ provider }) => provider.doc.getXmlFragment("default").length === paragraphs.length),
    );
    const page = await browser.open(`${server.url}/?document=${room}&name=Zoe`, options);
    await until("the page shows the text", async () =>
      (await page.locator(".ProseMirror").innerText()).includes(paragraphs.at(-1)),
    );
    return { people, page };
  };
  const labelsOf = (page, state = "") =>
    page.locator(`.realtime-caret${state} .realtime-caret-label`).evaluateAll((labels) =>
      labels.map((label) => {
        const { left, right, top, bottom } = label.getBoundingClientRect();
        return { name: label.textContent, left, right, top, bottom };
      }),
    );
  const openNames = async (page) => (await labelsOf(page, "[data-open]")).map(({ name }) => name).sort();

  for (const [device, options] of [
    ["a laptop", {}],
    ["a phone", { viewport: { width: 390, height: 844 }, hasTouch: true }],
  ]) {
    it(`never draws a label over another one or out of the text on ${device}, when ten people write in two lines`, async () => {
      const { people, page } = await scene({ room: `ten on ${device}`, options });
      people.forEach((person, index) => person.place(...PLACES[index]));
      await until("all carets are there", async () => (await labelsOf(page)).length === 10);
      await until("some labels are open, and some are folded", async () => {
        const open = (await labelsOf(page, "[data-open]")).length;
        return open >= 4 && open < 10;
      });
      const labels = await labelsOf(page, "[data-open]");
      const text = await page.locator(".ProseMirror").evaluate((root) => root.getBoundingClientRect().toJSON());
      for (const [index, a] of labels.entries()) {
        assert.ok(a.left >= text.left && a.right <= text.right, `${a.name} is within the text`);
        for (const b of labels.slice(index + 1)) {
          const isApart = a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
          assert.ok(isApart, `${a.name} and ${b.name} overlap`);
        }
      }
      await until("all are folded after a while", async () => (await openNames(page)).length === 0);
      people[3].type(0, 60, "x");
      await until("only who types is named", async () => (await openNames(page)).join() === "Dmitri");
    });
  }

  it("opens a label to the left of its caret where there is no place to the right of it", async () => {
    const name = "Maximiliane-Antoinette";
    const { people, page } = await scene({ room: "edge", names: [name], paragraphs: [`${LINE} ${LINE}`] });
    const last = await page.locator(".ProseMirror p").evaluate(({ firstChild }) => {
      const range = document.createRange();
      const rights = [...firstChild.data].map((_, index) => {
        range.setStart(firstChild, index);
        range.setEnd(firstChild, index + 1);
        return range.getBoundingClientRect().right;
      });
      return rights.indexOf(Math.max(...rights));
    });
    people[0].place(0, last);
    await until("the label is open", async () => (await openNames(page)).join() === name);
    const [label] = await labelsOf(page, "[data-open]");
    const text = await page.locator(".ProseMirror").evaluate((root) => root.getBoundingClientRect().toJSON());
    assert.ok(label.left >= text.left && label.right <= text.right, `${label.left} to ${label.right}`);
    const caret = await page.locator(".realtime-caret").boundingBox();
    assert.ok(label.right <= caret.x + 5, "it is to the left of the caret");
  });

  it("names all whose carets are at the pointer, one above the other", async () => {
    const { people, page } = await scene({ room: "pointer", names: ["Ada", "Ben", "Cleo"] });
    people[0].place(1, 20);
    people[1].place(1, 20);
    people[2].place(1, 60);
    await until("all carets are there", async () => (await labelsOf(page)).length === 3);
    await until("all are folded", async () => (await openNames(page)).length === 0);
    const flag = await page
      .locator(".realtime-caret", { hasText: "Ada" })
      .locator(".realtime-caret-flag")
      .boundingBox();
    await page.mouse.move(flag.x + 2, flag.y + 2);
    await until("both are named", async () => (await openNames(page)).join() === "Ada,Ben");
    const [one, other] = await labelsOf(page, "[data-open]");
    assert.ok(one.bottom <= other.top || other.bottom <= one.top, "the labels do not overlap");
    await page.mouse.move(0, 0);
    await until("they fold again", async () => (await openNames(page)).length === 0);
  });

  it("keeps labels folded that would cover the line in which the user writes", async () => {
    const { people, page } = await scene({ room: "own line", names: ["Ada", "Ben"], paragraphs: [`${LINE} ${LINE}`] });
    // Lines without space between them, as in an editor with other styles.
    await page.addStyleTag({ content: ".ProseMirror { line-height: 1.15; }" });
    await page.locator(".ProseMirror p").click({ position: { x: 200, y: 5 } });
    people[0].place(0, 20);
    people[1].place(0, 120);
    await until("only the label above the user's line is open", async () => (await openNames(page)).join() === "Ada");
    await page.locator(".ProseMirror").blur();
    people[1].place(0, 121);
    await until("without the user's caret both are open", async () => (await openNames(page)).join() === "Ada,Ben");
  });

  it("fades the carets of people who do not move, and shows them again when they do", async () => {
    const { people, page } = await scene({ room: "idle", names: ["Ada"] });
    people[0].place(0, 20);
    const caret = page.locator(".realtime-caret");
    await caret.waitFor({ state: "attached" });
    const idle = (value) => until(`idle is ${value}`, async () => (await caret.getAttribute("data-idle")) === value);
    await idle(null);
    await later(page, 10_000);
    await idle("short");
    await later(page, 50_000);
    await idle("long");
    const flag = await caret.locator(".realtime-caret-flag").evaluate((flag) => getComputedStyle(flag).opacity);
    assert.equal(flag, "0", "the flag is gone");
    people[0].place(0, 21);
    await idle(null);
    await until("Ada is named", async () => (await openNames(page)).join() === "Ada");
  });

  it("follows the person whose avatar is pressed, and says so, until the user scrolls or presses Escape", async () => {
    const paragraphs = Array.from({ length: 60 }, (_, index) => `${index}. ${LINE}`);
    const { people, page } = await scene({ room: "follow", names: ["Ada", "Ben"], paragraphs });
    const [ada] = people;
    ada.place(40, 5);
    const isVisible = () =>
      page.locator(".realtime-caret", { hasText: "Ada" }).evaluate((caret) => {
        const { top, bottom } = caret.getBoundingClientRect();
        return top > 150 && bottom < innerHeight;
      });
    await page.locator(".realtime-caret").waitFor({ state: "attached" });
    assert.equal(await isVisible(), false);
    const follow = page.getByTestId("people").getByRole("button", { name: "Follow Ada" });
    await follow.click();
    await until("Ada's caret is visible", isVisible);
    await page.getByText("Following Ada").waitFor();
    assert.equal(await follow.getAttribute("aria-pressed"), "true");
    assert.deepEqual(await openNames(page), ["Ada"], "she stays named");
    ada.place(10, 5);
    await until("the page scrolls along", isVisible);

    await page.keyboard.press("Escape");
    await until("it is over", async () => (await page.getByText("Following Ada").count()) === 0);
    const before = await page.evaluate(() => scrollY);
    ada.place(55, 5);
    await until("Ada's caret is elsewhere", async () => !(await isVisible()));
    assert.equal(await page.evaluate(() => scrollY), before, "the page does not scroll along any more");

    await follow.click();
    await until("Ada's caret is visible", isVisible);
    await page.mouse.move(600, 400);
    await page.mouse.wheel(0, -300);
    await until("scrolling ends it", async () => (await page.getByText("Following Ada").count()) === 0);

    await follow.click();
    await page.getByText("Following Ada").waitFor();
    ada.provider.destroy();
    await until("it ends when she leaves", async () => (await page.getByText("Following Ada").count()) === 0);
  });

  it("shows everyone in colours of their own, with text that can be read on them", async () => {
    const { people, page } = await scene({ room: "colours", names: ["Ada", "Ben"] });
    people.forEach((person, index) => person.place(0, 10 + 40 * index));
    await until("both carets are there", async () => (await labelsOf(page)).length === 2);
    const contrasts = await page
      .locator(".realtime-caret-label, .realtime-avatar:not(.realtime-more)")
      .evaluateAll((all) => {
        const luminance = (color) => {
          const [red, green, blue] = color.match(/\d+/g).map((value) => {
            const share = value / 255;
            return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
          });
          return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
        };
        return all.map((element) => {
          const { color, backgroundColor } = getComputedStyle(element);
          const [low, high] = [luminance(color), luminance(backgroundColor)].sort((a, b) => a - b);
          return (high + 0.05) / (low + 0.05);
        });
      });
    assert.ok(Math.min(...contrasts) >= 4.5, `the lowest contrast is ${Math.min(...contrasts)}`);
  });

  it("opens the document as another person in a second window, and each window keeps its person and leaves the browser's", async () => {
    await server.createDocument("two", { title: "Two people" });
    const first = await browser.open(`${server.url}/?document=two`);
    const context = first.context();
    const button = (page) => page.getByRole("button", { name: /^You are/ });
    const nameOf = async (page) => (await button(page).getAttribute("aria-label")).match(/^You are (.*)\. Change/)[1];
    const another = async (page) => {
      const [window] = await Promise.all([
        context.waitForEvent("page"),
        page.getByRole("link", { name: /^Open as another person/ }).click(),
      ]);
      await window.locator('.ProseMirror[contenteditable="true"]').waitFor();
      return window;
    };
    await first.locator('.ProseMirror[contenteditable="true"]').waitFor();
    const own = await nameOf(first);
    const windows = [first, await another(first), await another(first)];
    windows.push(await another(windows[1]));
    const names = await Promise.all(windows.map(nameOf));
    assert.equal(new Set(names).size, 4, names.join());

    const people = (page) => page.getByTestId("people").locator("button.realtime-person .realtime-avatar");
    for (const page of windows) await until("all four are there", async () => (await people(page).count()) === 4);
    const colors = await people(first).evaluateAll((all) => all.map((one) => getComputedStyle(one).backgroundColor));
    assert.equal(new Set(colors).size, 4, "each has another colour");
    await windows[1].locator(".ProseMirror").click();
    await windows[1].keyboard.type("I am another person.");
    const caret = first.locator(".realtime-caret", { hasText: names[1] });
    await caret.waitFor({ state: "attached" });

    for (const page of windows) await page.reload();
    assert.deepEqual(await Promise.all(windows.map(nameOf)), names, "each is the same after a reload");
    const byHand = await context.newPage();
    await byHand.goto(first.url());
    assert.equal(await nameOf(byHand), own, "a window without a name in its address is the browser's person");
  });

  it("forgets the undo history when the document was built again", async () => {
    const { page } = await scene({ room: "rebuilt", names: ["Ada"], paragraphs: ["One."] });
    const text = () => page.locator(".ProseMirror p").innerText();
    await page.locator(".ProseMirror").click();
    await page.keyboard.press("Control+End");
    await page.keyboard.type(" Two.");
    // The provider reports this when it has written the whole content again, under a new client id.
    await page.locator(".ProseMirror").evaluate((root) => {
      const { extensions } = root.editor.extensionManager;
      extensions.find(({ name }) => name === "realtime").options.provider.emit("rebuilt", []);
    });
    await page.keyboard.press("Control+z");
    assert.equal(await text(), "One. Two.");
    await page.keyboard.type(" Three.");
    await page.keyboard.press("Control+z");
    await until("later edits are undone as always", async () => (await text()) === "One. Two.");
  });
});
