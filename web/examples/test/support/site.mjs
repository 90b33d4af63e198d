// The examples as a site of their own, built for a server, for the tests of a suite.

import assert from "node:assert/strict";
import { after, before } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { build, preview } from "vite";
import { freePort, temporaryFolder } from "@realtime-server/harness/process";
import { suiteBrowser, suiteServer } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";

/** The folder of the examples. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/**
 * Each editor: where one types, the carets of others, and the names at them. `notBegun` is what it says of a document that does not
 * exist yet, if it does not use the words of the other examples.
 */
export const EDITORS = [
  {
    page: "tiptap",
    text: ".ProseMirror",
    caret: ".realtime-caret",
    name: ".realtime-caret-label",
    notBegun: "Not started yet",
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

/** The built examples on a server and in a browser of their own, for all tests of the suite (`describe`). */
export function suiteSite() {
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

  return {
    server,
    /** The name of a room that no other test uses. */
    newRoom: () => `example-${(rooms += 1)}`,
    /** A window with a page, with the given query. */
    show: (page, query = "") => browser.open(`${url}/${page}.html?${query}`),
    /** A window of `user` with a page, once it shows `status`. */
    async open(page, { room, user, role = "editor", status = "Saved", ...more }) {
      const window = await this.show(page, new URLSearchParams({ room, user, role, name: `${user}'s name`, ...more }));
      await shows(window, status);
      return window;
    },
  };
}

/** Waits until a window shows a status. */
export function shows(window, status) {
  return until(`the window shows ${status}`, async () => {
    assert.deepEqual(window.problems, []);
    assert.equal(await window.locator("#status").textContent({ timeout: 1_000 }), status);
    return true;
  });
}
