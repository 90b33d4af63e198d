// The page over TLS of the server's own: documents are opened and saved by wss.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { chromium } from "playwright-core";
import { certificate } from "@realtime-server/harness/certificate";
import { suiteBrowser, suiteServer } from "@realtime-server/harness/suite";
import { token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";

describe("the page over TLS", () => {
  const { cert, key } = certificate();
  const server = suiteServer({ env: { TLS_CERT_FILE: cert, TLS_KEY_FILE: key } });
  const browser = suiteBrowser(chromium);

  it("saves what one person types, and shows it to another", async () => {
    // The certificate signs itself, with which Chromium runs no service worker.
    const options = { ignoreHTTPSErrors: true, serviceWorkers: "block" };
    const ana = await browser.blank(options);
    const sockets = [];
    ana.on("websocket", (socket) => sockets.push(socket.url()));
    await ana.goto(`${server.url}/?name=Ana`);
    const created = await ana.evaluate(
      async (bearer) => {
        const headers = { authorization: `Bearer ${bearer}` };
        return (await fetch("/api/v1/documents/encrypted", { method: "PUT", headers })).status;
      },
      token({ user: "owner", team: "demo" }),
    );
    assert.equal(created, 201);
    const open = async (page, name) => {
      await page.goto(`${server.url}/?document=encrypted&name=${name}`);
      await until("it is saved", async () => /Saved/.test(await page.getByTestId("status").innerText()));
    };
    await open(ana, "Ana");
    await ana.locator(".ProseMirror").click();
    await ana.keyboard.type("over TLS");
    const ben = await browser.blank(options);
    await open(ben, "Ben");
    await ben.getByText("over TLS").waitFor();
    assert.ok(sockets.length > 0);
    for (const url of sockets) assert.match(url, /^wss:/);
  });
});
