// Comments on the text of the page: in both windows at their words, whatever is edited; by pointer and by keyboard.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { chromium } from "playwright-core";
import { suiteBrowser, suiteServer } from "@realtime-server/harness/suite";
import { token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";
import { editor, saved } from "./editor.mjs";
import { accessible } from "./support/person.mjs";
import { closeWriters, Writer } from "./support/writers.mjs";

const TEXT = ["We begin on Monday with a small group.", "The budget is fixed until the spring."];
const PHONE = { viewport: { width: 390, height: 844 } };

describe("comments", () => {
  const server = suiteServer();
  const browser = suiteBrowser(chromium);
  afterEach(closeWriters);

  /** A document with the paragraphs of `text`, and a window on it for each of `names`; `Ana&role=commenter` is a name as well. */
  const scene = async (room, names, { text = TEXT, options } = {}) => {
    await server.createDocument(room, { title: "Plan" });
    const writer = await Writer.enter(server, room, "Wim");
    await writer.append(...text);
    const pages = await Promise.all(names.map((name) => show(room, name, text, options)));
    return { writer, pages };
  };
  const show = async (room, name, text = TEXT, options = {}) => {
    const page = await browser.open(`${server.url}/?team=demo&document=${room}&name=${name}`, options);
    await until("the text is shown", async () => (await editor(page).innerText()).includes(text.at(-1)));
    return page;
  };
  /** Selects words in the text, as a person does by keyboard. */
  const select = async (page, words) => {
    await editor(page).focus();
    await page.evaluate((words) => {
      const root = document.querySelector(".ProseMirror");
      const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
      for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        const at = node.data.indexOf(words);
        if (at >= 0) getSelection().setBaseAndExtent(node, at, node, at + words.length);
      }
    }, words);
    await selected(page, words);
  };
  /** Waits until the editor knows the selection, which browsers report later. */
  const selected = (page, words) =>
    until(`“${words}” is selected`, () =>
      editor(page).evaluate(({ editor: { state } }, words) => {
        const { from, to } = state.selection;
        return state.doc.textBetween(from, to) === words;
      }, words),
    );
  const comment = async (page, words, body) => {
    await select(page, words);
    await page.getByRole("button", { name: "Comment", exact: true }).click();
    await page.getByRole("textbox", { name: "Comment" }).fill(body);
    await page.keyboard.press("Control+Enter");
    await threadOf(page, body).waitFor();
  };
  const threadOf = (page, body) => page.getByRole("article").filter({ hasText: body });
  /** The highlighted words of each thread, in the order of the text. A caret within them divides their element. */
  const highlights = (page) =>
    page.locator(".realtime-highlight").evaluateAll((parts) => {
      const words = new Map();
      for (const { dataset, textContent } of parts) {
        words.set(dataset.thread, (words.get(dataset.thread) ?? "") + textContent);
      }
      return [...words.values()];
    });
  const highlighted = (page, ...words) =>
    until(`“${words}” is highlighted`, async () => assert.deepEqual(await highlights(page), words) ?? true);
  const ask = async (user, path) => {
    const headers = { authorization: `Bearer ${token({ user, team: "demo" })}` };
    return (await server.get(`/api/v1/${path}`, headers)).json();
  };

  it("are at their words in every window, and stay there when text is edited before and in them", async () => {
    const { writer, pages } = await scene("anchored", ["Ana", "Ben"]);
    const [ana, ben] = pages;
    await comment(ana, "a small group", "How many?");
    await threadOf(ben, "How many?").waitFor();
    for (const page of pages) await highlighted(page, "a small group");
    await select(ben, "Monday");
    await ben.keyboard.type("the first Tuesday");
    for (const page of pages) await highlighted(page, "a small group");
    writer.type(0, 0, "Then: ");
    for (const page of pages) {
      await until("the edit is there", async () => (await editor(page).innerText()).includes("Then:"));
      await highlighted(page, "a small group");
    }
    await select(ana, "small");
    await ana.keyboard.type("really tiny");
    for (const page of pages) await highlighted(page, "a really tiny group");
    await saved(ana, ben);
    await ben.reload();
    await highlighted(ben, "a really tiny group");
  });

  it("are answered, resolved and opened again for everybody", async () => {
    const { pages } = await scene("answered", ["Ana", "Ben"]);
    const [ana, ben] = pages;
    await comment(ana, "Monday", "Why so early?");
    await ben.locator(".realtime-highlight").click();
    await ben.getByRole("textbox", { name: "Reply" }).fill("The room is free.");
    await ben.keyboard.press("Control+Enter");
    await threadOf(ana, "The room is free.").waitFor();
    await ana.getByRole("button", { name: "React" }).first().click();
    await ana.getByRole("button", { name: "React with 👍" }).click();
    await ben.getByRole("button", { name: "👍 1, from Ana" }).waitFor();
    await ben.getByRole("button", { name: "Resolve", exact: true }).click();
    for (const page of pages) await highlighted(page);
    await ana.getByRole("button", { name: "Resolved 1" }).click();
    await threadOf(ana, "Why so early?").click();
    await ana.getByRole("button", { name: "Open again" }).click();
    for (const page of pages) await highlighted(page, "Monday");
  });

  it("notify people who are mentioned by completion", async () => {
    const { pages } = await scene("mentioned", ["Ana"]);
    const [ana] = pages;
    await select(ana, "budget");
    await ana.keyboard.press("Control+Alt+m");
    const field = ana.getByRole("textbox", { name: "Comment" });
    await field.waitFor();
    await ana.keyboard.type("Ask @wi");
    await ana.getByRole("option", { name: "Wim" }).waitFor();
    await ana.keyboard.press("Enter");
    await ana.keyboard.type("first");
    assert.equal(await field.inputValue(), "Ask @Wim first");
    await ana.keyboard.press("Control+Enter");
    await until("Wim is notified", async () => {
      const { notifications } = await ask("writer-Wim", "notifications");
      return notifications.some(({ kind, body }) => kind === "mention" && body === "Ask @Wim first");
    });
  });

  it("say that their text was deleted, and keep it as a quote", async () => {
    const { pages } = await scene("orphaned", ["Ana", "Ben"]);
    const [ana, ben] = pages;
    await comment(ana, "until the spring", "Which year?");
    await threadOf(ben, "Which year?").waitFor();
    await select(ben, "until the spring");
    await ben.keyboard.press("Delete");
    for (const page of pages) {
      await highlighted(page);
      const thread = threadOf(page, "The text of this comment was deleted");
      await thread.waitFor();
      assert.match(await thread.innerText(), /until the spring/);
    }
  });

  it("can be written without the right to edit, and not without that to comment", async () => {
    const { pages } = await scene("rights", ["Cora&role=commenter", "Vera&role=viewer"]);
    const [cora, vera] = pages;
    assert.equal(await editor(cora).getAttribute("contenteditable"), "false");
    await comment(cora, "Monday", "Not a holiday?");
    await threadOf(vera, "Not a holiday?").click();
    await vera.locator(".realtime-thread[data-active]").waitFor();
    assert.equal(await vera.getByRole("textbox", { name: "Reply" }).count(), 0);
    assert.equal(await vera.getByRole("button", { name: "Resolve", exact: true }).count(), 0);
    await select(vera, "budget");
    await vera.keyboard.press("Control+Alt+m");
    assert.equal(await vera.getByRole("textbox", { name: "Comment" }).count(), 0);
    assert.equal(await vera.getByRole("button", { name: "Comment", exact: true }).count(), 0);
  });

  it("are plain text: HTML in them is shown as it is, and only addresses are links", async () => {
    const { pages } = await scene("hostile", ["Ana"]);
    const [ana] = pages;
    const body = '<img src=x onerror="document.title=1"> javascript:alert(1) see https://example.com/a?b=1.';
    await comment(ana, "Monday", body);
    const thread = threadOf(ana, "javascript:");
    assert.equal(await thread.locator(".realtime-comment-body").innerText(), body);
    assert.equal(await thread.locator("img").count(), 0);
    const links = thread.locator(".realtime-comment-body a");
    assert.deepEqual(await links.evaluateAll((all) => all.map(({ href, rel }) => [href, rel])), [
      ["https://example.com/a?b=1", "noopener noreferrer nofollow"],
    ]);
  });

  it("are written, answered and resolved by keyboard alone", async () => {
    const { pages } = await scene("keyboard", ["Ana"]);
    const [ana] = pages;
    await editor(ana).focus();
    await ana.keyboard.press("Control+Home");
    for (let letter = 0; letter < 8; letter += 1) await ana.keyboard.press("Shift+ArrowRight");
    await selected(ana, "We begin");
    await ana.keyboard.press("Control+Alt+m");
    await ana.getByRole("textbox", { name: "Comment" }).waitFor();
    await ana.keyboard.type("Who?");
    await ana.keyboard.press("Control+Enter");
    await highlighted(ana, "We begin");
    const isFocused = (locator) => locator.evaluate((element) => element === document.activeElement);
    await until("the new thread has the focus", () => isFocused(threadOf(ana, "Who?")));
    const reply = ana.getByRole("textbox", { name: "Reply" });
    for (let stops = 0; stops < 10 && !(await isFocused(reply)); stops += 1) await ana.keyboard.press("Tab");
    await ana.keyboard.type("All of us.");
    await ana.keyboard.press("Control+Enter");
    await threadOf(ana, "All of us.").waitFor();
    const resolve = ana.getByRole("button", { name: "Resolve", exact: true });
    for (let stops = 0; stops < 10 && !(await isFocused(resolve)); stops += 1) await ana.keyboard.press("Tab");
    await ana.keyboard.press("Enter");
    await highlighted(ana);
    await until("the focus is still in the comments", () =>
      ana.evaluate(() => document.activeElement?.closest(".realtime-threads") !== null),
    );
    await ana.keyboard.press("Escape");
    await until("Escape goes back to the text", () => isFocused(editor(ana)));
  });

  it("keep what was written when it cannot be sent, and say why", async () => {
    const { pages } = await scene("unsent", ["Ana"]);
    const [ana] = pages;
    await select(ana, "Monday");
    await ana.getByRole("button", { name: "Comment", exact: true }).click();
    const field = ana.getByRole("textbox", { name: "Comment" });
    await field.fill("x".repeat(17_000));
    await ana.keyboard.press("Control+Enter");
    await ana.getByRole("alert").filter({ hasText: "too long" }).waitFor();
    assert.equal((await field.inputValue()).length, 17_000);
    await field.fill("Short.");
    await ana.keyboard.press("Control+Enter");
    await threadOf(ana, "Short.").waitFor();
  });

  it("are opened by a link that names one, scrolled to, resolved ones too", async () => {
    const text = Array.from({ length: 80 }, (_, index) => `Paragraph ${index} of a long document.`);
    const { pages } = await scene("linked", ["Ana"], { text });
    const [ana] = pages;
    await comment(ana, "Paragraph 70", "Far below");
    await ana.getByRole("button", { name: "Resolve", exact: true }).click();
    await highlighted(ana);
    const [{ id }] = (await ask("u-x", "documents/linked/threads")).threads;
    const page = await browser.open(`${server.url}/?team=demo&document=linked&thread=${id}&name=Ben`);
    await page.locator(".realtime-thread[data-active]", { hasText: "Far below" }).waitFor();
    const isVisible = (locator) =>
      locator.evaluate((element) => {
        const { top, bottom } = element.getBoundingClientRect();
        return top > 100 && bottom < innerHeight;
      });
    await until("its text is visible", () => isVisible(page.locator(".realtime-highlight[data-active]")));
    await until("it is visible itself", () => isVisible(page.locator(".realtime-thread[data-active]")));
  });

  it("stand beside their words without overlapping, forty of them, the active one exactly", async () => {
    const text = Array.from({ length: 40 }, (_, index) => `Point ${index + 1}: something to talk about.`);
    const { writer, pages } = await scene("forty", ["Ana"], { text });
    const [ana] = pages;
    for (let index = 0; index < text.length; index += 1) await writer.comment(index, 0, 7, `Remark ${index + 1}`);
    const items = ana.locator(".realtime-thread-list > li");
    await until("all are there", async () => (await items.count()) === 40);
    await items.nth(20).click();
    const boxes = () =>
      items.evaluateAll((all) =>
        all.map((item) => item.getBoundingClientRect()).map(({ top, bottom }) => [top, bottom]),
      );
    await until("none overlaps another", async () => {
      const all = await boxes();
      return all.every(([top], index) => index === 0 || top >= all[index - 1][1]);
    });
    await until("the active one is beside its words", async () => {
      const { y } = await ana.locator(".realtime-highlight[data-active]").boundingBox();
      const [top] = (await boxes())[20];
      return Math.abs(top - y) < 12;
    });
    await select(ana, "something");
    await ana.getByRole("button", { name: "Comment", exact: true }).click();
    await until(
      "only the new comment is active",
      async () => (await ana.locator(".realtime-thread[data-active]").count()) === 1,
    );
  });

  it("stand beside words at the end of a long paragraph that was far away, once it is scrolled to", async () => {
    const long = `${"This paragraph has many lines. ".repeat(30)}The end.`;
    const text = Array.from({ length: 120 }, (_, index) => (index === 100 ? long : `Point ${index + 1}.`));
    const { writer, pages } = await scene("far", ["Ana"], { text });
    const [ana] = pages;
    await writer.comment(100, long.indexOf("The end"), long.length, "Is it?");
    await highlighted(ana, "The end.");
    const highlight = ana.locator(".realtime-highlight");
    const distance = async () =>
      Math.abs((await ana.locator(".realtime-thread-list > li").boundingBox()).y - (await highlight.boundingBox()).y);
    await until("the thread is at its paragraph", async () => (await distance()) < 1_000);
    await highlight.evaluate((element) => element.scrollIntoView({ block: "center" }));
    await until("the thread is beside its words", async () => (await distance()) < 12);
  });

  for (const [device, options] of [
    ["a laptop", {}],
    ["a phone", PHONE],
  ]) {
    it(`break no rule of accessibility on ${device}`, async () => {
      const room = `axe-${device.at(-1)}`;
      const { pages } = await scene(room, ["Ana"], { options });
      const [ana] = pages;
      await select(ana, "Monday");
      await ana.getByRole("button", { name: "Comment", exact: true }).waitFor();
      await accessible(ana, "the button");
      await ana.getByRole("button", { name: "Comment", exact: true }).click();
      await ana.keyboard.type("Hello @W");
      await ana.getByRole("option", { name: "Wim" }).waitFor();
      await accessible(ana, "a new comment");
      await ana.keyboard.press("Enter");
      await ana.keyboard.press("Control+Enter");
      await threadOf(ana, "Hello @Wim").waitFor();
      await accessible(ana, "an active thread");
      await ana.keyboard.press("Escape");
      await accessible(ana, "no active thread");
    });
  }
});
