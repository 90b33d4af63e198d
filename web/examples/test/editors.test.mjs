// Each editor of the examples, used by several people at once.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { until } from "@realtime-server/harness/until";
import { EDITORS, shows, suiteSite } from "./support/site.mjs";

describe("the editors", () => {
  const site = suiteSite();
  const { newRoom } = site;
  const open = (page, options) => site.open(page, options);

  for (const { page, text, caret, name, notBegun = "Nobody has begun this document yet" } of EDITORS) {
    describe(page, () => {
      const lines = (window) =>
        window.locator(text).evaluate((element) => {
          const paragraphs = [...element.children].map((line) => {
            const copy = line.cloneNode(true);
            // Carets are drawn as elements that are not part of the text.
            for (const caret of copy.querySelectorAll("[class*=caret], .cm-ySelectionCaret")) caret.remove();
            return copy.textContent.replaceAll(/[\u2060\ufeff]/g, "");
          });
          return paragraphs.filter((line) => line !== "");
        });
      const holds = (window, expected) =>
        until(`the window holds ${expected}`, async () => {
          assert.deepEqual(await lines(window), expected);
          return true;
        });

      it("is edited by two users at once, who see each other, and restored after a reload", async () => {
        const room = newRoom();
        const ana = await open(page, { room, user: "ana" });
        await ana.locator(text).click();
        await ana.keyboard.type("Ana: ");
        await ana.keyboard.press("Enter");
        await ana.keyboard.type("Ben: ");
        const ben = await open(page, { room, user: "ben" });
        await holds(ben, ["Ana: ", "Ben: "]);
        await ben.locator(text).click();
        await ben.keyboard.press("Control+End");
        // Both lines are equally long, and an editor may take a moment to move the caret.
        await until("Ana's caret is at the end of her line", async () => {
          await ana.keyboard.press("Control+Home");
          await ana.keyboard.press("End");
          return ana.evaluate(() => {
            const { anchorNode, anchorOffset } = getSelection();
            return anchorOffset === "Ana: ".length && anchorNode.textContent.startsWith("Ana: ");
          });
        });

        const [hers, his] = ["Over the whole line, ", "and at the same time."].map((line) => line.repeat(2));
        await Promise.all([ana.keyboard.type(hers, { delay: 2 }), ben.keyboard.type(his, { delay: 2 })]);
        const expected = [`Ana: ${hers}`, `Ben: ${his}`];
        for (const window of [ana, ben]) {
          await holds(window, expected);
          await shows(window, "Saved");
        }
        await until("Ana sees Ben's caret", () => names(ana).then((seen) => seen.includes("ben's name")));
        await until("Ben sees Ana's caret", () => names(ben).then((seen) => seen.includes("ana's name")));
        assert.deepEqual([await names(ana), await names(ben)], [["ben's name"], ["ana's name"]]);

        await until("Ben's caret is in his line", () => isAtLine(ana, 1));
        await until("Ana's caret is in her line", () => isAtLine(ben, 0));

        await ben.reload();
        await holds(ben, expected);
        await shows(ben, "Saved");
        await until("Ben's old caret is gone", async () => (await names(ana)).length === 0);
      });

      const names = (window) => window.locator(name).allTextContents();
      /** Whether the one caret of others is drawn in that line, away from its beginning. */
      const isAtLine = async (window, index) => {
        const box = (locator) => locator.evaluate((element) => element.getBoundingClientRect().toJSON());
        const [drawn, line] = [
          await box(window.locator(caret)),
          await box(window.locator(`${text} > :nth-child(${index + 1})`)),
        ];
        const middle = (drawn.top + drawn.bottom) / 2;
        return middle > line.top && middle < line.bottom && drawn.left > line.left + 100;
      };

      it("cannot be edited by a viewer", async () => {
        const room = newRoom();
        const early = await open(page, {
          room,
          user: "early",
          role: "viewer",
          status: notBegun,
        });
        await tryToWrite(early);
        // Someone makes it, and leaves it empty: an editor that fills it by itself would do so here.
        await open("hooks", { room, user: "ana" });
        await shows(early, "View only");
        await tryToWrite(early);
        const ana = await open(page, { room, user: "ana" });
        await ana.locator(text).click();
        await ana.keyboard.type("Only Ana.");
        await shows(ana, "Saved");
        const viewer = await open(page, { room, user: "vic", role: "viewer", status: "View only" });
        await holds(viewer, ["Only Ana."]);
        await tryToWrite(viewer);
        await ana.keyboard.type(" Still.");
        for (const window of [viewer, ana, early]) await holds(window, ["Only Ana. Still."]);
        // "View only" alone says that nothing was written that reaches nobody.
        for (const window of [viewer, early]) await shows(window, "View only");
      });

      async function tryToWrite(window) {
        await window.locator(text).click();
        await window.keyboard.type("Not this.");
        await window.keyboard.press("Enter");
        await window.keyboard.press("Control+A");
        await window.keyboard.press("Backspace");
      }
    });
  }
});
