// The published package: packed, installed into an empty Vite and React project, checked by strict TypeScript, built, and
// used in a browser, and from a CommonJS program.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { chromium } from "playwright-core";
import { freePort, temporaryFolder } from "@realtime-server/harness/process";
import { suiteBrowser, suiteServer } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));
const WORKSPACE = fileURLToPath(new URL("../..", import.meta.url));

const MAIN = `
import { RealtimeClient } from "@realtime-server/client";
import { RealtimeProvider, useConnection, useDocument, usePeople } from "@realtime-server/client/react";
import { StrictMode, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";

const url: string = import.meta.env.VITE_REALTIME_SERVER_URL;
const name = new URLSearchParams(location.search).get("name") ?? "Someone";
const client = new RealtimeClient({
  url,
  token: async () => {
    const answer = await fetch(\`\${url}/dev/token?user=\${name}&name=\${name}\`);
    const { token } = (await answer.json()) as { token: string };
    return token;
  },
});

function Notes() {
  const { status } = useConnection();
  const { provider, saved, synced, readOnly } = useDocument("notes");
  const people = usePeople(provider);
  const text = provider?.doc.getText("text");
  const [shown, setShown] = useState("");
  useEffect(() => {
    if (!text || !provider) return;
    provider.awareness.setLocalStateField("user", { id: name, name });
    const show = () => setShown(text.toString());
    text.observe(show);
    show();
    return () => text.unobserve(show);
  }, [provider, text]);
  return (
    <main>
      <p id="status">{status}, {synced && saved ? "saved" : "not saved"}</p>
      <p id="people">{people.map(({ name }) => name).join(" and ")}</p>
      <pre>{shown}</pre>
      <button disabled={readOnly} onClick={() => text?.insert(text.length, \`\${name} was here. \`)}>Write</button>
    </main>
  );
}

const root = document.getElementById("root");
if (root) createRoot(root).render(<StrictMode><RealtimeProvider client={client}><Notes /></RealtimeProvider></StrictMode>);
`;

const TSCONFIG = {
  compilerOptions: {
    ...{ target: "ES2022", lib: ["ES2022", "DOM", "DOM.Iterable"], module: "ESNext", moduleResolution: "bundler" },
    ...{ jsx: "react-jsx", strict: true, noEmit: true, skipLibCheck: false, types: ["vite/client"] },
  },
  include: ["src"],
};

/** A CommonJS program: its types are checked, and it is executed by Node. */
const COMMON_JS = `
import client = require("@realtime-server/client");
import react = require("@realtime-server/client/react");
import Y = require("yjs");

const doc: Y.Doc = new Y.Doc();
const made: client.RealtimeClient = new client.RealtimeClient({
  url: process.env.VITE_REALTIME_SERVER_URL,
  token: async () => {
    const answer = await fetch(process.env.VITE_REALTIME_SERVER_URL + "/dev/token?user=cjs&name=cjs");
    return ((await answer.json()) as { token: string }).token;
  },
});
const provider = new client.DocumentProvider(made, "common-js", { doc, awareness: null });
async function main(): Promise<void> {
  doc.getText("text").insert(0, typeof react.useDocument);
  await provider.whenSaved({ timeoutMs: 10_000 });
  console.log("saved", doc.getText("text").toString());
  provider.destroy();
  made.destroy();
}
void main();
`;

/** With the types of Node that this repository has. */
const COMMON_JS_TSCONFIG = {
  compilerOptions: {
    ...{ target: "ES2022", lib: ["ES2022", "DOM"], module: "NodeNext", strict: true, skipLibCheck: false },
    ...{ types: ["node"], typeRoots: [join(WORKSPACE, "node_modules/@types")], outDir: "out" },
  },
  files: ["program.cts"],
};

