// Comments in BlockNote: by its own buttons and cards, and the same for every other client of the document.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as Y from "yjs";
import { until } from "@realtime-server/harness/until";
import { shows, suiteSite } from "./support/site.mjs";

const LINE = "The harbour is closed on Monday.";

describe("comments in BlockNote", () => {
  const site = suiteSite();
  const { newRoom, server } = site;

  const open = (options) => site.open("blocknote-comments", options);
  const text = (window) => window.locator("#editor .bn-block-content").first();
  /** The marked texts that are drawn, each with whether its thread is open. */
  const marks = (window) =>
    window
      .locator(".bn-editor .bn-thread-mark")
      .evaluateAll((all) => all.map(({ textContent, dataset }) => `${textContent}${dataset.orphan ? " (done)" : ""}`));
  const shown = (window) => window.getByRole("complementary", { name: "Comments" });
  const marked = (window, ...expected) =>
    until(`the window marks ${expected}`, async () => assert.deepEqual((await marks(window)).sort(), expected) ?? true);
  const lists = (window, comment) =>
    until(`the window lists "${comment}"`, async () => (await shown(window).innerText()).includes(comment));

  /** A client without BlockNote and without this package: a request of the HTTP API. */
  async function http(user, method, path, body) {
    const { token } = await (await fetch(`${server.url}/dev/token?user=${user}&role=editor&team=demo`)).json();
    const answer = await fetch(`${server.url}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      ...(body && { body: JSON.stringify(body) }),
    });
    assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
    return answer.json();
  }
  const threadsOf = async (room) => (await http("reader", "GET", `/documents/${room}/threads`)).threads;

  /** A window of Ana on a new document with one line, in which she comments on the word `harbour`. */
  async function begin(room) {
    const ana = await open({ room, user: "ana" });
    await text(ana).click();
    await ana.keyboard.type(LINE);
    await shows(ana, "Saved");
    await select(ana, "The ".length, "harbour".length);
    await comment(ana, "Why?");
    await marked(ana, "harbour");
    return ana;
  }

  /** Begins a thread about the selected text, with BlockNote's button and composer. */
  async function comment(window, body) {
    await window.getByRole("button", { name: "Add comment" }).click();
    await window.locator(".bn-thread [contenteditable=true]").last().click();
    await window.keyboard.type(body);
    await window.getByRole("button", { name: "Save", exact: true }).click();
  }

  it("are written, answered and resolved in two windows, while the server is killed and started again", async () => {
    const room = newRoom();
    const ana = await begin(room);
    const ben = await open({ room, user: "ben" });
    const vera = await open({ room, user: "vera", role: "viewer", status: "View only" });
    for (const window of [ana, ben, vera]) {
      await marked(window, "harbour");
      await lists(window, "Why?");
    }
    const [{ id, anchor, quote, orphaned }] = await threadsOf(room);
    assert.deepEqual([quote, orphaned, typeof anchor.start], ["harbour", false, "string"]);

    await server.kill9();
    await server.launch();
    for (const window of [ana, ben]) await shows(window, "Saved");
    await ben.locator(".bn-thread-mark").click();
    const card = ben.locator(".bn-thread:has(.bn-thread-composer)").last();
    await card.locator(".bn-thread-composer [contenteditable=true]").click();
    await ben.keyboard.type("It is a holiday.");
    await card.getByRole("button", { name: "Save", exact: true }).click();
    await lists(ana, "It is a holiday.");
    await http("cleo", "POST", `/threads/${id}/comments`, { body: "Until noon." });
    for (const window of [ana, ben]) await lists(window, "Until noon.");
    await lists(ana, "ben's name");

    const first = shown(ana).locator(".bn-thread-comment").first();
    await first.hover();
    // The buttons of a comment have no names: a reaction, resolving, more.
    await first.getByRole("button").nth(1).click();
    for (const window of [ana, ben, vera]) {
      await lists(window, "Marked as resolved");
      await marked(window, "harbour (done)");
    }
    assert.equal((await threadsOf(room))[0].status, "resolved");
    await ben.reload();
    await lists(ben, "Marked as resolved");
    // BlockNote marks resolved threads in the document. A viewer may not, and has lost no edit by it.
    await shows(vera, "View only");
  });

  it("that others begin without BlockNote are marked, and opening the document changes nothing in it", async () => {
    const room = newRoom();
    const ana = await begin(room);
    await shows(ana, "Saved");
    const doc = await site.read(room);
    const content = textWith(doc.getXmlFragment("blocknote"), "Monday");
    const position = (index, side) =>
      Buffer.from(Y.encodeRelativePosition(Y.createRelativePositionFromTypeIndex(content, index, side)));
    const at = LINE.indexOf("Monday");
    const anchor = { start: position(at, 0).toString("base64"), end: position(at + 6, -1).toString("base64") };
    await http("cleo", "POST", `/documents/${room}/threads`, { body: "Every Monday?", anchor, quote: "Monday" });
    await marked(ana, "Monday", "harbour");
    await shows(ana, "Saved");

    const before = Y.decodeStateVector(Y.encodeStateVector(await site.read(room)));
    const ben = await open({ room, user: "ben" });
    await marked(ben, "Monday", "harbour");
    await lists(ben, "Every Monday?");
    await shows(ben, "Saved");
    assert.deepEqual(Y.decodeStateVector(Y.encodeStateVector(await site.read(room))), before);

    await text(ben).click();
    // The editor may learn of a selection by keys after the next key, and then leave some of the line.
    await until("the server knows that their texts are gone", async () => {
      for (const key of ["Home", "Shift+End", "Delete"]) await ben.keyboard.press(key);
      return (await threadsOf(room)).every(({ orphaned }) => orphaned);
    });
  });

  it("of somebody who may not edit are marked by a window whose user may", async () => {
    const room = newRoom();
    const ana = await begin(room);
    const cem = await open({ room, user: "cem", role: "commenter", status: "View only" });
    await marked(cem, "harbour");
    const { x, y } = await text(cem).evaluate((block) => {
      const range = document.createRange();
      const node = document.createTreeWalker(block, NodeFilter.SHOW_TEXT);
      while (!node.nextNode()?.data.includes("closed"));
      range.setStart(node.currentNode, node.currentNode.data.indexOf("closed"));
      return range.getBoundingClientRect();
    });
    await cem.mouse.dblclick(x + 10, y + 5);
    await comment(cem, "Until when?");
    await marked(ana, "closed", "harbour");
    await marked(cem, "closed", "harbour");
    assert.deepEqual(
      (await threadsOf(room)).map(({ quote }) => quote),
      ["closed", "harbour"],
    );
    await shows(cem, "View only");
  });

  /** Selects a part of the only line, as with the keyboard. */
  async function select(window, start, length) {
    const selected = LINE.slice(start, start + length);
    // On a busy machine the editor may take the click, and set its selection, while the keys are pressed.
    await until(`"${selected}" is selected`, async () => {
      await text(window).click();
      await window.keyboard.press("Home");
      for (let step = 0; step < start; step += 1) await window.keyboard.press("ArrowRight");
      for (let step = 0; step < length; step += 1) await window.keyboard.press("Shift+ArrowRight");
      // The carets of others contain word joiners.
      return (await window.evaluate(() => String(getSelection()).replaceAll("\u2060", ""))) === selected;
    });
  }
});

/** The shared text that has some words. */
function textWith(parent, words) {
  for (const child of parent.toArray()) {
    if (child instanceof Y.XmlText && child.toString().includes(words)) return child;
    const found = child instanceof Y.XmlElement ? textWith(child, words) : undefined;
    if (found) return found;
  }
  return undefined;
}
