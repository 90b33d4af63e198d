// Debian's Chromium, driven by Playwright, for what has to be tried as a person would.

import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

const PROGRAM = process.env.CHROMIUM_BIN ?? "/usr/bin/chromium";

/** What keeps it from asking the internet for anything, and lets it run as root. */
const ARGUMENTS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Starts a browser. Close it after use. */
export function launchBrowser() {
  if (!existsSync(PROGRAM)) throw new Error(`there is no ${PROGRAM} (Debian: apt-get install chromium)`);
  return chromium.launch({ executablePath: PROGRAM, args: ARGUMENTS });
}

/**
 * A window of its own, which shares nothing with others: a person at another computer. `problems` collects what went wrong in
 * the page: uncaught errors, and errors on the console other than those of a network that is away.
 */
export async function openWindow(browser, options = {}) {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    reducedMotion: "reduce",
    ...options,
  });
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => {
    const text = message.text();
    if (message.type() === "error" && !/net::ERR_|WebSocket connection to|status of 5/.test(text)) problems.push(text);
  });
  return Object.assign(page, { problems });
}
