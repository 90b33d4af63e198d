// The demo page, the documentation and the packed client, which the binary serves in development.

import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { sqlite } from "@realtime-server/harness/databases";
import { Server } from "@realtime-server/harness/server";
import { suiteServer } from "@realtime-server/harness/suite";
import { token } from "@realtime-server/harness/tokens";
import { Client, closeClients } from "./support/client.mjs";
import { RawSocket } from "./support/raw.mjs";

const DIST = fileURLToPath(new URL("../../web/demo/dist/", import.meta.url));
const TYPES = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  png: "image/png",
  svg: "image/svg+xml",
  tgz: "application/gzip",
  woff2: "font/woff2",
};

/** Every file of the page as it was built: where it is served, its type and its content. */
const FILES = readdirSync(DIST, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name !== "404.html")
  .map((entry) => {
    const file = join(entry.parentPath, entry.name);
    const path = `/${file.slice(DIST.length)}`;
    return {
      path: path === "/index.html" ? "/" : path.replace(/\.html$/, ""),
      type: TYPES[entry.name.split(".").at(-1)],
      content: readFileSync(file),
    };
  });
const isAsset = ({ path }) => path.startsWith("/assets/");

/** A request exactly as given: unlike `fetch` it neither tidies the path nor decompresses the body. */
function plain(server, path, { method = "GET", headers = {} } = {}) {
  return new Promise((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", port: server.port, path, method, headers }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.once("end", () => {
        resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) });
      });
    });
    asked.once("error", reject);
    asked.end();
  });
}

/** What a browser accepts when a person opens an address. */
const BROWSER = { accept: "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8" };

/** The addresses in a page, without those of other sites. */
function linksOf(html, address) {
  const links = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => new URL(link, address));
  return links.filter(({ origin }) => origin === new URL(address).origin);
}

function checkNotFound({ status, headers, body }, path) {
  assert.equal(status, 404, path);
  assert.match(headers["content-type"], /^application\/json/);
  assert.equal(JSON.parse(body).error.code, "not_found", path);
}

