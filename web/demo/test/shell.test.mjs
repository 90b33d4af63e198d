// The service worker: the page opens without the network, is never an old one with it, and the worker never answers for the server.

import assert from "node:assert/strict";
import { createReadStream, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { suiteBrowser, suiteServer } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";
import { build } from "vite";

const root = fileURLToPath(new URL("..", import.meta.url));
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };

const ready = (page) =>
  until("the worker is active", () =>
    page.evaluate(async () => (await navigator.serviceWorker.ready).active?.state === "activated"),
  );

describe("the service worker", () => {
  const server = suiteServer();
  const browser = suiteBrowser(chromium);

  it("is served so that browsers look for a new one, and the page may run it", async () => {
    const response = await fetch(`${server.url}/sw.js`);
    assert.equal(response.status, 200);
    assert.match(response.headers.get("content-type"), /^text\/javascript/);
    assert.equal(response.headers.get("cache-control"), "no-cache");
    assert.match(response.headers.get("content-security-policy"), /worker-src 'self'/);
  });

  it("opens the page without the network, and keeps nothing of the server's answers", async () => {
    await server.createDocument("shell");
    const page = await browser.open(`${server.url}/?document=shell&name=Ana`);
    await until("it is saved", async () => (await page.getByTestId("status").innerText()) === "Saved");
    await ready(page);
    await page.reload();
    await page.evaluate(() => Promise.all(["/health", "/dev/token?user=x"].map((path) => fetch(path))));
    const kept = await page.evaluate(async () => {
      const caches_ = await Promise.all((await caches.keys()).map((name) => caches.open(name)));
      const requests = await Promise.all(caches_.map((cache) => cache.keys()));
      return requests.flat().map(({ url }) => new URL(url).pathname);
    });
    assert.deepEqual(
      kept.filter((path) => !/^\/(assets\/[\w.-]+|favicon\.svg|theme\.js)?$/.test(path)),
      [],
    );
    await page.context().setOffline(true);
    await page.goto(`${server.url}/?name=Ana`);
    await page.getByRole("heading", { name: "Documents", exact: true }).waitFor();
    const answers = await page.evaluate(() =>
      fetch("/health").then(
        () => "answered",
        () => "no network",
      ),
    );
    assert.equal(answers, "no network");
  });
});

describe("the service worker, when the server has a new page", () => {
  const browser = suiteBrowser(chromium);
  const folders = [];
  let served;
  let site;
  let url;

  before(async () => {
    site = createServer((request, response) => {
      const { pathname } = new URL(request.url, "http://page");
      const path = join(served, pathname === "/" ? "index.html" : pathname);
      if (!existsSync(path)) return response.writeHead(404).end();
      response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "text/plain", "cache-control": "no-cache" });
      return createReadStream(path).pipe(response);
    });
    await new Promise((resolve) => site.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${site.address().port}/`;
  });
  after(() => {
    site.close();
    site.closeAllConnections();
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  });

  const newFolder = () => {
    const folder = mkdtempSync(join(tmpdir(), "realtime-page-"));
    folders.push(folder);
    return folder;
  };
  /** The page, built with another text in it. */
  const changed = async (text) => {
    const folder = newFolder();
    const plugin = {
      name: "changed",
      transformIndexHtml: (html) => html.replace("<noscript>", `<i id="made">${text}</i><noscript>`),
    };
    const outDir = { build: { outDir: folder, emptyOutDir: true } };
    await build({ root, configFile: join(root, "vite.config.ts"), plugins: [plugin], logLevel: "error", ...outDir });
    return folder;
  };
  const made = (page) => page.locator("#made").textContent();
  const versions = (page) => page.evaluate(() => caches.keys());

  it("shows the new one at once, and without the network afterwards as well", async () => {
    served = await changed("first");
    const page = await browser.open(url);
    await ready(page);
    assert.equal(await made(page), "first");
    const [first] = await versions(page);
    served = await changed("second");
    await page.reload();
    assert.equal(await made(page), "second");
    await until("the new one is kept", async () => (await versions(page)).length === 2);
    await until("the new worker is in charge", () =>
      page.evaluate(async () => {
        const { active, waiting, installing } = await navigator.serviceWorker.ready;
        return active.state === "activated" && !waiting && !installing;
      }),
    );
    await page.context().setOffline(true);
    await page.reload();
    assert.equal(await made(page), "second");
    await page.context().setOffline(false);
    served = await changed("third");
    await page.reload();
    await until("the first one is deleted", async () => !(await versions(page)).includes(first));
    page.problems.length = 0; // This site has no /dev/token.
  });

  it("has a new version with every change of the page, and the same for the same sources", async () => {
    const worker = (folder) => readFileSync(join(folder, "sw.js"), "utf8");
    const [one, same, other] = [await changed("one"), await changed("one"), await changed("other")];
    assert.equal(worker(one), worker(same));
    assert.notEqual(worker(one), worker(other));
    assert.deepEqual(readdirSync(one, { recursive: true }).sort(), readdirSync(same, { recursive: true }).sort());
  });
});
