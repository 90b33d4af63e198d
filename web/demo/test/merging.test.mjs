// What people write at the same time, and what other versions of the page write, may not fit the schema of the editor. No window
// deletes it, and all windows show the same.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { chromium } from "playwright-core";
import { Random } from "@realtime-server/harness/random";
import { suiteBrowser, suiteServer } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";
import { editor, outline, saved } from "./editor.mjs";

/** The seeds of the random programs. TEST_SEED repeats one of them. */
const SEEDS = process.env.TEST_SEED ? [Number(process.env.TEST_SEED)] : [1, 2, 3, 4, 5, 6];

const STEPS = 7;

/** What a window does at random. The first four delete nothing, and change no cell into one of another kind. */
const STEP_NAMES = [
  "type",
  "addRowAfter",
  "addColumnAfter",
  "addRowBefore",
  "toggleHeaderRow",
  "deleteRow",
  "deleteColumn",
  "merge",
];

describe("merging", () => {
  const server = suiteServer();
  const browser = suiteBrowser(chromium);

  const open = async (room, name) => {
    await server.createDocument(room);
    const page = await browser.open(`${server.url}/?document=${room}&name=${name}`);
    await saved(page);
    await editor(page).click();
    return page;
  };
  const network = (isOn, ...pages) => Promise.all(pages.map((page) => page.context().setOffline(!isOn)));
  const offline = (page) => page.getByTestId("banner").getByText("Offline").waitFor();
  const same = (one, other) =>
    until("both windows show the same", async () => {
      assert.deepEqual(await outline(one), await outline(other));
      return true;
    });

  for (const seed of SEEDS) {
    const mayDelete = seed % 2 === 0;
    const what = mayDelete ? "shows the same in both windows" : "keeps every word";
    it(`of random edits of a table without a network ${what} (seed ${seed})`, async () => {
      const [ana, ben] = [await open(`table-${seed}`, "Ana"), await open(`table-${seed}`, "Ben")];
      await ana.evaluate(() => document.querySelector(".ProseMirror").editor.chain().focus().insertTable().run());
      await saved(ana);
      await same(ana, ben);
      const random = new Random(seed);
      const words = [];
      for (let round = 0; round < 2; round += 1) {
        await network(false, ana, ben);
        await Promise.all([offline(ana), offline(ben)]);
        for (const [page, name] of [
          [ana, "ana"],
          [ben, "ben"],
        ]) {
          for (let step = 0; step < STEPS; step += 1) {
            const deed = STEP_NAMES[random.below(mayDelete ? STEP_NAMES.length : 4)];
            const word = `${name}${round}x${step};`;
            const isDone = await edit(page, deed, random.below(1_000), word);
            if (isDone && deed === "type") words.push(word);
          }
        }
        await network(true, ana, ben);
        await saved(ana, ben);
        await same(ana, ben);
      }
      // An edit in the merged table writes what the windows have repaired. The windows stay the same, and come to rest.
      assert.ok(await edit(ana, "type", 3, "end;"));
      await saved(ana, ben);
      await same(ana, ben);
      const text = (await outline(ben)).join("");
      if (!mayDelete)
        assert.deepEqual(
          words.filter((word) => !text.includes(word)),
          [],
        );
      assert.ok(await isEven(ana), "the rows of all tables are equally long");
      assert.ok(await isEven(ben), "the rows of all tables are equally long");
      const cleo = await open(`table-${seed}`, "Cleo");
      await same(cleo, ana);
    });
  }

  it("of a new row and a new column gives a table of one column more, and no window writes what it adds to show it", async () => {
    const [ana, ben] = [await open("both", "Ana"), await open("both", "Ben")];
    await ana.evaluate(() => document.querySelector(".ProseMirror").editor.commands.insertTable());
    await saved(ana);
    await same(ana, ben);
    await network(false, ana, ben);
    await Promise.all([offline(ana), offline(ben)]);
    assert.ok(await edit(ana, "addColumnAfter", 1));
    assert.ok(await edit(ben, "addRowAfter", 1));
    await network(true, ana, ben);
    await saved(ana, ben);
    await same(ana, ben);
    const cells = async (page) => (await source(page)).match(/<table(cell|header)/gi).length;
    assert.deepEqual([await cells(ana), await cells(ben)], [15, 15]);
    // Writing elsewhere in the table does not write it either.
    assert.ok(await edit(ana, "type", 0, "first;"));
    await saved(ana);
    await same(ana, ben);
    assert.deepEqual([await cells(ana), await cells(ben)], [15, 15]);
    assert.ok(await isEven(ben));
    assert.equal(await editor(ben).locator("tr").first().locator("th").count(), 4);
    // What is written into an added cell is kept.
    assert.ok(await edit(ben, "type", 11, "added;"));
    await saved(ben);
    await same(ana, ben);
    assert.match(await source(ana), /added;/);
  });

  it("two people who delete the same row, each the last one that the other left, leave a table", async () => {
    const [ana, ben] = [await open("rows", "Ana"), await open("rows", "Ben")];
    const insert = () => document.querySelector(".ProseMirror").editor.commands.insertTable({ rows: 2, cols: 2 });
    await ana.evaluate(insert);
    await saved(ana);
    await same(ana, ben);
    await network(false, ana, ben);
    await Promise.all([offline(ana), offline(ben)]);
    assert.ok(await edit(ana, "deleteRow", 0));
    assert.ok(await edit(ben, "deleteRow", 3));
    await network(true, ana, ben);
    await saved(ana, ben);
    await same(ana, ben);
    assert.ok(await isEven(ana));
  });

  it("keeps blocks and marks of a newer page, also while people write beside and in them", async () => {
    const [ana, ben] = [await open("newer", "Ana"), await open("newer", "Ben")];
    await ana.keyboard.type("plain text");
    await saved(ana);
    await same(ana, ben);
    // A newer page: it knows a block and a mark that this one does not know.
    await ana.evaluate(() => {
      const text = document.querySelector(".ProseMirror").editor.extensionManager.extensions;
      const { document: doc } = text.find(({ name }) => name === "collaboration").options;
      const fragment = doc.getXmlFragment("default");
      const paragraph = fragment.get(0);
      const Element = paragraph.constructor;
      const widget = new Element("widget");
      widget.setAttribute("color", "red");
      const inner = new Element("paragraph");
      widget.insert(0, [inner]);
      fragment.insert(1, [widget]);
      inner.insert(0, [new (paragraph.get(0).constructor)("inside the widget")]);
      paragraph.get(0).format(0, 5, { glow: { strength: 3 } });
    });
    await saved(ana);
    await until(
      "it is shown that something is not shown",
      async () => (await ben.locator("div.unknown").count()) === 1,
    );
    await ben.keyboard.press("Control+Home");
    await ben.keyboard.type("Ben: ");
    await ana.keyboard.press("Control+End");
    await saved(ana, ben);
    await same(ana, ben);
    for (const page of [ana, ben]) {
      const xml = await source(page);
      assert.match(xml, /<widget color="red"><paragraph>inside the widget<\/paragraph><\/widget>/);
      assert.match(xml, /<glow strength="3">Ben: plain<\/glow>/);
    }
  });

  it("shows a list whose items have lost their paragraphs, and loses nothing of it", async () => {
    const ana = await open("items", "Ana");
    await ana.keyboard.type("- outer");
    await ana.keyboard.press("Enter");
    await ana.keyboard.press("Tab");
    await ana.keyboard.type("inner");
    await saved(ana);
    const ben = await open("items", "Ben");
    // Someone deletes the paragraph of an item while another person adds a list below it.
    await ana.evaluate(() => {
      const text = document.querySelector(".ProseMirror").editor.extensionManager.extensions;
      const { document: doc } = text.find(({ name }) => name === "collaboration").options;
      doc.getXmlFragment("default").get(0).get(0).delete(0, 1);
    });
    await until("Ben sees it", async () => !(await outline(ben)).join("").includes("outer"));
    for (const page of [ana, ben]) {
      assert.deepEqual(await outline(page), [
        "bulletList(listItem(paragraph()bulletList(listItem(paragraph(inner)))))",
      ]);
    }
    await ben.keyboard.press("Control+End");
    await ben.keyboard.type("most");
    await saved(ben);
    await same(ana, ben);
    assert.match(await source(ana), /innermost/);
  });
});

