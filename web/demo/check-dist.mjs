// Builds the page into a temporary folder, and checks that `dist`, which is committed and compiled into the server, is the same.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "vite";
import { writeSite } from "./site/site.mjs";

const aside = mkdtempSync(join(tmpdir(), "realtime-page-"));
try {
  execFileSync("tsc", ["-p", "tsconfig.json", "--noEmit"], { stdio: "inherit" });
  await build({ build: { outDir: aside, emptyOutDir: true }, logLevel: "warn" });
  writeSite(aside);
  const [built, committed] = [filesOf(aside), filesOf("dist")];
  const names = [...new Set([...built.keys(), ...committed.keys()])].sort();
  const different = names.filter((name) => !built.get(name)?.equals(committed.get(name) ?? Buffer.from("missing")));
  if (different.length > 0) {
    console.error(
      `dist differs from a build of its sources: run npm run build --prefix web\n  ${different.join("\n  ")}`,
    );
    process.exitCode = 1;
  }
} finally {
  rmSync(aside, { recursive: true, force: true });
}

/** The files of a folder by their names. */
function filesOf(folder) {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = entries.map(({ parentPath, name }) => join(parentPath, name));
  return new Map(paths.map((path) => [path.slice(folder.length + 1), readFileSync(path)]));
}
