// The packed client that the server offers in development: it is installed into an empty folder by its address, and works there.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { sqlite } from "@realtime-server/harness/databases";
import { temporaryFolder } from "@realtime-server/harness/process";
import { suiteServer } from "@realtime-server/harness/suite";

const WRITER = `
import { DocumentProvider, RealtimeClient } from "@realtime-server/client";

const [url, line] = process.argv.slice(2);
const token = async () => (await (await fetch(url + "/dev/token?user=ana&team=demo")).json()).token;
const client = new RealtimeClient({ url, token });
const provider = new DocumentProvider(client, "installed", { awareness: null });
await provider.whenSynced;
const text = provider.doc.getText("text");
text.insert(text.length, line);
await provider.whenSaved();
console.log(text.toString());
provider.destroy();
client.destroy();
`;

describe("the packed client", () => {
  const server = suiteServer({ database: sqlite });
  const folder = temporaryFolder();
  const run = async (program, ...parameters) => {
    const { stdout, stderr } = await promisify(execFile)(program, parameters, { cwd: folder, timeout: 240_000 });
    assert.doesNotMatch(stderr, /npm (warn|error)/i);
    return stdout;
  };

  it("is installed from the server's address without a warning, and its documents are saved", async () => {
    await run("npm", "init", "--yes", "--init-type", "module");
    const address = `${server.url}/client.tgz`;
    await run("npm", "install", address, "--prefer-offline", "--no-audit", "--no-fund");
    const { dependencies } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    assert.deepEqual(dependencies, { "@realtime-server/client": address });
    const { problems } = JSON.parse(await run("npm", "ls", "--all", "--json"));
    assert.equal(problems, undefined, "the tree of packages is valid");

    writeFileSync(join(folder, "writer.mjs"), WRITER);
    assert.equal(await run("node", "writer.mjs", server.url, "One. "), "One. \n");
    assert.equal(await run("node", "writer.mjs", server.url, "Two. "), "One. Two. \n");
  });
});