/** Does one thing in the cell of that number, counted around. Returns whether it was possible. */
function edit(page, what, number, word = "") {
  return editor(page).evaluate(
    (root, { what, number, word }) => {
      const { editor } = root;
      const cells = [];
      editor.state.doc.descendants((node, position) => {
        if (/^table(Cell|Header)$/.test(node.type.name)) cells.push(position);
      });
      if (cells.length === 0) return false;
      const cell = cells[number % cells.length];
      editor.commands.setTextSelection(cell + 2);
      if (what === "type") return editor.commands.insertContent(word);
      if (what !== "merge") return editor.commands[what]();
      const other = cells[(number + 1) % cells.length];
      return editor.chain().setCellSelection({ anchorCell: cell, headCell: other }).mergeCells().run();
    },
    { what, number, word },
  );
}

/** Whether all rows of all tables of the editor fill the same columns. */
function isEven(page) {
  return editor(page).evaluate((root) =>
    [...root.querySelectorAll("table")].every((table) => {
      const columns = [];
      [...table.rows].forEach((row, at) => {
        for (const cell of row.cells)
          for (let below = 0; below < cell.rowSpan; below += 1)
            columns[at + below] = (columns[at + below] ?? 0) + cell.colSpan;
      });
      return new Set(columns).size === 1;
    }),
  );
}

/** The content of the document itself, without what the editor adds to show it. */
function source(page) {
  return editor(page).evaluate((root) => {
    const { document: doc } = root.editor.extensionManager.extensions.find(
      ({ name }) => name === "collaboration",
    ).options;
    return doc.getXmlFragment("default").toString();
  });
}
