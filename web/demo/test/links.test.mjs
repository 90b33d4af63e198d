// Links to documents that are not there to be opened: each is told apart, and none is created by a look.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { chromium } from "playwright-core";
import { suiteBrowser, suiteServer } from "@realtime-server/harness/suite";
import { token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";

const NOT_BEGUN = "Nobody has begun this document yet";

for (const creation of ["join", "api"]) {
  describe(`a link, with DOCUMENT_CREATION=${creation}`, () => {
    const server = suiteServer({ env: { DOCUMENT_CREATION: creation } });
    const browser = suiteBrowser(chromium);
    const open = (query) => browser.open(`${server.url}/?${query}`);
    const saved = (page) =>
      until("all is saved", async () => (await page.getByTestId("status").innerText()) === "Saved");

    it("to a document that nobody has begun creates nothing; a writer begins it, and a reader sees that", async () => {
      const vic = await open("document=new&name=Vic&role=viewer");
      const ana = await open("document=new&name=Ana");
      for (const page of [vic, ana]) await page.getByText(NOT_BEGUN).waitFor();
      assert.equal(await vic.getByRole("button", { name: "Begin this document" }).count(), 0);
      const list = await open("name=Ben");
      await list.getByText("Nothing here yet").waitFor();
      await ana.getByRole("button", { name: "Begin this document" }).click();
      await saved(ana);
      await ana.locator(".ProseMirror").click();
      await ana.keyboard.type("It has begun.");
      await vic.locator(".ProseMirror", { hasText: "It has begun." }).waitFor();
      await list.getByRole("link", { name: "new", exact: true }).waitFor();
    });

    it("to a document of another team opens nothing, and says so", async () => {
      await server.createDocument("theirs", { team: "acme", title: "Plans of Acme" });
      const ana = await open("team=other&name=Ana");
      await ana.getByText("Nothing here yet").waitFor();
      const asked = [];
      ana.on("request", (request) => asked.push(request.url()));
      await ana.goto(`${server.url}/?team=acme&document=theirs`);
      await ana.getByText("This link is for another team").waitFor();
      assert.match(await ana.getByRole("main").innerText(), /“acme”.*“other”/s);
      assert.deepEqual(
        asked.filter((url) => url.includes("/api/v1/documents/")),
        [],
        "the server is not asked about it",
      );
      await ana.getByRole("button", { name: "Go on in the team “acme”" }).click();
      await until(
        "it is open",
        async () => (await ana.getByRole("textbox", { name: "Title", exact: true }).inputValue()) === "Plans of Acme",
      );
      await saved(ana);
    });

    it("is enough for someone who is here for the first time", async () => {
      await server.createDocument("shared", { team: "acme", title: "Shared" });
      const ben = await open("team=acme&document=shared");
      await until(
        "it is open",
        async () => (await ben.getByRole("textbox", { name: "Title", exact: true }).inputValue()) === "Shared",
      );
    });

    it("to a document without a right to it says that there is no access", async () => {
      await server.createDocument("closed");
      const ana = await browser.blank();
      const body = JSON.stringify({ token: token({ user: "ana", team: "demo", documents: { closed: "none" } }) });
      await ana.route("**/dev/token*", (route) => route.fulfill({ contentType: "application/json", body }));
      await ana.goto(`${server.url}/?document=closed`);
      await ana.getByText("You have no access to this document").waitFor();
      assert.equal(await ana.locator(".ProseMirror").count(), 0);
    });

    it("to a deleted document says so; who may restores it, and it opens for all", async () => {
      const ana = await open("name=Ana");
      await ana.getByLabel("New document").fill("Gone");
      await ana.getByRole("button", { name: "Create" }).click();
      await saved(ana);
      await ana.locator(".ProseMirror").click();
      await ana.keyboard.type("still here");
      await saved(ana);
      const address = ana.url();
      const ben = await browser.open(address);
      await ben.locator(".ProseMirror", { hasText: "still here" }).waitFor();
      await ana.getByRole("link", { name: "All documents" }).click();
      await ana.getByRole("button", { name: "Actions for Gone" }).click();
      await ana.getByRole("menuitem", { name: "Move to the trash" }).click();
      // Ben had it open: the text stays, to be copied.
      await ben.getByRole("heading", { name: "This document was deleted" }).waitFor();
      await ben.locator(".ProseMirror", { hasText: "still here" }).waitFor();
      assert.equal(await ben.getByRole("button", { name: "Restore" }).count(), 0, "Ben may not");
      const cleo = await browser.open(address);
      await cleo.getByText("This document was deleted").waitFor();
      assert.equal(await cleo.locator(".ProseMirror").count(), 0);
      assert.equal(await cleo.getByRole("button", { name: "Restore" }).count(), 0, "Cleo may not");

      await ana.goto(address);
      await ana.getByRole("button", { name: "Restore" }).click();
      await saved(ana);
      for (const page of [ana, cleo]) await page.locator(".ProseMirror", { hasText: "still here" }).waitFor();
      await ben.getByRole("button", { name: "Open it again" }).click();
      await saved(ben);
      await ben.locator(".ProseMirror").click();
      await ben.keyboard.press("Control+End");
      await ben.keyboard.type(", and goes on");
      await ana.locator(".ProseMirror", { hasText: "still here, and goes on" }).waitFor();
    });

    it("to a document that is in this browser opens it without the server", async () => {
      await server.createDocument("kept");
      const ana = await open("document=kept&name=Ana");
      await saved(ana);
      await ana.locator(".ProseMirror").click();
      await ana.keyboard.type("from before");
      await saved(ana);
      await ana.route(/socket\.io|api\/v1|dev\/token/, (route) => route.abort());
      await ana.routeWebSocket(/socket\.io/, (socket) => socket.close());
      await ana.reload();
      await ana.locator(".ProseMirror", { hasText: "from before" }).waitFor();
    });
  });
}