describe("the packed package", () => {
  const server = suiteServer();
  const browser = suiteBrowser(chromium);
  const project = temporaryFolder();

  const run = (program, ...parameters) =>
    execFileSync(program, parameters, {
      cwd: project,
      encoding: "utf8",
      timeout: 120_000,
      env: { ...process.env, VITE_REALTIME_SERVER_URL: server.url },
    });

  it("works in an empty Vite and React project", async () => {
    // The package is built already, as for all tests, which read it meanwhile.
    const { scripts } = JSON.parse(readFileSync(join(PACKAGE, "package.json"), "utf8"));
    assert.equal(scripts.prepack, "npm run build", "what is published is built before");
    const packed = execFileSync("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", project], {
      cwd: PACKAGE,
      encoding: "utf8",
    });
    const [{ filename, files }] = JSON.parse(packed.slice(packed.indexOf("[")));
    const unexpected = files
      .map(({ path }) => path)
      .filter((path) => !/^(dist\/|(kit|carets|features)\.css$|package.json$|README.md$|LICENSE$)/.test(path));
    assert.deepEqual(unexpected, []);

    mkdirSync(join(project, "src"));
    write("package.json", {
      ...{ name: "empty", private: true, type: "module" },
      dependencies: { "@realtime-server/client": `file:${filename}`, ...versions("react", "react-dom", "yjs") },
      devDependencies: versions("vite", "@vitejs/plugin-react", "typescript", "@types/react", "@types/react-dom"),
    });
    write("tsconfig.json", TSCONFIG);
    write(
      "index.html",
      '<!doctype html><link rel="icon" href="data:," /><div id="root"></div><script type="module" src="/src/main.tsx"></script>',
    );
    write("src/main.tsx", MAIN);
    run("npm", "install", "--prefer-offline", "--no-audit", "--no-fund");
    run("npx", "tsc");
    write("program.cts", COMMON_JS);
    write("tsconfig.cjs.json", COMMON_JS_TSCONFIG);
    run("npx", "tsc", "-p", "tsconfig.cjs.json");
    assert.equal(run("node", "out/program.cjs"), "saved function\n");

    run("npx", "vite", "build", "--logLevel", "error");
    const assets = join(project, "dist/assets");
    const bundle = readFileSync(
      join(
        assets,
        readdirSync(assets).find((name) => name.endsWith(".js")),
      ),
    );
    console.log(`whole bundle with React and Yjs: ${kib(bundle)} KiB, ${kib(gzipSync(bundle))} KiB gzip`);

    const { preview } = await import(pathToFileURL(join(WORKSPACE, "node_modules/vite/dist/node/index.js")));
    const site = await preview({
      root: project,
      preview: { port: await freePort(), host: "127.0.0.1" },
      logLevel: "error",
    });
    try {
      const address = site.resolvedUrls.local[0];
      const [ana, ben] = await Promise.all(["Ana", "Ben"].map((name) => browser.open(`${address}?name=${name}`)));
      for (const page of [ana, ben]) await says(page, "#status", "connected, saved");
      for (const page of [ana, ben]) await page.getByRole("button").click();
      for (const page of [ana, ben]) {
        await says(page, "pre", "Ana was here.");
        await says(page, "pre", "Ben was here.");
        await says(page, "#status", "connected, saved");
      }
      await says(ana, "#people", "Ana and Ben");
      await server.kill9();
      await says(ana, "#status", "connecting, not saved");
      await server.launch();
      await says(ana, "#status", "connected, saved");
    } finally {
      await site.close();
    }
  });

  function write(name, content) {
    writeFileSync(join(project, name), typeof content === "string" ? content : JSON.stringify(content));
  }
});

/** The versions that this repository uses. */
function versions(...names) {
  const read = (name) => JSON.parse(readFileSync(join(WORKSPACE, "node_modules", name, "package.json"), "utf8"));
  return Object.fromEntries(names.map((name) => [name, read(name).version]));
}

function kib(bytes) {
  return (bytes.length / 1024).toFixed(1);
}

function says(page, selector, text) {
  return until(`${selector} says ${text}`, async () => (await page.locator(selector).innerText()).includes(text));
}
