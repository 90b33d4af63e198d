// The workflow of a document on the page: the badge, the steps behind it, and the list of documents.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { chromium } from "playwright-core";
import { suiteBrowser, suiteServer } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";
import { clean, connected } from "./support/person.mjs";

describe("the workflow", () => {
  const server = suiteServer();
  const browser = suiteBrowser(chromium);

  const enter = async (team, name, role, query = "", options) => {
    const page = await browser.open(`${server.url}/?name=${name}&role=${role}&team=${team}${query}`, options);
    await connected(page);
    return page;
  };
  const go = async (page, team, room) => {
    await page.goto(`${server.url}/?team=${team}&document=${room}`);
    await connected(page);
  };
  const badge = (page, status) => page.getByRole("button", { name: `Status: ${status}. Show the steps` });
  const menu = (page) => page.getByRole("dialog", { name: "Status" });
  const step = async (page, status, label, note) => {
    if ((await badge(page, status).getAttribute("aria-expanded")) === "false") await badge(page, status).click();
    if (note !== undefined) await menu(page).getByLabel("Note (optional)").fill(note);
    await menu(page).getByRole("button", { name: label }).click();
  };

  /** A document that Ana has created on the page, and the windows of Ana and of Rita, a reviewer, on it. */
  const scene = async (team, options) => {
    const ana = await enter(team, "Ana", "editor", "", options);
    await ana.getByLabel("New document").fill("Plan");
    await ana.keyboard.press("Enter");
    await ana.waitForURL(/document=/);
    await connected(ana);
    const room = new URL(ana.url()).searchParams.get("document");
    const rita = await enter(team, "Rita", "reviewer", "", options);
    await go(rita, team, room);
    return { ana, rita, room };
  };

  it("changes for all windows with the step of a reviewer, and rings the bell of the creator", async () => {
    const { ana, rita } = await scene("steps");
    await badge(rita, "Draft").click();
    await menu(rita).getByText("You may not move it from here").waitFor();
    await rita.keyboard.press("Escape");
    await step(ana, "Draft", "Send to review");
    await badge(rita, "In review").waitFor();
    const list = await enter("steps", "Ben", "viewer");
    await list.getByRole("listitem").filter({ hasText: "Plan" }).getByText("In review").waitFor();
    await step(rita, "In review", "Request changes", "Please name the costs");
    for (const page of [ana, rita]) await badge(page, "Changes requested").waitFor();
    await list.getByRole("listitem").filter({ hasText: "Plan" }).getByText("Changes requested").waitFor();
    await ana.getByRole("button", { name: "Notifications, 1 unread" }).waitFor();
    await menu(ana).getByRole("button", { name: "Go on from “Changes requested”" }).click();
    await menu(ana).getByRole("button", { name: "Send to review" }).waitFor();
    await menu(ana).getByText("Rita: In review → Changes requested").waitFor();
    await menu(ana).getByText("Please name the costs").waitFor();
    await menu(ana).getByText("Rita moved it").waitFor();
  });

  it("says that somebody else was faster, and offers the new steps only when asked", async () => {
    const { ana, rita, room } = await scene("race");
    await step(ana, "Draft", "Send to review");
    const adam = await enter("race", "Adam", "admin");
    await go(adam, "race", room);
    await badge(rita, "In review").click();
    await menu(rita).getByRole("button", { name: "Approve" }).waitFor();
    await step(adam, "In review", "Request changes");
    await menu(rita).getByText("Adam moved this document to “Changes requested” just now.").waitFor();
    assert.equal(await menu(rita).getByRole("button", { name: "Approve" }).count(), 0);
    await menu(rita).getByRole("button", { name: "Go on from “Changes requested”" }).click();
    await menu(rita).getByText("You may not move it from here").waitFor();
  });

  it("says that a step was not taken, if the news of another one had not arrived", async () => {
    const { ana, room } = await scene("late");
    const adam = await enter("late", "Adam", "admin");
    await go(adam, "late", room);
    const rita = await browser.blank();
    const held = [];
    let isHolding = true;
    await rita.routeWebSocket(/socket\.io/, (socket) => {
      const upstream = socket.connectToServer();
      upstream.onMessage((message) => {
        if (isHolding && typeof message === "string" && message.includes("workflow_update")) held.push(message);
        else socket.send(message);
      });
      held.release = () => held.splice(0).forEach((message) => socket.send(message));
    });
    await rita.goto(`${server.url}/?name=Rita&role=reviewer&team=late`);
    await step(ana, "Draft", "Send to review");
    await badge(adam, "In review").waitFor();
    await go(rita, "late", room);
    await badge(rita, "In review").click();
    await step(adam, "In review", "Approve");
    await until("the news was held", () => held.length > 0);
    await menu(rita).getByRole("button", { name: "Request changes" }).click();
    await menu(rita).getByText("Your step was not taken.").waitFor();
    await badge(rita, "Approved").waitFor();
    isHolding = false;
    held.release();
    await menu(rita).getByRole("button", { name: "Go on from “Approved”" }).click();
    await menu(rita).getByRole("button", { name: "Publish" }).waitFor();
  });

  it("filters the list by status, and follows what others move", async () => {
    const { ana } = await scene("filter");
    const list = await enter("filter", "Ben", "editor");
    const row = list.getByRole("listitem").filter({ hasText: "Plan" });
    await row.getByText("Draft").waitFor();
    await list.getByLabel("Status").selectOption("Draft");
    await step(ana, "Draft", "Send to review");
    await list.getByText("No document that matches your search is “Draft”.").waitFor();
    await list.getByLabel("Status").selectOption("In review");
    await row.getByText("In review").waitFor();
    await step(ana, "In review", "Back to draft");
    await row.waitFor({ state: "detached" });
    await step(ana, "Draft", "Send to review");
    await row.waitFor();
  });

  it("breaks no rule of accessibility, on a laptop and on a phone", async () => {
    for (const viewport of [
      { width: 1280, height: 800 },
      { width: 390, height: 844 },
    ]) {
      const team = `axe-${viewport.width}`;
      const { ana, rita } = await scene(team, { viewport });
      await step(ana, "Draft", "Send to review", "A note ".repeat(30));
      await menu(ana).getByText("Ana: Draft → In review").waitFor();
      await clean(ana, "the steps and the history");
      await step(rita, "In review", "Request changes");
      await menu(ana).getByText("Rita moved this document to").waitFor();
      await clean(ana, "somebody else has moved it");
      await ana.getByRole("link", { name: "All documents" }).click();
      await ana.getByRole("listitem").filter({ hasText: "Plan" }).getByText("Changes requested").waitFor();
      await clean(ana, "the list with statuses");
    }
  });
});
