// Each editor of the examples, used by several people at once.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { until } from "@realtime-server/harness/until";
import { handsOn } from "./support/hands.mjs";
import { EDITORS, shows, suiteSite } from "./support/site.mjs";

describe("the editors", () => {
  const site = suiteSite();
  const { newRoom, server } = site;
  const open = (page, options) => site.open(page, options);

  for (const editor of EDITORS) {
    const { page, text, stored } = editor;
    const { notBegun = "Nobody has begun this document yet" } = editor;

    describe(page, () => {
      const hands = handsOn(editor);
      const { lines, holds, names, isAtLine, goToFirstLine } = hands;
      const stores = async (room, expected) =>
        assert.deepEqual(
          stored(await site.read(room)).filter((line) => line !== ""),
          expected,
        );

      /** Windows of Ana and Ben on a new document with a line for each of them. */
      const begin = (room) => hands.begin((user) => open(page, { room, user }));

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
