// Chromium, driven by Playwright, for tests that use a page as a person does. `suiteBrowser` in suite.mjs gives a suite its
// browser.

import { existsSync, readdirSync, readFileSync } from "node:fs";

/**
 * Chromium without a window system is enough for these tests, and costs a third of the processor time of the whole browser, which
 * is used where it alone is installed.
 */
const PROGRAMS = ["/usr/bin/chromium-headless-shell", "/usr/bin/chromium"];
const PROGRAM = process.env.CHROMIUM_BIN ?? PROGRAMS.find(existsSync) ?? PROGRAMS[0];

/** What a page does at once takes a slow machine that runs other things as well so long at most. */
const ACTION_TIMEOUT_MS = 60_000;

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
  if (!existsSync(PROGRAM)) throw new Error(`there is no ${PROGRAM} (Debian: apt-get install chromium-headless-shell)`);
  return chromium.launch({ executablePath: PROGRAM, args: ARGUMENTS, timeout: 60_000 });
}

/**
 * Starts a browser with the profile in `folder`, as a person has it: what its pages store is there after a restart. Returns the
 * context with its windows. `close` ends it in order; `kill` ends its process at once, as a crash does.
 */
export async function launchProfile(chromium, folder, options = {}) {
  if (!existsSync(PROGRAM)) throw new Error(`there is no ${PROGRAM} (Debian: apt-get install chromium-headless-shell)`);
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: PROGRAM,
    args: ARGUMENTS,
    timeout: 60_000,
    viewport: { width: 1280, height: 800 },
    reducedMotion: "reduce",
    ...options,
  });
  context.setDefaultTimeout(ACTION_TIMEOUT_MS);
  const kill = async () => {
    const closed = new Promise((resolve) => context.once("close", resolve));
    for (const pid of processesOf(folder)) process.kill(pid, "SIGKILL");
    await closed;
  };
  return Object.assign(context, { kill });
}

/** The processes of the browser that uses that profile; its main process comes first. */
function processesOf(folder) {
  const running = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const commands = running.map((pid) => [Number(pid), commandOf(pid)]);
  const own = commands.filter(([, command]) => command.includes(`--user-data-dir=${folder}`));
  return own.sort(([, a], [, b]) => Number(a.includes("--type=")) - Number(b.includes("--type="))).map(([pid]) => pid);
}

function commandOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return "";
  }
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
  context.setDefaultTimeout(ACTION_TIMEOUT_MS);
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
