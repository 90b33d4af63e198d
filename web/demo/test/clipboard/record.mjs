// Records what programs put on the clipboard, from the documents in `sources/`: see README.md.
//
//     node web/demo/test/clipboard/record.mjs
//
// It needs Debian's libreoffice-writer, libreoffice-calc, chromium, firefox-esr, xvfb, xdotool and xclip.

import { execFileSync, spawn } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import puppeteer from "puppeteer-core";
import { until } from "@realtime-server/harness/until";

const here = fileURLToPath(new URL(".", import.meta.url));
const sources = join(here, "sources");
const folder = mkdtempSync(join(tmpdir(), "realtime-clipboard-"));
const DISPLAY = ":87";
const PLAIN = "text/plain;charset=utf-8";
process.env.DISPLAY = DISPLAY;

const screen = start("Xvfb", [DISPLAY, "-screen", "0", "1280x900x24", "-noreset"]);
try {
  await until("the screen is there", () => run("xdotool", ["getdisplaygeometry"]));
  await office("report.fodt", "libreoffice-writer", ["text/html", PLAIN, "text/rtf"]);
  await office("fees.fods", "libreoffice-calc", ["text/html", PLAIN]);
  await article();
} finally {
  end(screen);
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}

/** Opens a document in LibreOffice, selects all, copies it, and saves the clipboard as `name`. */
async function office(document, name, types) {
  const profile = `-env:UserInstallation=file://${join(folder, "office")}`;
  // A copy, because LibreOffice leaves a lock beside it.
  copyFileSync(join(sources, document), join(folder, document));
  const program = start("soffice", [profile, "--norestore", "--nologo", join(folder, document)]);
  try {
    const find = ["search", "--onlyvisible", "--name", document];
    const window = await until("the document is open", () => run("xdotool", find).split("\n")[0], 60_000, 500);
    // The window is there before the document reacts to keys.
    await pause(5_000);
    run("xdotool", ["windowfocus", window]);
    for (const keys of ["Escape", "ctrl+a", "ctrl+c"]) {
      run("xdotool", ["key", keys]);
      await pause(1_000);
    }
    save(name, types);
  } finally {
    end(program);
    await pause(1_000);
  }
}

/** Opens the article in both browsers, selects all, and copies it. */
async function article() {
  const site = createServer((request, response) => {
    const isPage = !request.url.endsWith(".png");
    response.setHeader("content-type", isPage ? "text/html" : "image/png");
    response.end(readFileSync(join(sources, isPage ? "article.html" : "harbour.png")));
  });
  await new Promise((resolve) => site.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${site.address().port}`;
  const address = `${origin}/wiki/Harbour`;
  try {
    const args = ["--no-sandbox", "--disable-gpu"];
    const chrome = await chromium.launch({ executablePath: "/usr/bin/chromium", headless: false, args });
    const page = await chrome.newPage();
    await page.goto(address);
    await page.keyboard.press("Control+a");
    await page.keyboard.press("Control+c");
    await pause(1_000);
    save("article-chromium", ["text/html", "text/plain"], origin);
    await chrome.close();

    const userDataDir = join(folder, "firefox");
    const options = { browser: "firefox", executablePath: "/usr/bin/firefox-esr", headless: false, userDataDir };
    const fox = await puppeteer.launch(options);
    const tab = await fox.newPage();
    await tab.goto(address);
    await tab.bringToFront();
    await tab.keyboard.down("Control");
    await tab.keyboard.press("a");
    await tab.keyboard.press("c");
    await tab.keyboard.up("Control");
    await pause(1_000);
    save("article-firefox", ["text/html", PLAIN], origin);
    await fox.close();
  } finally {
    site.close();
    site.closeAllConnections();
  }
}

/** Saves the clipboard: a file for each type. The address of the local site becomes that of an example. */
function save(name, types, origin) {
  for (const type of types) {
    const ending = { "text/html": "html", "text/rtf": "rtf" }[type] ?? "txt";
    const bytes = execFileSync("xclip", ["-out", "-selection", "clipboard", "-target", type], { timeout: 10_000 });
    // Firefox writes UTF-16 with a byte order mark, LibreOffice a zero after the end.
    const isUtf16 = bytes[0] === 0xff && bytes[1] === 0xfe;
    const text = bytes.toString(isUtf16 ? "utf16le" : "utf8").replace(/^\ufeff|\0+$/g, "");
    writeFileSync(join(here, `${name}.${ending}`), origin ? text.replaceAll(origin, "https://example.com") : text);
    console.log(`${name}.${ending}: ${text.length} characters`);
  }
}

function run(program, arguments_) {
  return execFileSync(program, arguments_, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
}

/** Starts a program in a process group of its own. */
function start(program, arguments_) {
  return spawn(program, arguments_, { stdio: "ignore", detached: true });
}

function end(child) {
  try {
    process.kill(-child.pid, "SIGTERM");
  } catch {
    // It has ended by itself.
  }
}
