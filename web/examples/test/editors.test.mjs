// Each editor of the examples, used by several people at once.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { until } from "@realtime-server/harness/until";
import { EDITORS, shows, suiteSite } from "./support/site.mjs";

describe("the editors", () => {
  const site = suiteSite();
  const { newRoom, server } = site;
  const open = (page, options) => site.open(page, options);

  for (const editor of EDITORS) {
    const { page, text, line = `${text} > *`, caret, name, stored, isAtEnd } = editor;
    const { notBegun = "Nobody has begun this document yet" } = editor;

    describe(page, () => {
      /** The lines that a window shows, without empty ones. */
      const lines = (window) =>
        window.locator(line).evaluateAll((elements) => {
          const top = (element) => element.getBoundingClientRect().top;
          const content = (element) => {
            const copy = element.cloneNode(true);
            // Carets are drawn as elements that are not part of the text.
            const carets = "[class*=caret], .cm-ySelectionCaret, [class*=collaboration-cursor]";
            for (const caret of copy.querySelectorAll(carets)) caret.remove();
            return copy.textContent.replaceAll(/[\u2060\ufeff]/g, "").replaceAll("\u00a0", " ");
          };
          return elements
            .sort((a, b) => top(a) - top(b))
            .map(content)
            .filter((text) => text !== "");
        });
      const holds = (window, expected) =>
        until(`the window holds ${expected}`, async () => {
          assert.deepEqual(await lines(window), expected);
          return true;
        });
      const stores = async (room, expected) =>
        assert.deepEqual(
          stored(await site.read(room)).filter((line) => line !== ""),
          expected,
        );

      /** Windows of Ana and Ben on a new document with a line for each of them. */
      const begin = async (room) => {
        const ana = await open(page, { room, user: "ana" });
        await ana.locator(text).first().click();
        await ana.keyboard.type("Ana: ");
        await ana.keyboard.press("Enter");
        await ana.keyboard.type("Ben: ");
        const ben = await open(page, { room, user: "ben" });
        await holds(ben, ["Ana: ", "Ben: "]);
        await ben.locator(text).first().click();
        await goToLastLine(ben);
        await goToFirstLine(ana);
        return [ana, ben];
      };
      /** Says in a window whether the browser's selection is at the end of `line`. Both lines are equally long. */
      const isSelectedAtEnd = (line) => {
        const { anchorNode, anchorOffset } = getSelection();
        return anchorOffset === line.length && anchorNode.textContent.startsWith(line);
      };
      /** Moves Ana's caret to the end of her line. */
      const goToFirstLine = (ana) =>
        // An editor may take a moment to move the caret.
        until("Ana's caret is at the end of her line", async () => {
          await ana.keyboard.press("Control+Home");
          await ana.keyboard.press("End");
          return ana.evaluate(isAtEnd ?? isSelectedAtEnd, "Ana: ");
        });
      /** Moves Ben's caret to the end of his line, which an editor may follow by an empty one. */
      const goToLastLine = (ben) => {
        if (isAtEnd) return ben.keyboard.press("Control+End");
        return until("Ben's caret is at the end of his line", async () => {
          await ben.keyboard.press("Control+Home");
          await ben.keyboard.press("ArrowDown");
          await ben.keyboard.press("End");
          return ben.evaluate(isSelectedAtEnd, "Ben: ");
        });
      };

      it("is edited by two users at once, who see each other, and restored after a reload", async () => {
        const room = newRoom();
        const [ana, ben] = await begin(room);
        const [hers, his] = ["Over the whole line, ", "and at the same time."].map((line) => line.repeat(2));
        await Promise.all([ana.keyboard.type(hers, { delay: 2 }), ben.keyboard.type(his, { delay: 2 })]);
        const expected = [`Ana: ${hers}`, `Ben: ${his}`];
        for (const window of [ana, ben]) {
          await holds(window, expected);
          await shows(window, "Saved");
        }
        await stores(room, expected);
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

      it("loses nothing when the server is killed while two users write", async () => {
        const room = newRoom();
        const [ana, ben] = await begin(room);
        await Promise.all([ana.keyboard.type("before, "), ben.keyboard.type("before, ")]);
        for (const window of [ana, ben]) await shows(window, "Saved");
        await server.kill9();
        await Promise.all([ana.keyboard.type("without it."), ben.keyboard.type("without it.")]);
        await server.launch();
        const expected = ["Ana: before, without it.", "Ben: before, without it."];
        for (const window of [ana, ben]) {
          await holds(window, expected);
          await shows(window, "Saved");
        }
        await server.kill9();
        await server.launch();
        await stores(room, expected);
        await ben.reload();
        for (const window of [ana, ben]) {
          await holds(window, expected);
          await shows(window, "Saved");
        }
      });

      it("takes back and repeats only the user's own edits", async () => {
        const room = newRoom();
        const [ana, ben] = await begin(room);
        await shows(ana, "Saved");
        await ana.reload(); // the history begins with what she writes now
        await holds(ana, ["Ana: ", "Ben: "]);
        await shows(ana, "Saved");
        await ana.locator(text).first().click();
        await goToFirstLine(ana);
        const press = async (keys, expected) => {
          await until(`${keys} leads to ${expected}`, async () => {
            await ana.keyboard.press(keys);
            assert.deepEqual(await lines(ana), expected);
            return true;
          });
          for (let again = 0; again < 3; again += 1) await ana.keyboard.press(keys);
        };
        await ana.keyboard.type("hers");
        await holds(ben, ["Ana: hers", "Ben: "]);
        await ben.keyboard.type("his");
        await holds(ana, ["Ana: hers", "Ben: his"]);
        await press("Control+z", ["Ana: ", "Ben: his"]);
        for (const window of [ana, ben]) await holds(window, ["Ana: ", "Ben: his"]);
        await press("Control+Shift+Z", ["Ana: hers", "Ben: his"]);
        for (const window of [ana, ben]) {
          await holds(window, ["Ana: hers", "Ben: his"]);
          await shows(window, "Saved");
        }
        await stores(room, ["Ana: hers", "Ben: his"]);
      });

      /** The names at the carets of others: a text, or what a style draws after the caret. */
      const names = (window) =>
        window
          .locator(name)
          .evaluateAll((all) =>
            all.map((label) => label.textContent || getComputedStyle(label, "::after").content.slice(1, -1)),
          );
      /** Whether the one caret of others is drawn in that line, away from its beginning. */
      const isAtLine = async (window, index) => {
        const box = (locator) => locator.evaluate((element) => element.getBoundingClientRect().toJSON());
        const [drawn, written] = [await box(window.locator(caret)), await box(window.locator(line).nth(index))];
        const middle = (drawn.top + drawn.bottom) / 2;
        return middle > written.top && middle < written.bottom && drawn.left > written.left + 100;
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
        await ana.locator(text).first().click();
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
        await window.locator(text).first().click();
        await window.keyboard.type("Not this.");
        await window.keyboard.press("Enter");
        await window.keyboard.press("Control+A");
        await window.keyboard.press("Backspace");
      }
    });
  }
});
