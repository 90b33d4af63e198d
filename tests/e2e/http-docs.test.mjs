// The commands of docs/http.md, as they are printed there. The tests of their subjects run on both databases.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { temporaryFolder } from "@realtime-server/harness/process";
import { suiteServer } from "@realtime-server/harness/suite";

const execute = promisify(execFile);
const PAGE = readFileSync(new URL("../../docs/http.md", import.meta.url), "utf8");
const blocks = (language) =>
  [...PAGE.matchAll(RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, "gms"))].map(([, block]) => block);

/** The value with each text that differs from run to run replaced by its kind. */
function steady(value) {
  const text = JSON.stringify(value, (name, part) => (name.endsWith("_at") || name.endsWith("_id") ? name : part));
  return JSON.parse(text);
}

describe("docs/http.md", () => {
  const server = suiteServer();

  it("has commands that succeed one after the other, and the answers that it shows", async () => {
    const commands = blocks("sh");
    assert.ok(commands.length >= 5, "the page has commands");
    const folder = temporaryFolder();
    const script = commands.map((block, nth) => `{\n${block}} > ${nth}`).join("\n");
    const run = script.replaceAll("localhost:3001", `127.0.0.1:${server.port}`);
    await execute("bash", ["-euo", "pipefail", "-c", run], { cwd: folder, timeout: 60_000 });
    /** The last answer of a block. */
    const answer = async (nth) => {
      const { stdout } = await execute("jq", ["-s", "last", String(nth)], { cwd: folder });
      return JSON.parse(stdout);
    };
    const [list, error] = blocks("json").map((block) => JSON.parse(block));
    assert.deepEqual(steady(await answer(1)), steady(list));
    assert.deepEqual(await answer(commands.length - 1), error);
  });
});
