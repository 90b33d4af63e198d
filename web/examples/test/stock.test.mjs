// Each editor with each provider of the Yjs community, as they are: the pages of docs/stock-clients.md.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { until } from "@realtime-server/harness/until";
import { handsOn } from "./support/hands.mjs";
import { STOCK_EDITORS, STOCK_PROVIDERS, shows, suiteSite } from "./support/site.mjs";

/** The editor in which all providers meet. */
const BESIDE = STOCK_EDITORS.find(({ page }) => page === "codemirror");

describe("stock providers", () => {
  const site = suiteSite({ TOKEN_GRACE_MS: 500 });
  const { newRoom, server } = site;
  /** Calls `act` with each provider at once. */
  const byEach = (act) =>
    Promise.all(
      Object.keys(STOCK_PROVIDERS).map((provider) =>
        act(provider).catch((cause) => assert.fail(`${provider}: ${cause.message}`)),
      ),
    );
  /** A window in which the awareness has another name than the token. */
  const open = (editor, provider, room, user) =>
    site.open("stock", { editor, provider, room, user, status: STOCK_PROVIDERS[provider] });

  for (const editor of STOCK_EDITORS) {
    const { holds, begin, lines, names, isAtLine } = handsOn(editor);
    /** Two users write at once by `provider`, see each other, undo their own, and reload. */
    const write = async (provider) => {
      const room = newRoom();
      const [ana, ben] = await begin((user) => open(editor.page, provider, room, user));
      const [hers, his] = ["Over the whole line.", "At the same time."];
      await Promise.all([ana.keyboard.type(hers), ben.keyboard.type(his)]);
      for (const window of [ana, ben]) await holds(window, [`Ana: ${hers}`, `Ben: ${his}`]);
      await until("Ana sees Ben's caret", async () => (await names(ana)).includes("ben's name"));
      await until("Ben sees Ana's caret", async () => (await names(ben)).includes("ana's name"));
      assert.deepEqual([await names(ana), await names(ben)], [["ben's name"], ["ana's name"]]);
      await until("Ben's caret is in his line", () => isAtLine(ana, 1));
      await until("Ana's caret is in her line", () => isAtLine(ben, 0));

      const undone = [`Ana: ${hers}`, "Ben: "];
      await until("Ben has undone what he wrote", async () => {
        await ben.keyboard.press("Control+z");
        assert.deepEqual(await lines(ben), undone);
        return true;
      });
      await ben.keyboard.press("Control+z");
      for (const window of [ana, ben]) await holds(window, undone);
      await shows(ben, STOCK_PROVIDERS[provider]);
      await ben.reload();
      await holds(ben, undone);
      const shown = editor.showsIdle ? 1 : 0;
      await until("Ben's old caret is gone", async () => (await names(ana)).length <= shown);
    };

    it(`${editor.page}: two users write at once, see each other, undo their own, and reload, by each provider`, () =>
      byEach(write));
  }

  it("beside the provider of this project: four users, each by another one, write in one document at once", async () => {
    const { holds, names } = handsOn(BESIDE);
    const room = newRoom();
    const own = await site.open("codemirror", { room, user: "own" });
    await own.locator(BESIDE.text).click();
    const stock = Object.keys(STOCK_PROVIDERS);
    for (const provider of stock) await own.keyboard.type(`${provider}: \n`);
    await own.keyboard.type("own: ");
    const windows = await Promise.all(stock.map((provider) => open("codemirror", provider, room, provider)));
    const all = [...windows, own];
    for (const [place, window] of windows.entries()) {
      await window.locator(".cm-line").nth(place).click();
      await window.keyboard.press("End");
    }
    await Promise.all(all.map((window) => window.keyboard.type("All four at once.")));
    const users = [...stock, "own"];
    for (const [place, window] of all.entries()) {
      await holds(
        window,
        users.map((user) => `${user}: All four at once.`),
      );
      const others = users.filter((_, other) => other !== place).map((user) => `${user}'s name`);
      await until(`it sees ${others}`, async () => {
        assert.deepEqual((await names(window)).sort(), others.sort());
        return true;
      });
    }
    await shows(own, "Saved");
  });

  it("each goes on after its token has expired, and after the server was killed", async () => {
    const { text, stored } = BESIDE;
    const places = new Map();
    const holds = (expected) =>
      byEach((provider) =>
        until(`${expected} is stored`, async () => {
          assert.deepEqual(stored(await site.read(places.get(provider).room)), [expected]);
          return true;
        }),
      );
    const type = (words) => byEach((provider) => places.get(provider).window.keyboard.type(words));
    await byEach(async (provider) => {
      const room = newRoom();
      const window = await open("codemirror", provider, room, "ana");
      places.set(provider, { room, window });
      let tokens = 0;
      await window.route("**/dev/token?*", (route) => {
        tokens += 1;
        return route.continue({ url: `${route.request().url()}${tokens === 1 ? "&ttl_seconds=2" : ""}` });
      });
      await window.reload();
      await window.locator(text).click();
      await window.keyboard.type("first, ");
      await until("another token was fetched", () => tokens > 1);
      await shows(window, STOCK_PROVIDERS[provider]);
    });
    await type("second, ");
    await holds("first, second, ");
    await server.kill9();
    await type("offline.");
    await server.launch();
    await holds("first, second, offline.");
  });
});
