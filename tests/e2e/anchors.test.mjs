// The program of docs/comments.md, as it is printed there.

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

const DOCUMENTATION = readFileSync(new URL("../../docs/comments.md", import.meta.url), "utf8");
const [, PROGRAM, PRINTED] = /`anchors\.ts`:\n\n```ts\n(.*?)```\n\n```text\n(.*?)```\n/s.exec(DOCUMENTATION) ?? [];
const ADDRESS = '"http://localhost:3001"';
const COMPILE = "--strict --module nodenext --target es2023 --lib es2023,dom".split(" ");

// One database is enough: comments.test.mjs runs on both.
describe("the program of the documentation of comments", () => {
  const server = suiteServer({ database: sqlite, env: { JWT_SECRET: undefined } });

  it("compiles, finds the text of a thread after edits, and prints what is printed there", async () => {
    const folder = temporaryFolder();
    const modules = fileURLToPath(new URL("node_modules", import.meta.url));
    symlinkSync(modules, join(folder, "node_modules"));
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    assert.ok(PROGRAM.includes(ADDRESS), "the program names the server's address");
    writeFileSync(join(folder, "anchors.ts"), PROGRAM.replace(ADDRESS, JSON.stringify(server.url)));
    const run = (...command) => promisify(execFile)("node", command, { cwd: folder, timeout: 60_000 });
    const tsc = join(modules, "typescript", "bin", "tsc");
    await run(tsc, ...COMPILE, "anchors.ts").catch(({ stdout }) => assert.fail(stdout));
    const { stdout } = await run("anchors.js");
    assert.equal(stdout, PRINTED);
  });
});
