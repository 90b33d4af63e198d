// The React app of docs/client.md, made in an empty folder as a reader makes it: from the commands and the files that the page
// shows, with the packed client that the server offers, and without anything of this repository. So is the program in the README
// of the package.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import { adopt, freePort, temporaryFolder } from "@realtime-server/harness/process";
import { suiteBrowser, suiteServer } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";

const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));

/** The server's address in the documentation. */
const SHOWN = "http://localhost:3001";

/**
 * The code blocks of a page, in their order. A block whose paragraph before it ends with a file's name in code, such as
 * "`src/main.tsx`:", or with the link to an example is that `file`; the examples are in the folder `src` of an app.
 */
function blocksOf(page) {
  const text = readFileSync(join(REPOSITORY, page), "utf8");
  return [...text.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].map(({ index, 1: language, 2: code }) => {
    const before = text.slice(0, index).replace(/<!-- \S+ -->\s*$/, "");
    return { file: fileOf(before.trimEnd().split("\n\n").at(-1)), language, code };
  });
}

function fileOf(paragraph) {
  const [, example] = paragraph.match(/\]\(\.\.\/web\/examples\/(src\/[\w.]+)\):$/) ?? [];
  const [, named] = paragraph.match(/(?:^|\. )`([\w./-]+\.\w+)`(?: [^.`]*)?:$/) ?? [];
  return example ?? named;
}

/** The part of a page under a heading of the second level. */
function section(page, heading) {
  const text = readFileSync(join(REPOSITORY, page), "utf8");
  const begin = text.indexOf(`\n## ${heading}\n`);
  assert.notEqual(begin, -1, `${page} has no section "${heading}"`);
  return text.slice(begin, text.indexOf("\n## ", begin + 1));
}

/** A folder in which commands run as in the documentation, on the test's server. */
function folderOf(server) {
  const folder = temporaryFolder();
  const env = { ...process.env, VITE_REALTIME_SERVER_URL: server.url, npm_config_prefer_offline: "true" };
  for (const name of ["npm_config_audit", "npm_config_fund"]) env[name] = "false";
  return {
    env,
    folder,
    /** Runs a block of commands; none of them may fail, or warn. */
    async run(commands) {
      const script = `set -e\n${commands.replaceAll(SHOWN, server.url)}`;
      const { stdout, stderr } = await promisify(execFile)("sh", ["-c", script], {
        cwd: folder,
        env,
        timeout: 240_000,
      });
      assert.doesNotMatch(stderr, /npm (warn|error)/i);
      return stdout;
    },
    write({ file, code }) {
      mkdirSync(join(folder, dirname(file)), { recursive: true });
      writeFileSync(join(folder, file), code.replaceAll(SHOWN, server.url));
    },
    read: (file) => readFileSync(join(folder, file), "utf8"),
  };
}

describe("an app made from the documentation", () => {
  const server = suiteServer({ env: { JWT_SECRET: undefined } });
  const browser = suiteBrowser(chromium);

  const says = (window, selector, expected) =>
    until(`${selector} says ${expected}`, async () => {
      assert.deepEqual(window.problems, []);
      assert.equal(await window.locator(selector).innerText({ timeout: 1_000 }), expected);
      return true;
    });
  /** The paragraphs of the text, without the carets of others. */
  const lines = (window) =>
    window.locator(".ProseMirror").evaluate((element) =>
      [...element.children].map((line) => {
        const copy = line.cloneNode(true);
        for (const caret of copy.querySelectorAll(".realtime-caret")) caret.remove();
        return copy.textContent.replaceAll(/[\u2060\ufeff]/g, "");
      }),
    );
  const holds = (window, expected) =>
    until(`the window holds ${expected}`, async () => assert.deepEqual(await lines(window), expected) ?? true);

  it("React and Tiptap: it is installed, its types are strict, and two people write in it at once", async () => {
    const app = folderOf(server);
    const page = section("docs/client.md", "A React app with Tiptap");
    const blocks = blocksOf("docs/client.md");
    const ofApp = blocks.filter(({ code }) => page.includes(code));
    const [install, ...commands] = ofApp.filter(({ language }) => language === "sh").map(({ code }) => code);
    const build = commands.find((command) => command.includes("vite build"));
    const files = ofApp.filter(({ language }) => language !== "sh");
    for (const { file, code } of files) assert.ok(file, `no name of a file is before this block:\n${code}`);

    await app.run(install);
    const { problems } = JSON.parse(await app.run("npm ls --all --json"));
    assert.equal(problems, undefined, "the tree of packages is valid");
    assert.equal(JSON.parse(app.read("package.json")).overrides, undefined);

    // The files that the section shows, and those to which it refers.
    for (const block of files) app.write(block);
    for (const file of ["src/client.ts", "src/tiptap.tsx"]) {
      app.write(blocks.find((block) => block.file === file) ?? assert.fail(`the page has no ${file}`));
    }
    const { compilerOptions } = JSON.parse(app.read("tsconfig.json"));
    for (const option of ["strict", "exactOptionalPropertyTypes", "noUncheckedIndexedAccess"]) {
      assert.equal(compilerOptions[option], true, option);
    }
    await app.run(build);

    const port = await freePort();
    const parameters = ["vite", "preview", "--port", String(port), "--strictPort", "--host", "127.0.0.1"];
    const site = spawn("npx", parameters, { cwd: app.folder, env: app.env, stdio: "ignore", detached: true });
    const { ended } = adopt(site, () => process.kill(-site.pid, "SIGKILL"));
    const url = `http://127.0.0.1:${port}/`;
    await until("the app is served", async () => (await fetch(url)).ok);

    const [ana, ben] = await Promise.all(
      ["ana", "ben"].map((user) => browser.open(`${url}?user=${user}&name=${user.toUpperCase()}`)),
    );
    await says(ana, "#others", "Also here: BEN");
    await says(ben, "#others", "Also here: ANA");
    await ana.locator('.ProseMirror[contenteditable="true"]').click();
    await ana.keyboard.type("Ana: ");
    await ana.keyboard.press("Enter");
    await ana.keyboard.type("Ben: ");
    await holds(ben, ["Ana: ", "Ben: "]);
    await ben.locator('.ProseMirror[contenteditable="true"]').click();
    await ben.keyboard.press("Control+End");
    await ana.keyboard.press("ArrowUp");
    await ana.keyboard.press("End");
    const [hers, his] = ["Over the whole line.", "At the same time."];
    await Promise.all([ana.keyboard.type(hers, { delay: 5 }), ben.keyboard.type(his, { delay: 5 })]);
    const expected = [`Ana: ${hers}`, `Ben: ${his}`];
    for (const window of [ana, ben]) {
      await holds(window, expected);
      await says(window, "#status", "Saved");
    }

    await server.kill9();
    await server.launch();
    await ben.reload();
    await holds(ben, expected);
    await says(ben, "#status", "Saved");
    await says(ben, "#others", "Also here: ANA");
    process.kill(-site.pid, "SIGTERM");
    await ended();
  });

  it("the program in the README of the package: it saves, and ends", async () => {
    const program = folderOf(server);
    const [install, file, run] = blocksOf("web/client/README.md");
    await program.run(install.code);
    program.write(file);
    assert.equal(await program.run(run.code), "Hello. \n");
    assert.equal(await program.run(run.code), "Hello. Hello. \n");
  });
});
