// The page that describes the HTTP interface, which the server makes itself.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { chromium } from "playwright-core";
import { suiteBrowser, suiteServer } from "@realtime-server/harness/suite";
import { accessible } from "./support/person.mjs";

describe("the page that describes the HTTP interface", () => {
  const server = suiteServer();
  const browser = suiteBrowser(chromium);
  const open = (options) => browser.open(`${server.url}/api/v1/docs`, options);

  it("has every operation, every object and no link that leads nowhere", async () => {
    const page = await open();
    const description = await (await server.get("/api/v1/openapi.json")).json();
    const methods = Object.values(description.paths).flatMap((methods) => Object.values(methods));
    const ids = await page.locator("h3[id]").evaluateAll((headings) => headings.map(({ id }) => id));
    for (const { operationId, summary } of methods) {
      assert.ok(ids.includes(operationId), operationId);
      assert.equal(await page.locator(`h3[id="${operationId}"]`).innerText(), summary);
    }
    for (const name of Object.keys(description.components.schemas)) assert.ok(ids.includes(`schema-${name}`), name);
    const links = await page.locator("a[href^='#']").evaluateAll((links) => links.map(({ hash }) => hash.slice(1)));
    assert.ok(links.length > methods.length);
    for (const id of new Set(links)) assert.ok(ids.includes(id), id);
  });

  it("has commands with the real paths and bodies", async () => {
    const page = await open();
    const command = await page.locator("h3[id=thread_create] ~ pre").first().innerText();
    assert.match(command, /^curl -X POST -H "Authorization: Bearer \$TOKEN"/);
    assert.match(command, /-d '\{.*"body":"Is this figure right\?".*\}'/);
    assert.match(command, /"\$SERVER\/api\/v1\/documents\/article-42\/threads"$/);
  });

  for (const viewport of [
    { width: 1280, height: 800 },
    { width: 390, height: 844 },
  ]) {
    it(`breaks no rule of accessibility with ${viewport.width} pixels`, async () => {
      const page = await open({ viewport });
      await accessible(page, "the page");
      const wider = await page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      );
      assert.equal(wider, 0, "pixels by which the page is wider than the window");
    });
  }
});
