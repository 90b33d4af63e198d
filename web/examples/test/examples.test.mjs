// The other pages that docs/client.md shows, used by several people; and the documentation itself.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { adopt, freePort } from "@realtime-server/harness/process";
import { until } from "@realtime-server/harness/until";
import { EDITORS, ROOT, STOCK_EDITORS, shows, suiteSite } from "./support/site.mjs";

const KEY_DELAY_MS = 15;
const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));

describe("the examples", () => {
  const site = suiteSite();
  const { newRoom, server } = site;
  const open = (page, options) => site.open(page, options);

  /** Waits until the browser's copies hold all edits: a read comes after the writes before it. */
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

  it("React hooks: a list, and the users who are here", async () => {
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
    await until("Ana sees all users", async () => {
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
    const window = await site.show("quickstart");
    await shows(window, "Saved");
    const { stdout } = await promisify(execFile)("node", ["src/node.mjs"], {
      cwd: ROOT,
      env: { ...process.env, REALTIME_SERVER_URL: server.url },
      timeout: 60_000,
    });
    assert.equal(stdout, "Hello. Written by a program. \n");
    await until(
      "the page shows it",
      async () => (await window.locator("#text").textContent()) === stdout.trimEnd() + " ",
    );
  });

  it("without the package: two users write, the server is killed, and nothing is lost", async () => {
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

  it("Monaco: the line ends of a window on Windows are those of the others", async () => {
    const room = newRoom();
    const windows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0";
    const ana = await site.show("monaco", `user=ana&room=${room}`, { userAgent: windows });
    await shows(ana, "Saved");
    await ana.locator(".view-lines").click();
    // Monaco suggests words, on a slow machine the very word that was typed, and Enter accepts it. It suggests no numbers.
    await ana.keyboard.type("11");
    await ana.keyboard.press("Enter");
    await ana.keyboard.type("22");
    await shows(ana, "Saved");
    const ben = await open("monaco", { room, user: "ben" });
    await until("Ben has both lines", async () => {
      assert.deepEqual(await ben.locator(".view-line").allTextContents(), ["11", "22"]);
      return true;
    });
    await ben.locator(".view-lines").click();
    await ben.keyboard.press("Control+End");
    await ben.keyboard.type(", 33");
    await shows(ben, "Saved");
    await until("Ana sees it", async () => (await ana.locator(".view-lines").textContent()).endsWith("33"));
    await ana.keyboard.type(" + 44");
    await shows(ana, "Saved");
    const text = (await site.read(room)).getText("monaco").toString();
    assert.ok(["11\n22, 33 + 44", "11\n22 + 44, 33"].includes(text), JSON.stringify(text));
  });

  it("y-webrtc beside the server: what two users type at once is saved within a second", async () => {
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
      await window.keyboard.type(words, { delay: KEY_DELAY_MS });
    };
    const content = (window) =>
      window.locator(".cm-content").evaluate((element) => {
        const copy = element.cloneNode(true);
        for (const caret of copy.querySelectorAll(".cm-ySelectionCaret")) caret.remove();
        return copy.textContent;
      });
    const holds = (window, length) =>
      until("it has the text of both", async () => {
        assert.equal((await content(window)).length, length);
        return true;
      });

    const began = performance.now();
    await Promise.all([type(ana, "a".repeat(150)), type(ben, "b".repeat(150))]);
    const typed = performance.now();
    for (const window of both) await shows(window, "Saved");
    const took_ms = performance.now() - typed;
    // A machine on which the typing takes longer than its pauses is as much slower at saving.
    const slowness = Math.max(1, (typed - began) / (150 * KEY_DELAY_MS));
    console.log(
      `saved ${took_ms.toFixed(0)} ms after the last key, on a machine ${slowness.toFixed(1)} times too slow`,
    );
    assert.ok(took_ms < 1_000 * slowness, `saved after ${took_ms.toFixed(0)} ms`);
    await holds(await open("codemirror", { room: page.room, user: "cleo" }), 300);

    // Without the server they are connected directly, and afterwards either sends what the other wrote.
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

for (const page of ["client", "stock-clients"]) {
  describe(`docs/${page}.md`, () => {
    const documentation = readFileSync(`${REPOSITORY}docs/${page}.md`, "utf8");
    const shown = [...documentation.matchAll(/^<!-- (web\/\S+) -->\n+```\w*\n([^]*?)^```$/gm)];

    for (const [, file, block] of shown) {
      it(`shows ${file} as it is`, () => assert.equal(block, readFileSync(`${REPOSITORY}${file}`, "utf8")));
    }

    it("has a block behind every mark, and names every editor", () => {
      const marks = [...documentation.matchAll(/^<!-- (web\/.*) -->$/gm)].map(([, file]) => file);
      assert.deepEqual(
        shown.map(([, file]) => file),
        marks,
      );
      const [folder, editors] = page === "client" ? ["src", EDITORS] : ["src/stock", STOCK_EDITORS];
      for (const { page: editor } of editors)
        assert.ok(documentation.includes(`(../web/examples/${folder}/${editor}.ts`), editor);
    });
  });
}
