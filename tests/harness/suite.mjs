// Servers, databases and browser windows of a suite. Each of these functions registers hooks of node:test that start
// its servers and end them, so call it inside `describe`, not inside a test.

import assert from "node:assert/strict";
import { after, afterEach, before } from "node:test";
import { launchBrowser, openWindow } from "./browser.mjs";
import { sqlite } from "./databases.mjs";
import { Server } from "./server.mjs";

/**
 * One server for all tests of the suite, on a new database of `database`, configured by `env`: it is started before the
 * first of them and stopped after the last one. The stop has to be an orderly one, unless a test has killed the server.
 */
export function suiteServer({ database = sqlite, env } = {}) {
  const server = new Server({ database, env });
  before(async () => {
    await database.start();
    await server.begin();
  });
  after(async () => {
    if (!server.alive) return;
    const { code, signal } = await server.stop();
    assert.deepEqual([code, signal], [0, null], `the server did not stop in order:\n${server.log.slice(-2_000)}`);
  });
  return server;
}

/**
 * Makes `database` ready for a suite whose tests start servers themselves, by the function that is returned: it takes the
 * settings. After each test its servers are killed; before that, `closeClients` is called.
 */
export function suiteDatabase(database, closeClients = () => {}) {
  const servers = [];
  before(() => database.start());
  afterEach(async () => {
    await closeClients();
    for (const server of servers.splice(0)) if (server.alive) await server.kill9();
  });
  return async (env) => {
    const server = new Server({ database, env });
    servers.push(server);
    await server.begin();
    return server;
  };
}

/**
 * One browser for all tests of the suite, `chromium` of playwright-core. `open(address, options)` opens a page in a window
 * of its own (see `openWindow`). After each test its windows are closed, and none of them may have met a problem.
 */
export function suiteBrowser(chromium) {
  const pages = [];
  let browser;
  before(async () => (browser = await launchBrowser(chromium)));
  after(() => browser?.close());
  afterEach(async () => {
    const problems = pages.flatMap((page) => page.problems);
    await Promise.all(pages.splice(0).map((page) => page.context().close()));
    assert.deepEqual(problems, [], "errors in the pages");
  });
  return {
    /** A window that shows nothing yet. */
    async blank(options) {
      const page = await openWindow(browser, options);
      pages.push(page);
      return page;
    },
    async open(address, options) {
      const page = await this.blank(options);
      await page.goto(address);
      return page;
    },
  };
}
