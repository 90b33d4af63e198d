// "Connect your app": the code that the page offers works as it is.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import { build, preview } from "vite";
import { adopt, freePort, temporaryFolder } from "@realtime-server/harness/process";
import { suiteBrowser, suiteServer } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";
import { accessible } from "./support/person.mjs";

const PACKAGES = fileURLToPath(new URL("../../node_modules", import.meta.url));

describe("the panel that connects an app", () => {
  const server = suiteServer();
  const browser = suiteBrowser(chromium);

  const openPanel = async (options) => {
    const page = await browser.open(`${server.url}/?name=Ana`, options);
    await page.getByRole("button", { name: "Connect your app" }).click();
    await page.getByRole("dialog", { name: "Connect your app" }).waitFor();
    return page;
  };
  const code = async (page, kind) => {
    await page.getByRole("tab", { name: kind }).click();
    return page.getByRole("tabpanel").locator("code").innerText();
  };

  /** The snippet as a page of its own, bundled as an app would be, in a window. */
  const run = async (snippet) => {
    const project = temporaryFolder();
    symlinkSync(PACKAGES, join(project, "node_modules"));
    mkdirSync(join(project, "src"));
    writeFileSync(join(project, "src/main.tsx"), snippet);
    const html = '<!doctype html><link rel="icon" href="data:," /><div id="root"></div>';
    writeFileSync(join(project, "index.html"), `${html}<script type="module" src="/src/main.tsx"></script>`);
    await build({ root: project, configFile: false, logLevel: "error", resolve: { preserveSymlinks: true } });
    const port = await freePort();
    const site = await preview({
      root: project,
      configFile: false,
      logLevel: "error",
      preview: { port, host: "127.0.0.1" },
    });
    return { open: () => browser.open(site.resolvedUrls.local[0]), close: () => site.close() };
  };

  it("has a command that lists the documents with a token that works", async () => {
    const page = await openPanel();
    const copied = await until("the token is there", async () => {
      const text = await code(page, "curl");
      return /Bearer ey/.test(text) && text;
    });
    const [command] = copied.split("\n");
    const { stdout } = await promisify(execFile)("sh", ["-c", `${command} --silent`]);
    assert.deepEqual(JSON.parse(stdout), { documents: [] });
  });

  it("copies the code of a tab, which the keyboard chooses", async () => {
    const page = await openPanel();
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await page.getByRole("tab", { name: "Install" }).focus();
    await page.getByRole("button", { name: "Copy" }).click();
    await page.getByRole("button", { name: "Copied" }).waitFor();
    const installed = `npm install ${server.url}/client.tgz yjs`;
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), installed);
    await page.getByRole("tab", { name: "Install" }).focus();
    await page.keyboard.press("ArrowLeft");
    assert.equal(await page.getByRole("tab", { selected: true }).innerText(), "curl");
    await page.keyboard.press("Home");
    assert.equal(await page.getByRole("tab", { selected: true }).innerText(), "Install");
  });

  it("has a program whose paragraph people see, and which prints what they write", async () => {
    const folder = temporaryFolder();
    symlinkSync(PACKAGES, join(folder, "node_modules"));
    writeFileSync(join(folder, "app.mjs"), await code(await openPanel(), "JavaScript"));
    const program = spawn("node", ["app.mjs"], { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
    const { ended } = adopt(program);
    let printed = "";
    program.stdout.on("data", (bytes) => (printed += bytes));
    await until("it has saved", () => printed.includes("Saved."));
    const ben = await browser.open(`${server.url}/?name=Ben`);
    await ben.getByRole("link", { name: /my-first-app/ }).click();
    await ben.locator(".ProseMirror", { hasText: "Hello from my app." }).click();
    await ben.keyboard.press("Control+End");
    await ben.keyboard.type(" And from Ben.");
    await until("it prints what Ben wrote", () => printed.includes("Hello from my app. And from Ben."));
    program.kill();
    await ended();
  });

  it("has a React app that counts in all windows at once", async () => {
    const app = await run(await code(await openPanel(), "React"));
    try {
      const windows = await Promise.all([app.open(), app.open()]);
      for (const page of windows) await page.getByText("connected, saved").waitFor();
      for (const page of windows) await page.getByRole("button").click();
      for (const page of windows) await page.getByRole("button", { name: "Counted 2 times" }).waitFor();
    } finally {
      await app.close();
    }
  });

  it("has an editor with Tiptap whose text the page shows", async () => {
    const app = await run(await code(await openPanel(), "Tiptap"));
    try {
      const window = await app.open();
      // Nobody can write before the server has said whether they may.
      await window.locator('.ProseMirror[contenteditable="true"]').click();
      await window.keyboard.type("Typed in my own app.");
      const ben = await browser.open(`${server.url}/?document=my-first-app&name=Ben`);
      await ben.locator(".ProseMirror", { hasText: "Typed in my own app." }).waitFor();
    } finally {
      await app.close();
    }
  });

  it("links to the documentation, the health and the metrics of the server", async () => {
    const page = await browser.open(`${server.url}/?name=Ana`);
    for (const [name, words] of [
      ["Health", "uptime_seconds"],
      ["Metrics", "realtime_"],
    ]) {
      const address = await page.getByRole("link", { name, exact: true }).getAttribute("href");
      const answer = await fetch(new URL(address, page.url()));
      assert.ok((await answer.text()).includes(words), name);
    }
    await page.getByRole("link", { name: "Documentation", exact: true }).click();
    await page.getByRole("link", { name: "The TypeScript client" }).click();
    await page.getByRole("heading", { name: "The TypeScript client" }).waitFor();
  });

  for (const viewport of [
    { width: 1280, height: 800 },
    { width: 390, height: 844 },
  ]) {
    it(`breaks no rule of accessibility, ${viewport.width} px wide`, async () => {
      const page = await openPanel({ viewport });
      for (const kind of ["Install", "JavaScript", "curl"]) {
        await code(page, kind);
        await accessible(page, kind);
      }
    });
  }
});
