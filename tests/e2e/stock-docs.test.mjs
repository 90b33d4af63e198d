// The programs of docs/stock-clients.md, as they are printed there.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { temporaryFolder } from "@realtime-server/harness/process";
import { suiteServer } from "@realtime-server/harness/suite";
import { MAJORS } from "./support/stock.mjs";

const PAGE = readFileSync(new URL("../../docs/stock-clients.md", import.meta.url), "utf8");
const program = (name) => new RegExp(`\`${name}\\.mjs\`:\\n\\n\`\`\`js\\n(.*?)\`\`\`\\n`, "s").exec(PAGE)?.[1];
const ADDRESS = '"localhost:3001"';

describe("the programs of the page on stock clients", () => {
  const server = suiteServer();
  const folder = temporaryFolder();
  symlinkSync(fileURLToPath(new URL("node_modules", import.meta.url)), join(folder, "node_modules"));

  for (const major of MAJORS) {
    it(`two people read both lines, with y-websocket ${major}`, async () => {
      const text = program("stock");
      assert.ok(text.includes(ADDRESS) && text.includes('"y-websocket"'));
      const host = new URL(server.url).host;
      const run = text.replace(ADDRESS, JSON.stringify(host)).replace('"y-websocket"', `"y-websocket-${major}"`);
      writeFileSync(join(folder, `stock-${major}.mjs`), run);
      const options = { cwd: folder, timeout: 60_000 };
      const { stdout } = await promisify(execFile)("node", [`stock-${major}.mjs`], options);
      const lines = stdout.trim().split("\n");
      assert.ok(lines.includes("Ana wrote this.") && lines.includes("Ben wrote this."), stdout);
    });
  }
});
