// The tour of README.md: its program, as it is printed there.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { sqlite } from "@realtime-server/harness/databases";
import { temporaryFolder } from "@realtime-server/harness/process";
import { suiteServer } from "@realtime-server/harness/suite";

const README = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
const [, PROGRAM] = /`tour\.mjs`:\n\n```js\n(.*?)```\n/s.exec(README) ?? [];
const [, PRINTED] = /node tour\.mjs\n```\n\n```text\n(.*?)```\n/s.exec(README) ?? [];
const ADDRESS = '"http://localhost:3001"';

describe("the tour of the README", () => {
  // One database is enough: the tests of documents run on both.
  const server = suiteServer({ database: sqlite });
  const folder = temporaryFolder();
  symlinkSync(fileURLToPath(new URL("node_modules", import.meta.url)), join(folder, "node_modules"));

  /** Runs the program to its end. Returns its output with the same time in every line. */
  const tour = async () => {
    assert.ok(PROGRAM.includes(ADDRESS), "the program names the server's address");
    writeFileSync(join(folder, "tour.mjs"), PROGRAM.replace(ADDRESS, JSON.stringify(server.url)));
    const { stdout } = await promisify(execFile)("node", ["tour.mjs"], { cwd: folder, timeout: 60_000 });
    return stdout.replaceAll(/\d\d:\d\d:\d\d/g, "14:02:11");
  };

  /** The lines that each of the two reads. */
  const readings = (output) => {
    const [, ana, ben] = /^Both lines are saved\.\n\nAna reads:\n(.*)\nBen reads:\n(.*)\n$/s.exec(output) ?? [];
    assert.ok(ana, output);
    return [ana, ben].map((text) => text.trimEnd().split("\n"));
  };

  it("prints that both people read both lines, and after another run and a kill all four", async () => {
    const first = await tour();
    // Who of the two is first depends on the ids that Yjs draws.
    assert.deepEqual(first.trim().split("\n").sort(), PRINTED.trim().split("\n").sort());
    const [ana, ben] = readings(first);
    assert.deepEqual(ana, ben);

    await server.kill9();
    await server.launch();
    const [anaLater, benLater] = readings(await tour());
    assert.deepEqual(anaLater, benLater);
    assert.deepEqual(anaLater.slice(0, 2), ana, "the lines of the first run come first");
    const lines = ["Ana", "Ben"].map((name) => `${name} wrote this at 14:02:11.`);
    assert.deepEqual(anaLater.slice(2).sort(), lines);
  });
});
