// The pages that docs/client.md shows, built, served and used by several people; and the documentation itself.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import { build, preview } from "vite";
import { adopt, freePort, temporaryFolder } from "@realtime-server/harness/process";
import { suiteBrowser, suiteServer } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));

/** Each editor: where one types, the carets of others, and the names at them. */
const EDITORS = [
  {
    page: "tiptap",
    text: ".ProseMirror",
    caret: ".collaboration-carets__caret",
    name: ".collaboration-carets__label",
  },
  { page: "codemirror", text: ".cm-content", caret: ".cm-ySelectionCaret", name: ".cm-ySelectionInfo" },
  { page: "quill", text: ".ql-editor", caret: ".ql-cursor-caret", name: ".ql-cursor-name" },
  {
    page: "lexical",
    text: "[data-lexical-editor]",
    caret: "#editor + div span:has(> span:not(:empty))",
    name: "#editor + div span span:not(:empty)",
  },
];

describe("the examples", () => {
  const server = suiteServer({ env: { JWT_SECRET: undefined } });
  const browser = suiteBrowser(chromium);
  let site;
  let url;
  let rooms = 0;

  before(async () => {
    process.env.VITE_REALTIME_SERVER_URL = server.url;
    const output = { outDir: temporaryFolder(), emptyOutDir: true };
    await build({ root: ROOT, logLevel: "error", build: output });
    const port = await freePort();
    site = await preview({
      root: ROOT,
      logLevel: "silent",
      build: output,
      preview: { host: "127.0.0.1", port, strictPort: true },
    });
    url = `http://127.0.0.1:${port}`;
  });
  after(() => site?.close());

  const newRoom = () => `example-${(rooms += 1)}`;
  /** A window of `user` with a page open, once it shows `status`. */
  const open = async (page, { room, user, role = "editor", status = "Saved", ...more }) => {
    const query = new URLSearchParams({ room, user, role, name: `${user}'s name`, ...more });
    const window = await browser.open(`${url}/${page}.html?${query}`);
    await shows(window, status);
    return window;
  };
  const shows = (window, status) =>
    until(`the window shows ${status}`, async () => {
      assert.deepEqual(window.problems, []);
      assert.equal(await window.locator("#status").textContent({ timeout: 1_000 }), status);
      return true;
    });

  /** Waits until the browser's copies hold all that was written: a read comes after the writes before it. */
  const kept = (window) =>
    window.evaluate(async () => {
      const done = (request) =>
        new Promise((resolve, reject) => {
          request.onsuccess = () => resolve(request.result);
          request.onerror = () => reject(request.error);
        });
      for (const { name } of await indexedDB.databases()) {
        const copy = await done(indexedDB.open(name));
        await done(copy.transaction("updates").objectStore("updates").count());
        copy.close();
      }
    });

  for (const { page, text, caret, name } of EDITORS) {
    describe(page, () => {
      const lines = (window) =>
        window.locator(text).evaluate((element) => {
          const paragraphs = [...element.children].map((line) => {
            const copy = line.cloneNode(true);
            // What is drawn for carets is no text.
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

      it("is written by two at once, who see each other, and is there after a reload", async () => {
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
        await ana.keyboard.press("Control+Home");
        await until("Ana's caret is at the end of her line", async () => {
          await ana.keyboard.press("End");
          return ana.evaluate(() => getSelection().anchorOffset === "Ana: ".length);
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

      it("is only looked at by a viewer", async () => {
        const room = newRoom();
        const early = await open(page, {
          room,
          user: "early",
          role: "viewer",
          status: "Nobody has begun this document yet",
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

  it("React hooks: a list and who is here", async () => {
    const room = newRoom();
    const [ana, ben] = [await open("hooks", { room, user: "ana" }), await open("hooks", { room, user: "ben" })];
    const add = async (window, item) => {
      await window.getByLabel("New item").fill(item);
      await window.getByLabel("New item").press("Enter");
    };
    const items = (window) =>
      window.locator("li").evaluateAll((all) => all.map((item) => item.firstChild.textContent).sort());
    await Promise.all([add(ana, "apples"), add(ben, "pears")]);
    const viewer = await open("hooks", { room, user: "vic", role: "viewer", status: "View only" });
    for (const window of [ana, ben, viewer]) {
      await until("both items are there", async () => (await items(window)).join() === "apples,pears");
    }
    assert.equal(await viewer.locator(":enabled:is(button, input)").count(), 0);
    await until("Ana sees who is here", async () => {
      assert.equal(await ana.locator("#people").textContent(), "Here: you, ben's name, vic's name");
      return true;
    });
    await ben.locator("li").getByRole("button").first().click();
    await until("an item is gone", async () => (await items(ana)).length === 1);

    await server.kill9();
    await shows(ana, "Offline");
    await add(ana, "quinces");
    await shows(ana, "Offline. Your changes are kept here and sent later.");
    await kept(ana);
    await ana.reload();
    await until("the copy is there", async () => (await items(ana)).length === 2);
    await shows(ana, "Offline. Your changes are kept here and sent later.");
    await add(ana, "plums");
    await server.launch();
    for (const window of [ana, ben]) {
      await until("all items are there", async () => (await items(window)).length === 3);
      await shows(window, "Saved");
    }
  });

  it("the quick start, and a program in Node on the same document", async () => {
    const window = await browser.open(`${url}/quickstart.html`);
    await shows(window, "Saved");
    const { stdout } = await promisify(execFile)("node", ["src/node.mjs"], {
      cwd: ROOT,
      env: { ...process.env, REALTIME_SERVER_URL: server.url },
      timeout: 20_000,
    });
    assert.equal(stdout, "Hello. Written by a program. \n");
    await until(
      "the page shows it",
      async () => (await window.locator("#text").textContent()) === stdout.trimEnd() + " ",
    );
  });

  it("without the package: two write, the server is killed, and nothing is lost", async () => {
    const room = newRoom();
    const [ana, ben] = [await open("plain", { room, user: "ana" }), await open("plain", { room, user: "ben" })];
    const write = async (window, line) => {
      await window.getByLabel("New line").fill(line);
      await window.getByLabel("New line").press("Enter");
    };
    const holds = (window, expected) =>
      until(`it holds ${expected}`, async () => {
        assert.deepEqual((await window.locator("#text").textContent()).trim().split("\n").sort(), expected);
        return true;
      });
    await Promise.all([write(ana, "first of Ana"), write(ben, "first of Ben")]);
    for (const window of [ana, ben]) await holds(window, ["first of Ana", "first of Ben"]);
    await server.kill9();
    await write(ana, "offline");
    await server.launch();
    for (const window of [ana, ben]) {
      await holds(window, ["first of Ana", "first of Ben", "offline"]);
      await shows(window, "Saved");
    }
  });

  it("y-webrtc beside the server: what two type at once is saved within a second, whoever brings it", async () => {
    const port = await freePort();
    const program = `${REPOSITORY}web/node_modules/y-webrtc/bin/server.js`;
    const signaling = spawn("node", [program], { env: { ...process.env, PORT: port }, stdio: "ignore" });
    adopt(signaling);
    const page = { room: newRoom(), signaling: `ws://127.0.0.1:${port}` };
    const ana = await open("webrtc", { ...page, user: "ana" });
    const ben = await open("webrtc", { ...page, user: "ben" });
    const both = [ana, ben];
    for (const window of both) {
      await until("they are connected directly", async () => (await window.locator("#peers").textContent()) === "1");
    }
    const type = async (window, words) => {
      await window.locator(".cm-content").click();
      await window.keyboard.type(words, { delay: 15 });
    };
    const content = (window) =>
      window.locator(".cm-content").evaluate((element) => {
        const copy = element.cloneNode(true);
        for (const caret of copy.querySelectorAll(".cm-ySelectionCaret")) caret.remove();
        return copy.textContent;
      });
    const holds = (window, length) =>
      until("it holds what both typed", async () => {
        assert.equal((await content(window)).length, length);
        return true;
      });

    await Promise.all([type(ana, "a".repeat(150)), type(ben, "b".repeat(150))]);
    const typed = performance.now();
    for (const window of both) await shows(window, "Saved");
    const took_ms = performance.now() - typed;
    console.log(`saved ${took_ms.toFixed(0)} ms after the last key`);
    assert.ok(took_ms < 1_000, `saved after ${took_ms.toFixed(0)} ms`);
    await holds(await open("codemirror", { room: page.room, user: "cleo" }), 300);

    // Without the server, they have one another; and what the other wrote comes from either.
    await server.kill9();
    await type(ana, "a".repeat(10));
    await holds(ben, 310);
    await server.launch();
    for (const window of both) await shows(window, "Saved");
    await Promise.all(both.map((window) => window.close()));
    await holds(await open("codemirror", { room: page.room, user: "dora" }), 310);
    signaling.kill();
  });
});

describe("docs/client.md", () => {
  const documentation = readFileSync(`${REPOSITORY}docs/client.md`, "utf8");
  const shown = [...documentation.matchAll(/^<!-- (web\/\S+) -->\n+```\w*\n([^]*?)^```$/gm)];

  for (const [, file, block] of shown) {
    it(`shows ${file} as it is`, () => assert.equal(block, readFileSync(`${REPOSITORY}${file}`, "utf8")));
  }

  it("shows every example", () => {
    const marks = [...documentation.matchAll(/^<!-- (web\/.*) -->$/gm)].map(([, file]) => file);
    assert.deepEqual(
      shown.map(([, file]) => file),
      marks,
      "a mark without a block behind it",
    );
    for (const { page } of EDITORS)
      assert.ok(
        marks.some((file) => file.startsWith(`web/examples/src/${page}.`)),
        page,
      );
  });
});
