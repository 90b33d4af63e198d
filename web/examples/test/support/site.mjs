// The examples as a site of their own, built for a server, for the tests of a suite.

import assert from "node:assert/strict";
import { cpSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { io } from "socket.io-client";
import { build, preview } from "vite";
import * as Y from "yjs";
import { freePort, temporaryFolder } from "@realtime-server/harness/process";
import { suiteBrowser, suiteServer } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";

/** The folder of the examples. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/**
 * A site that `npm test` has built for all files, for a server at the address `BUILT_FOR`, where no server is. A file that runs alone
 * builds its own.
 */
const BUILT = process.env.EXAMPLES_BUILT;
const BUILT_FOR = "http://realtime-server.invalid";

/** The lines of a shared plain text. */
const linesOf = (text) => text.toString().split("\n");

/** The text of a shared rich text, without its formats and embedded values. */
const plainText = (text) =>
  text
    .toDelta()
    .map(({ insert }) => (typeof insert === "string" ? insert : ""))
    .join("");

/** The paragraphs of the documents of ProseMirror: the elements that contain text, or nothing. */
const paragraphsOf = (element) => {
  const children = element.toArray();
  if (children.some((child) => child instanceof Y.XmlElement)) return children.flatMap(paragraphsOf);
  return [children.map(plainText).join("")];
};

/** Whether the caret of this window is drawn at the end of the first line, where the browser knows no selection. */
const isDrawnAtEnd = () => {
  const box = (selector) => document.querySelector(selector)?.getBoundingClientRect();
  const [caret, line] = [box(".cursors-layer > .cursor"), box(".view-line > span")];
  return caret && line && Math.abs(caret.left - line.right) < 4 && caret.top < line.bottom;
};

/**
 * Each editor: where one types, its lines (default: the children), the carets of others, and the names at them; and the lines that
 * a document has according to Yjs. `notBegun` is what it says of a document that does not exist yet, if it does not use the words of
 * the other examples. `isAtEnd` says in the window whether its caret is at the end of the first line, if not the browser's selection
 * says so.
 */
export const EDITORS = [
  {
    page: "tiptap",
    text: ".ProseMirror",
    caret: ".realtime-caret",
    name: ".realtime-caret-label",
    stored: (doc) => paragraphsOf(doc.getXmlFragment("default")),
    notBegun: "Not started yet",
  },
  {
    page: "codemirror",
    text: ".cm-content",
    caret: ".cm-ySelectionCaret",
    name: ".cm-ySelectionInfo",
    stored: (doc) => linesOf(doc.getText("codemirror")),
  },
  {
    page: "monaco",
    text: ".view-lines",
    caret: ".yRemoteSelectionHead",
    name: ".yRemoteSelectionHead",
    stored: (doc) => linesOf(doc.getText("monaco")),
    isAtEnd: isDrawnAtEnd,
  },
  {
    page: "quill",
    text: ".ql-editor",
    caret: ".ql-cursor-caret",
    name: ".ql-cursor-name",
    stored: (doc) => linesOf(doc.getText("quill")),
  },
  {
    page: "lexical",
    text: "[data-lexical-editor]",
    caret: "#editor + div span:has(> span:not(:empty))",
    name: "#editor + div span span:not(:empty)",
    stored: (doc) =>
      doc
        .get("root", Y.XmlText)
        .toDelta()
        .map(({ insert }) => plainText(insert)),
  },
  {
    page: "blocknote",
    text: ".bn-block-content",
    line: ".bn-block-content",
    caret: ".bn-collaboration-cursor__caret",
    name: ".bn-collaboration-cursor__label",
    stored: (doc) => paragraphsOf(doc.getXmlFragment("blocknote")),
  },
];

/** The providers of the page `stock`, and what that page shows when all is well. */
export const STOCK_PROVIDERS = { "y-websocket": "Connected", hocuspocus: "Saved", "y-socket.io": "Connected" };

/** The editors of the page `stock`, with the carets of their own bindings. `showsIdle`: also of windows in which nobody has clicked yet. */
export const STOCK_EDITORS = [
  ...EDITORS.map((editor) => ({
    ...editor,
    ...{
      monaco: { showsIdle: true },
      tiptap: { caret: ".collaboration-carets__caret", name: ".collaboration-carets__label" },
      lexical: {
        caret: "[data-lexical-editor] + div span:has(> span:not(:empty))",
        name: "[data-lexical-editor] + div span span:not(:empty)",
      },
    }[editor.page],
  })),
  {
    page: "prosemirror",
    text: ".ProseMirror",
    caret: ".ProseMirror-yjs-cursor",
    name: ".ProseMirror-yjs-cursor > div",
    stored: (doc) => paragraphsOf(doc.getXmlFragment("prosemirror")),
  },
];

/** The built examples on a server, configured by `env`, and in a browser of their own, for all tests of the suite (`describe`). */
export function suiteSite(env = {}) {
  const server = suiteServer({ env: { JWT_SECRET: undefined, ...env } });
  const browser = suiteBrowser(chromium);
  let site;
  let url;
  let rooms = 0;

  before(async () => {
    process.env.VITE_REALTIME_SERVER_URL = server.url;
    const output = { outDir: temporaryFolder(), emptyOutDir: true };
    if (BUILT) copyFor(server.url, output.outDir);
    else await build({ root: ROOT, logLevel: "error", build: output });
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
    /** A window with a page, with the given query; `options` are those of the browser's context. */
    show: (page, query = "", options) => browser.open(`${url}/${page}.html?${query}`, options),
    /** A window of `user` with a page, once it shows `status`. */
    async open(page, { room, user, role = "editor", status = "Saved", ...more }) {
      const window = await this.show(page, new URLSearchParams({ room, user, role, name: `${user}'s name`, ...more }));
      await shows(window, status);
      return window;
    },
    /** A document as the server has it, read by a client that has nothing of this project: socket.io-client and Yjs. */
    async read(room) {
      const { token } = await (await fetch(`${server.url}/dev/token?user=reader&role=viewer&team=demo`)).json();
      const socket = io(server.url, { auth: { token }, reconnection: false });
      const doc = new Y.Doc();
      try {
        const asked = { room, state_vector: Y.encodeStateVector(doc) };
        const answer = await socket.timeout(60_000).emitWithAck("join_room", asked);
        assert.ok(answer.ok, JSON.stringify(answer));
        Y.applyUpdate(doc, new Uint8Array(answer.update));
      } finally {
        socket.close();
      }
      return doc;
    },
  };
}

/** Copies the site that all files share to a folder, for the server at `url`. */
function copyFor(url, folder) {
  cpSync(join(ROOT, BUILT), folder, { recursive: true });
  const scripts = readdirSync(join(folder, "assets")).filter((name) => name.endsWith(".js"));
  const texts = scripts.map((name) => [
    join(folder, "assets", name),
    readFileSync(join(folder, "assets", name), "utf8"),
  ]);
  const addressed = texts.filter(([, text]) => text.includes(BUILT_FOR));
  assert.notEqual(addressed.length, 0, `${BUILT} was not built for ${BUILT_FOR}`);
  for (const [file, text] of addressed) writeFileSync(file, text.replaceAll(BUILT_FOR, url));
}

/** Waits until a window shows a status. */
export function shows(window, status) {
  return until(`the window shows ${status}`, async () => {
    assert.deepEqual(window.problems, []);
    assert.equal(await window.locator("#status").textContent({ timeout: 1_000 }), status);
    return true;
  });
}