describe("the demo page in development", () => {
  const server = suiteServer({ database: sqlite });
  afterEach(closeClients);

  it("is HTML at /, whatever the query, and everything that it links to exists", async () => {
    for (const path of ["/", "/?room=article-42"]) {
      const { status, headers, body } = await plain(server, path);
      assert.equal(status, 200);
      assert.equal(headers["content-type"], "text/html; charset=utf-8");
      assert.match(body.toString(), /^<!doctype html>/i);
      for (const { pathname } of linksOf(body.toString(), server.url + path)) {
        assert.equal((await plain(server, pathname)).status, 200, pathname);
      }
    }
  });

  it("has the documentation beside it, whose links all lead to existing pages and headings", async () => {
    const seen = new Map();
    const visit = async (path) => {
      if (seen.has(path)) return;
      const { status, headers, body } = await plain(server, path);
      assert.equal(status, 200, path);
      seen.set(path, body.toString());
      if (!path.startsWith("/docs") || !headers["content-type"].startsWith("text/html")) return;
      for (const { pathname } of linksOf(body.toString(), server.url + path)) await visit(pathname);
    };
    await visit("/docs");
    for (const name of ["client", "protocol", "troubleshooting", "operations", "metrics"]) {
      assert.ok(seen.has(`/docs/${name}`), `/docs leads to ${name}`);
    }
    for (const [path, html] of seen) {
      if (!path.startsWith("/docs")) continue;
      for (const { pathname, hash } of linksOf(html, server.url + path)) {
        const anchor = decodeURIComponent(hash.slice(1));
        if (anchor !== "")
          assert.ok(seen.get(pathname).includes(`id="${anchor}"`), `${path} links to ${pathname}${hash}`);
      }
    }
  });

  it("serves every file as it was built, and lets caches keep files with a hash in their name for ever", async () => {
    assert.ok(FILES.some(isAsset), "the page has assets");
    for (const file of FILES) {
      const { status, headers, body } = await plain(server, file.path);
      assert.equal(status, 200, file.path);
      assert.ok(body.equals(file.content), `${file.path} is not what was built: cargo build --profile e2e`);
      assert.equal(headers["content-type"], file.type, file.path);
      assert.equal(headers["cache-control"], isAsset(file) ? "public, max-age=31536000, immutable" : "no-cache");
    }
  });

  it("forbids foreign code, foreign frames and guessed types", async () => {
    for (const { path } of FILES) {
      const { headers } = await plain(server, path);
      const policy = headers["content-security-policy"];
      for (const rule of ["default-src 'self'", "script-src 'self'", "object-src 'none'", "frame-ancestors 'none'"]) {
        assert.ok(policy.split("; ").includes(rule), rule);
      }
      assert.equal(headers["x-content-type-options"], "nosniff");
      assert.equal(headers["referrer-policy"], "same-origin");
    }
    const html = await (await server.get("/")).text();
    assert.doesNotMatch(html, /<script(?![^>]*\ssrc=)[^>]*>/, "inline scripts would not run");
  });

  it("is not sent again to a browser that has it", async () => {
    for (const { path } of FILES) {
      const { headers } = await plain(server, path);
      for (const known of [headers.etag, headers.etag.replace("W/", ""), `"other", ${headers.etag}`, "*"]) {
        const again = await plain(server, path, { headers: { "if-none-match": known } });
        assert.equal(again.status, 304, known);
        assert.equal(again.body.length, 0);
        assert.equal(again.headers.etag, headers.etag);
        assert.equal(again.headers["cache-control"], headers["cache-control"]);
      }
      assert.equal((await plain(server, path, { headers: { "if-none-match": '"other"' } })).status, 200);
    }
  });

  it("answers HEAD as GET, without the content", async () => {
    for (const { path } of FILES) {
      const [head, get] = [await plain(server, path, { method: "HEAD" }), await plain(server, path)];
      assert.equal(head.status, 200);
      assert.equal(head.body.length, 0);
      for (const name of ["content-type", "content-length", "etag", "cache-control"]) {
        assert.equal(head.headers[name], get.headers[name], name);
      }
    }
  });

  it("is compressed for browsers that accept that", async () => {
    const text = FILES.filter(({ type }) => type?.startsWith("text/"));
    for (const { path } of text) {
      const whole = await plain(server, path);
      const small = await plain(server, path, { headers: { "accept-encoding": "gzip" } });
      assert.equal(whole.headers["content-encoding"], undefined);
      assert.equal(small.headers["content-encoding"], "gzip", path);
      assert.match(small.headers.vary, /accept-encoding/i);
      assert.deepEqual(gunzipSync(small.body), whole.body);
      assert.equal(small.headers.etag, whole.headers.etag);
    }
  });

  it("gives access to no other file", async () => {
    assert.ok(existsSync(`${DIST}../package.json`), "there is something to find");
    for (const path of [
      "/assets",
      "/assets/",
      "/assets/none.js",
      "/index.html/",
      "/package.json",
      "/../package.json",
      "/assets/../../package.json",
      "/assets/..%2f..%2fpackage.json",
      "/%2e%2e/package.json",
      "/assets/%2e%2e/%2e%2e/package.json",
      "/..%5cpackage.json",
      "//etc/passwd",
      "/%2fetc/passwd",
      `/${"../".repeat(20)}etc/passwd`,
      "/assets/%00",
      "/404.html",
      "/docs/",
      "/docs/../package.json",
    ]) {
      checkNotFound(await plain(server, path), path);
    }
  });

  it("answers an unknown address with a page to a browser, and with an error as JSON to a program", async () => {
    for (const path of ["/nope", "/docs/nope", "/api/v1/nope", "/assets/none.js", "/404.html"]) {
      const { status, headers, body } = await plain(server, path, { headers: BROWSER });
      assert.equal(status, 404, path);
      assert.equal(headers["content-type"], "text/html; charset=utf-8");
      assert.equal(headers["content-security-policy"], (await plain(server, "/")).headers["content-security-policy"]);
      assert.match(headers.vary, /accept/);
      assert.equal(headers.etag, undefined, "the page is not that of the address");
      const links = linksOf(body.toString(), server.url + path).map(({ pathname }) => pathname);
      assert.ok(links.includes("/"), "it links to the start");
      for (const link of links) assert.equal((await plain(server, link)).status, 200, link);
      for (const accept of ["*/*", "application/json"]) {
        checkNotFound(await plain(server, path, { headers: { accept } }), path);
      }
      checkNotFound(await plain(server, path, { method: "POST", headers: BROWSER }), path);
    }
  });

  it("does not hide the WebSocket at / and the other endpoints", async () => {
    const raw = await RawSocket.open(server, { path: "/" });
    raw.send(`40${JSON.stringify({ token: token() })}`);
    await raw.frame((text) => text.startsWith('40{"sid":'));
    raw.close();
    await (await Client.connect(server, { transports: ["polling"] })).join("beside-the-page");
    assert.equal((await server.get("/health/live")).status, 200);
    assert.equal((await server.get("/dev/token?user=ana")).status, 200);
  });

  it("is announced in the log", () => {
    assert.ok(server.log.includes(`open http://127.0.0.1:${server.port} in a browser`), server.log);
  });
});

describe("without the endpoints of development", () => {
  const PRODUCTION = {
    REALTIME_ENV: "production",
    CORS_ALLOWED_ORIGINS: "https://app.example.org",
    REALTIME_SERVER_HOST: "127.0.0.1",
  };
  for (const [where, env] of [
    ["in production", PRODUCTION],
    ["where they are closed", { REALTIME_DEV_DOORS: false }],
  ]) {
    it(`there is no page ${where}, but a WebSocket at /`, async () => {
      const server = await Server.start({ database: sqlite, env });
      for (const path of ["/", "/index.html", "/favicon.svg", "/assets/index.js", "/docs", "/client.tgz"]) {
        checkNotFound(await plain(server, path), path);
        checkNotFound(await plain(server, path, { headers: BROWSER }), path);
      }
      const raw = await RawSocket.open(server, { path: "/" });
      assert.match(raw.frames[0], /^0\{"sid":/);
      raw.close();
      assert.ok(!server.log.includes("in a browser"));
      await server.stop();
    });
  }
});
