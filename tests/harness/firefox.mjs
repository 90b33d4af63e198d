// Firefox, driven by Puppeteer over WebDriver BiDi, for the tests that use a page in a second kind of browser. Playwright needs a
// build of its own of Firefox; Puppeteer drives the one of the system, without a driver beside it.

import { existsSync } from "node:fs";
import { adopt } from "./process.mjs";

const PROGRAM = process.env.FIREFOX_BIN ?? "/usr/bin/firefox-esr";

/** A cold start on a machine that runs other tests as well. */
const START_TIMEOUT_MS = 90_000;

/** As in Chromium: nothing on the page moves by itself. */
const PREFERENCES = { "ui.prefersReducedMotion": 1 };

/**
 * Starts Firefox with `puppeteer` of puppeteer-core, which the caller imports, and the profile in `folder`: what its pages store is
 * there after a restart. Close it after use; it ends with the tests at the latest.
 */
export async function launchFirefox(puppeteer, folder) {
  if (!existsSync(PROGRAM)) throw new Error(`there is no ${PROGRAM} (Debian: apt-get install firefox-esr)`);
  const browser = await puppeteer.launch({
    browser: "firefox",
    executablePath: PROGRAM,
    headless: true,
    userDataDir: folder,
    extraPrefsFirefox: PREFERENCES,
    timeout: START_TIMEOUT_MS,
  });
  adopt(browser.process());
  return browser;
}

/**
 * Opens an address in a new tab. `problems` of the page collects its uncaught errors, and what it writes to the console as an error or
 * a warning. Firefox reports no failed request there.
 */
export async function openTab(browser, address, viewport = { width: 1280, height: 800 }) {
  const page = await browser.newPage();
  page.setDefaultTimeout(60_000);
  await page.setViewport(viewport);
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => {
    if (["error", "warn"].includes(message.type())) problems.push(message.text());
  });
  await page.goto(address);
  return Object.assign(page, { problems });
}
