// The size of the package in an app: `npm run size` prints it. `npm run build` has to come before.
//
// Each part is bundled and minified by Vite as in an app. The packages that an app has anyway, or that the table names, are not
// counted: Yjs with its lib0 and y-protocols, socket.io-client, React, Tiptap.

import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "vite";

const FOLDER = fileURLToPath(new URL(".", import.meta.url));

/** The modules of each part; each part has those of the one before. */
const PARTS = {
  client: ["index.js"],
  "client, React hooks": ["index.js", "react.js"],
  "client, React hooks, components": ["index.js", "react.js", "kit/index.js"],
};

const isExternal = (name) => /^(yjs|lib0|y-protocols|socket\.io-client|react|react-dom|@tiptap)(\/|$)/.test(name);

/** The sizes of the parts in bytes: `{ part, minified, gzipped }`. */
export async function sizes() {
  const measured = [];
  for (const [part, modules] of Object.entries(PARTS)) {
    const code = await bundle(modules);
    measured.push({ part, minified: Buffer.byteLength(code), gzipped: gzipSync(code, { level: 9 }).length });
  }
  return measured;
}

/** The minified code of the modules, with everything that they export, without the external packages. */
async function bundle(modules) {
  const entry = "\0entry";
  const source = modules.map((module) => `export * from ${JSON.stringify(`${FOLDER}dist/${module}`)};`).join("\n");
  const output = await build({
    root: FOLDER,
    configFile: false,
    logLevel: "error",
    plugins: [
      {
        name: "entry",
        resolveId: (id) => (id === "entry" ? entry : undefined),
        load: (id) => (id === entry ? source : undefined),
      },
    ],
    build: {
      write: false,
      minify: "oxc",
      target: "es2022",
      rolldownOptions: { input: "entry", external: isExternal, preserveEntrySignatures: "strict" },
    },
  });
  return output.output.map(({ code = "" }) => code).join("");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const kib = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`;
  console.table(
    (await sizes()).map(({ part, minified, gzipped }) => ({ part, minified: kib(minified), gzipped: kib(gzipped) })),
  );
}
