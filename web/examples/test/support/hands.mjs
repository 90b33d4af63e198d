// What two people do and see in an editor, whichever it is.

import assert from "node:assert/strict";
import { until } from "@realtime-server/harness/until";

/** The carets of others, which editors draw as elements that are not part of the text. */
const CARETS = "[class*=caret], .cm-ySelectionCaret, [class*=collaboration-cursor], .ProseMirror-yjs-cursor";

/** The actions in the windows of an editor, which is described as those of `EDITORS` in site.mjs are. */
export function handsOn({ text, line = `${text} > *`, caret, name, isAtEnd }) {
  /** The lines that a window shows, without empty ones. */
  const lines = (window) =>
    window.locator(line).evaluateAll((elements, carets) => {
      const top = (element) => element.getBoundingClientRect().top;
      const content = (element) => {
        const copy = element.cloneNode(true);
        for (const caret of copy.querySelectorAll(carets)) caret.remove();
        return copy.textContent.replaceAll(/[\u2060\ufeff]/g, "").replaceAll("\u00a0", " ");
      };
      return elements
        .sort((a, b) => top(a) - top(b))
        .map(content)
        .filter((text) => text !== "");
    }, CARETS);
  const holds = (window, expected) =>
    until(`the window holds ${expected}`, async () => {
      assert.deepEqual(await lines(window), expected);
      return true;
    });
  /** Windows of Ana and Ben, which `open` opens on a new document, with a line for each of them. */
  const begin = async (open) => {
    const ana = await open("ana");
    await ana.locator(text).first().click();
    await ana.keyboard.type("Ana: ");
    await ana.keyboard.press("Enter");
    await ana.keyboard.type("Ben: ");
    const ben = await open("ben");
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

  return { lines, holds, begin, names, isAtLine, goToFirstLine };
}
