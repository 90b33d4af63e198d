// Builds the service worker with the page: it needs the names of the page's files, and a hash of their content as its version.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { build, type Plugin } from "vite";

/** The kinds of files that the page needs. */
const KEPT = /\.(js|css|svg|woff2|html|json|webmanifest)$/;

/** Adds `sw.js` to the build. `publicFiles` are the files of the folder `public` that the page needs. */
export function serviceWorker(publicFiles: readonly string[]): Plugin {
  let root = ".";
  return {
    name: "service-worker",
    apply: "build",
    enforce: "post",
    configResolved(config) {
      root = config.root;
    },
    generateBundle: {
      order: "post",
      async handler(_options, bundle) {
        const hash = createHash("sha256");
        const built = Object.values(bundle).sort((a, b) => (a.fileName < b.fileName ? -1 : 1));
        for (const file of built) hash.update(file.fileName).update(file.type === "chunk" ? file.code : file.source);
        for (const name of publicFiles) hash.update(name).update(readFileSync(join(root, "public", name)));
        hash.update(readFileSync(join(root, "worker/sw.ts")));
        const names = built.map(({ fileName }) => fileName).filter((name) => KEPT.test(name) && name !== "index.html");
        const source = await workerSource(root, [...names, ...publicFiles], hash.digest("hex").slice(0, 16));
        this.emitFile({ type: "asset", fileName: "sw.js", source });
      },
    },
  };
}

async function workerSource(root: string, files: readonly string[], version: string): Promise<string> {
  const result = await build({
    configFile: false,
    root,
    logLevel: "warn",
    publicDir: false,
    define: { __FILES__: JSON.stringify(files), __VERSION__: JSON.stringify(version) },
    build: {
      write: false,
      target: ["chrome123", "edge123", "firefox120", "safari17.5"],
      modulePreload: false,
      rolldownOptions: { input: join(root, "worker/sw.ts"), output: { format: "iife", entryFileNames: "sw.js" } },
    },
  });
  const output = Array.isArray(result) ? result[0] : result;
  if (!output || !("output" in output)) throw new Error("the service worker was not built");
  return output.output[0].code;
}
