// Chromium, driven by Playwright, for tests that use a page as a person does. `suiteBrowser` in suite.mjs gives a suite its
// browser.

import { existsSync } from "node:fs";

const PROGRAM = process.env.CHROMIUM_BIN ?? "/usr/bin/chromium";

/** Keeps the browser from asking the internet for anything, and lets it run as root. */
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

/** Starts a browser with `chromium` of playwright-core, which the caller imports. Close it after use. */
export function launchBrowser(chromium) {
  if (!existsSync(PROGRAM)) throw new Error(`there is no ${PROGRAM} (Debian: apt-get install chromium)`);
  return chromium.launch({ executablePath: PROGRAM, args: ARGUMENTS, timeout: 60_000 });
}

/**
 * A page in a window of its own, without any state of others, as at another computer. `problems` collects the faults of the
 * page: uncaught errors, and errors on the console that do not come from a network that is away, or from an answer of the API,
 * which the page shows.
 */
export async function openWindow(browser, options = {}) {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    reducedMotion: "reduce",
    ...options,
  });
  context.setDefaultTimeout(30_000);
  const page = await context.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => {
    const text = message.text();
    if (message.location().url.includes("/api/v1/")) return;
    if (message.type() === "error" && !/net::ERR_|WebSocket connection to|status of 5/.test(text)) problems.push(text);
  });
  return Object.assign(page, { problems });
}
