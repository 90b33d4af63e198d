// The activity of the team, and of one document, on the page.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { chromium } from "playwright-core";
import { suiteBrowser, suiteServer } from "@realtime-server/harness/suite";
import { token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";
import { clean, connected } from "./support/person.mjs";

describe("the activity", () => {
  const server = suiteServer();
  const browser = suiteBrowser(chromium);

  const enter = async (team, name, options) => {
    const page = await browser.open(`${server.url}/?name=${name}&team=${team}`, options);
    await connected(page);
    return page;
  };
  const create = async (page, title) => {
    await page.getByLabel("New document").fill(title);
    await page.keyboard.press("Enter");
    await page.waitForURL(/document=/);
    await connected(page);
  };
  const entries = (page) => page.getByTestId("activity").getByRole("listitem");
  const says = (page, ...sentences) =>
    until(`the feed says ${sentences.join(", ")}`, async () => {
      const found = await entries(page).locator("p").allInnerTexts();
      assert.deepEqual(found, sentences);
      return true;
    });
  const publish = async (team, verb) => {
    const response = await fetch(`${server.url}/api/v1/activity`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${token({ user: "service", role: "service", team })}`,
        "content-type": "application/json",
      },
      body: JSON.stringify({ verb, actor: { id: "robot", name: "Robot" } }),
    });
    assert.ok(response.ok, await response.text());
  };

  it("shows at once what another window does, and leads to the document", async () => {
    const ben = await enter("team", "Ben");
    await ben.getByRole("button", { name: "Activity" }).click();
    await ben.getByText("Nothing has happened here in the last 90 days.").waitFor();
    const ana = await enter("team", "Ana");
    await create(ana, "Plan");
    await says(ben, "Ana created “Plan”");
    await ana.getByRole("textbox", { name: "Text of the document" }).click();
    await ana.keyboard.type("Some text");
    await says(ben, "Ana edited “Plan”", "Ana created “Plan”");
    await ana.getByRole("textbox", { name: "Title" }).fill("Launch plan");
    await ana.keyboard.press("Enter");
    await says(ben, "Ana renamed “Plan” to “Launch plan”", "Ana edited “Launch plan”", "Ana created “Launch plan”");
    await ana.getByRole("button", { name: /^Status: Draft/ }).click();
    await ana.getByRole("button", { name: "Send to review" }).click();
    await entries(ben).getByText("Ana moved “Launch plan” from Draft to In review").waitFor();
    await ben.getByRole("heading", { name: "Today" }).waitFor();
    await ben.getByRole("link", { name: "“Launch plan”" }).first().click();
    await ben.getByRole("textbox", { name: "Text of the document" }).waitFor();
  });

  it("of a document has nothing of the others", async () => {
    const ana = await enter("one", "Ana");
    await create(ana, "Other");
    await ana.getByRole("link", { name: "All documents" }).click();
    await create(ana, "Plan");
    await ana.getByRole("button", { name: "Activity" }).click();
    await ana.getByRole("dialog", { name: "What happened to “Plan”" }).waitFor();
    await says(ana, "Ana created “Plan”");
  });

  it("does not move what is read when something new happens, and loads more", async () => {
    const ana = await enter("reading", "Ana");
    for (let number = 0; number < 60; number += 1) await publish("reading", `did_${"x".repeat(number + 1)}`);
    await ana.getByRole("button", { name: "Activity" }).click();
    const region = ana.getByRole("region", { name: "Activity" });
    await until("the first page is there", async () => (await entries(ana).count()) === 50);
    await region.evaluate((list) => (list.scrollTop = 300));
    await until("the reading is noticed", async () => (await region.evaluate((list) => list.scrollTop)) === 300);
    /** The place of an entry in the visible part of the list. */
    const place = () => {
      const [list, entry] = [region.boundingBox(), entries(ana).nth(10).boundingBox()];
      return Promise.all([list, entry]).then(([outer, inner]) => Math.round(inner.y - outer.y));
    };
    const read = await entries(ana).nth(10).innerText();
    const before = await place();
    await publish("reading", "restarted");
    const fresh = ana.getByRole("button", { name: "Show 1 new entry" });
    await fresh.waitFor();
    assert.equal(await entries(ana).nth(10).innerText(), read);
    assert.equal(await place(), before, "what is read has moved");
    await region.getByRole("button", { name: "Show more" }).click();
    await until("all are there", async () => (await entries(ana).count()) === 60);
    await fresh.click();
    await until("the new one is on top", async () =>
      (await entries(ana).first().innerText()).includes("Robot restarted"),
    );
    assert.equal(await entries(ana).count(), 61);
  });

  it("breaks no rule of accessibility, on a laptop and on a phone", async () => {
    for (const viewport of [
      { width: 1280, height: 800 },
      { width: 390, height: 844 },
    ]) {
      const team = `axe-${viewport.width}`;
      const ana = await enter(team, "Ana", { viewport });
      await create(ana, "A long title ".repeat(15));
      await ana.getByRole("button", { name: "Activity" }).click();
      await entries(ana).first().waitFor();
      await clean(ana, "the activity of a document");
      await ana.keyboard.press("Escape");
      await ana.getByRole("link", { name: "All documents" }).click();
      await ana.getByRole("button", { name: "Activity" }).click();
      await entries(ana).first().waitFor();
      await clean(ana, "the activity of the team");
    }
  });
});
