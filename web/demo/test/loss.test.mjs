// Random programs of writing, closing, crashing, reloading and losing the network: nothing is lost that the page called saved or
// kept on this device.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { chromium } from "playwright-core";
import { launchProfile } from "@realtime-server/harness/browser";
import { Random } from "@realtime-server/harness/random";
import { suiteBrowser, suiteServer } from "@realtime-server/harness/suite";
import { pause, until } from "@realtime-server/harness/until";
import { editor, outline, saved } from "./editor.mjs";

/** How many programs there are. Their seeds are 1, 2, 3 …; TEST_SEED runs one of them. */
const PROGRAMS = Number(process.env.TEST_PROGRAMS ?? 5);
const SEEDS = process.env.TEST_SEED
  ? [Number(process.env.TEST_SEED)]
  : Array.from({ length: PROGRAMS }, (_none, at) => at + 1);

const STEPS = 9;

describe("a browser", () => {
  const server = suiteServer();
  const browser = suiteBrowser(chromium);
  const profiles = [];
  after(() => profiles.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

  for (const seed of SEEDS) {
    it(`loses nothing that was called saved or kept, whatever happens to it (seed ${seed})`, async () => {
      const folder = mkdtempSync(join(tmpdir(), "realtime-profile-"));
      profiles.push(folder);
      await server.createDocument(`loss-${seed}`);
      const person = new Person(server, folder, `loss-${seed}`, new Random(seed));
      await person.begin();
      for (let step = 0; step < STEPS; step += 1) await person.step();
      const log = await person.end();
      const reader = await browser.open(`${server.url}/?document=loss-${seed}&name=Reader`);
      await until("everything that was promised is on the server", async () => {
        const text = (await outline(reader)).join("\n");
        assert.deepEqual(
          [...person.promised].filter((word) => !text.includes(word)),
          [],
          log,
        );
        return true;
      });
    });
  }
});

/** A person who writes words in one document, in a browser with a profile, and what the page has promised. */
class Person {
  /** The words that the page has called saved or kept. */
  promised = new Set();
  #server;
  #folder;
  #room;
  #random;
  #context;
  #page;
  #isOnline = true;
  #words = [];
  #log = [];

  constructor(server, folder, room, random) {
    this.#server = server;
    this.#folder = folder;
    this.#room = room;
    this.#random = random;
  }

  /** Opens the document once with the server, so that the page and the document are in the browser. */
  async begin() {
    if (!this.#server.alive) await this.#server.launch();
    await this.#launch();
    await saved(this.#page);
    await until("the page is kept", () =>
      this.#page.evaluate(async () => (await navigator.serviceWorker.ready).active?.state === "activated"),
    );
  }

  async step() {
    const steps = [
      "write",
      "write",
      "write",
      "writeAndLeave",
      "reload",
      "closeTab",
      "closeBrowser",
      "crash",
      "network",
      "server",
    ];
    const step = this.#random.of(steps);
    this.#log.push(step);
    await this[`_${step}`]();
  }

  /** Comes back with everything in order, and waits until the page says that all is saved. */
  async end() {
    if (!this.#server.alive) await this.#server.launch();
    this.#isOnline = true;
    await this.#context.setOffline(false);
    await this.#reopen();
    await saved(this.#page);
    await this.#context.close();
    return `after ${this.#log.join(", ")}`;
  }

  /** Writes some words, and notes what the page promises of them. */
  async _write() {
    await this.#type();
    await this.#note();
  }

  /** Writes some words and is gone at once, by the next step: nothing is promised of them. */
  async _writeAndLeave() {
    await this.#type();
    await pause(this.#random.below(30));
    await this[this.#random.of(["_crash", "_closeTab", "_reload"])]();
  }

  async _reload() {
    await this.#page.reload();
    await this.#opened();
  }

  async _closeTab() {
    const page = await this.#context.newPage();
    await this.#page.close();
    this.#page = page;
    await this.#open();
  }

  async _closeBrowser() {
    await this.#context.close();
    await this.#launch();
  }

  async _crash() {
    await this.#context.kill();
    await this.#launch();
  }

  async _network() {
    this.#isOnline = !this.#isOnline;
    await this.#context.setOffline(!this.#isOnline);
  }

  async _server() {
    if (this.#server.alive) await this.#server.kill9();
    else await this.#server.launch();
  }

  async #type() {
    await editor(this.#page).click();
    await this.#page.keyboard.press("Control+End");
    for (let count = 1 + this.#random.below(3); count > 0; count -= 1) {
      const word = `w${this.#words.length}.`;
      this.#words.push(word);
      await this.#page.keyboard.type(`${word} `);
    }
  }

  /** Waits until the page says of all words that they are saved or kept, and takes its word. */
  async #note() {
    // The number of the words that are kept counts from the last time that all was saved.
    const shown = await until("the page promises something", async () => {
      const label = await this.#page.getByTestId("status").innerText();
      const [, kept] = /([\d,]+) words? not sent yet/.exec(label) ?? [];
      return label === "Saved" || kept !== undefined ? { label, kept } : false;
    });
    const text = (await outline(this.#page)).join("\n");
    const written = this.#words.filter((word) => text.includes(word));
    const isAll = shown.label === "Saved";
    for (const word of isAll ? written : written.filter((word) => this.promised.has(word))) this.promised.add(word);
    if (isAll) return;
    // Of unsent words the page promises the first ones, in their order.
    const rest = written.filter((word) => !this.promised.has(word));
    const unsent = Number(shown.kept.replaceAll(",", ""));
    if (unsent >= rest.length) for (const word of rest) this.promised.add(word);
  }

  async #launch() {
    this.#context = await launchProfile(chromium, this.#folder);
    await this.#context.setOffline(!this.#isOnline);
    this.#page = this.#context.pages()[0] ?? (await this.#context.newPage());
    await this.#open();
  }

  async #reopen() {
    this.#page = await this.#context.newPage();
    await this.#open();
  }

  async #open() {
    await this.#page.goto(`${this.#server.url}/?document=${this.#room}&name=Ana`);
    await this.#opened();
  }

  async #opened() {
    await until(
      "the text can be written",
      async () => (await editor(this.#page).getAttribute("contenteditable")) === "true",
    );
  }
}
