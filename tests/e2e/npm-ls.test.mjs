// The commands of the documentation that install packages: each gives a valid tree of packages in an empty folder, with one copy of
// Yjs, and so does the client beside older packages that applications have. npm computes each tree and writes it to
// package-lock.json, and only the tree of the client and Yjs alone is unpacked too: unpacking a computed tree is npm's work, and takes
// most of the time.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFileSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { sqlite } from "@realtime-server/harness/databases";
import { temporaryFolder } from "@realtime-server/harness/process";
import { suiteServer } from "@realtime-server/harness/suite";

const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));
const SERVER = "http://localhost:3001";
const INSTALL = `npm install ${SERVER}/client.tgz yjs`;

/** What applications have already, in these versions exactly. */
const OLDER = [
  "yjs@13.6.23 react@18 react-dom@18",
  "yjs @tiptap/core@3.0.1 @tiptap/pm@3.0.1 @tiptap/extension-collaboration@3.0.1 @tiptap/y-tiptap@3.0.0",
  "yjs react@18 react-dom@18 @tiptap/react@2 @tiptap/pm@2 @tiptap/starter-kit@2 @tiptap/extension-collaboration@2 y-prosemirror",
];

describe("the commands that install packages", () => {
  const server = suiteServer({ database: sqlite });

  /** Runs a command of the documentation in a folder. `locked`: npm writes and reads package-lock.json only. */
  const run = (folder, command, locked) => {
    const env = {
      ...process.env,
      npm_config_package_lock_only: String(locked),
      npm_config_prefer_offline: "true",
      npm_config_audit: "false",
      npm_config_fund: "false",
    };
    const options = { cwd: folder, env, timeout: 240_000, maxBuffer: 64 * 1024 * 1024 };
    return promisify(execFile)("sh", ["-ec", command.replaceAll(SERVER, server.url)], options);
  };
  /** A new folder with a package that needs nothing, as `npm init --yes` makes it. */
  const emptyPackage = () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "app", version: "1.0.0", main: "index.js" }));
    return folder;
  };
  let client;
  /** A new folder in which npm has computed the tree of the client and Yjs. It does that once, and the folders are copies. */
  const packageWithClient = async () => {
    client ??= (async () => {
      const folder = emptyPackage();
      await run(folder, INSTALL, true);
      return folder;
    })();
    const folder = temporaryFolder();
    for (const name of ["package.json", "package-lock.json"])
      copyFileSync(join(await client, name), join(folder, name));
    return folder;
  };
  /** Runs commands in `folder`, one after the other. The tree of packages has to be valid then. */
  const install = async (folder, ...commands) => {
    const locked = commands.join() !== INSTALL;
    for (const command of commands) {
      assert.doesNotMatch(command, /--force|--legacy-peer-deps|overrides/, "the command hides conflicts");
      await run(folder, command, locked);
    }
    // The exit code is 1 if a package is missing, extraneous, or of a version that another one does not admit.
    const { stdout } = await run(folder, "npm ls --all --parseable", locked);
    const copies = stdout.split("\n").filter((path) => path.endsWith("/node_modules/yjs"));
    assert.deepEqual(copies, [join(folder, "node_modules/yjs")], "one copy of Yjs");
  };

  const documented = installations();
  it("are found in the documentation", () => {
    assert.ok(documented.includes(INSTALL));
    for (const name of [
      "@tiptap/core",
      "codemirror",
      "monaco-editor",
      "quill",
      "lexical",
      "@blocknote/core",
      "y-indexeddb",
    ])
      assert.ok(
        documented.some((command) => command.includes(` ${name}`)),
        name,
      );
  });

  for (const command of documented) {
    // Editors are added to a project that has the client; the other commands stand alone.
    const standsAlone = /client\.tgz|npm init/.test(command);
    const words = command.replaceAll(/[\s\\]+/g, " ");
    it(`${words}: the tree is valid`, async () =>
      install(standsAlone ? emptyPackage() : await packageWithClient(), command));
  }

  for (const packages of OLDER) {
    it(`the client beside ${packages}: the tree is valid`, () =>
      install(emptyPackage(), `npm install --save-exact ${packages}`, `npm install ${SERVER}/client.tgz`));
  }
});

/** The shell blocks and the commands within sentences that install packages, in README.md, docs/ and the client's README.md. */
function installations() {
  const docs = readdirSync(join(REPOSITORY, "docs")).filter((name) => name.endsWith(".md"));
  const files = ["README.md", "web/client/README.md", ...docs.map((name) => `docs/${name}`)];
  const found = files.flatMap((file) => {
    const text = readFileSync(join(REPOSITORY, file), "utf8");
    const blocks = [...text.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, block]) => block.trimEnd());
    const inline = [...text.matchAll(/`(npm (?:install|i) [^`]+)`/g)].map(([, command]) => command);
    return [...blocks, ...inline].filter((command) => /\bnpm (install|i) /.test(command));
  });
  // A folder that is linked has packages of its own, as the documentation says there.
  return [...new Set(found)].filter((command) => !command.includes(" ../"));
}
