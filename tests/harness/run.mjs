#!/usr/bin/env node
// Runs test files, several at once.
//
//     realtime-test [--jobs 3] [--except cost,slow] [--minutes 20] files…
//
// Each file is a process of its own, whose output is printed when it ends. Files begin in the given order; of a file that is
// named twice only the first place counts, so that the longest ones can be named before a pattern. `--except` names files,
// without `.test.mjs`, that are not run. A file that takes longer than `--minutes` fails.
// In the end there is a line for each file, then the errors once more, since other files' output may follow their first place.
// The exit code is 1 unless all tests have passed.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";

/** More lines of a file's errors are not printed a second time. */
const ERROR_LINES = 60;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    jobs: { type: "string", default: "1" },
    except: { type: "string", default: "" },
    minutes: { type: "string", default: "20" },
  },
});
const [jobs, minutes] = [Number(values.jobs), Number(values.minutes)];
const files = [...new Set(positionals)];
const names = new Set(values.except.split(",").filter(Boolean));
const unknown = [...names].filter((name) => !files.some((file) => nameOf(file) === name));
if (!(jobs >= 1) || !(minutes > 0) || files.length === 0 || unknown.length > 0) {
  console.error("usage: realtime-test [--jobs 3] [--except cost,slow] [--minutes 20] files…");
  for (const name of unknown) console.error(`there is no test file ${name}`);
  process.exit(2);
}

const running = new Set();
// What the processes of a run make once for all of them: see Postgres in postgres.mjs.
const shared = mkdtempSync(join(tmpdir(), "realtime-run-"));
process.on("exit", () => rmSync(shared, { recursive: true, force: true }));
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    // Each test process ends its own servers and databases.
    for (const child of running) child.kill("SIGTERM");
    process.exit(1);
  });
}

const began = performance.now();
const results = await runAll(
  files.filter((file) => !names.has(nameOf(file))),
  jobs,
);
summarise(results, performance.now() - began);
process.exit(results.every(({ passed }) => passed) ? 0 : 1);

/** Runs files, at most `limit` at once. */
async function runAll(queue, limit) {
  const [waiting, done] = [[...queue], []];
  const work = async () => {
    while (waiting.length > 0) {
      const result = await runFile(waiting.shift());
      console.log(`\n== ${result.name}, after ${seconds(result.took_ms)}\n${result.output}`);
      done.push(result);
    }
  };
  await Promise.all(Array.from({ length: limit }, work));
  return done;
}

function runFile(file) {
  const began = performance.now();
  const child = spawn(process.execPath, ["--test-reporter=spec", file], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, REALTIME_TEST_SHARED: shared },
  });
  running.add(child);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
  const timer = setTimeout(() => {
    output += `\nit has taken more than ${minutes} minutes, and is ended\n`;
    child.kill("SIGTERM");
    setTimeout(() => child.kill("SIGKILL"), 5_000).unref();
  }, minutes * 60_000);
  return new Promise((resolve) => {
    child.once("close", (code) => {
      clearTimeout(timer);
      running.delete(child);
      const count = (what) => Number(output.match(new RegExp(`^ℹ ${what} (\\d+)$`, "m"))?.[1] ?? 0);
      const counts = { pass: count("pass"), fail: count("fail"), skipped: count("skipped") };
      // A file in which no test has run has not passed.
      const passed = code === 0 && counts.fail === 0 && counts.pass + counts.skipped > 0;
      resolve({ name: nameOf(file), took_ms: performance.now() - began, passed, counts, output });
    });
  });
}

function summarise(results, took_ms) {
  console.log("\n== summary");
  for (const { name, passed, counts, took_ms } of results.toSorted((a, b) => b.took_ms - a.took_ms)) {
    const failed = passed ? "" : `, FAILED${counts.fail > 0 ? ` ${counts.fail}` : ""}`;
    const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : "";
    console.log(`${seconds(took_ms).padStart(7)}  ${name}: ${counts.pass} passed${failed}${skipped}`);
  }
  const sum = (what) => results.reduce((total, { counts }) => total + counts[what], 0);
  const bad = results.filter(({ passed }) => !passed);
  console.log(
    `${seconds(took_ms)} in all: ${sum("pass")} passed, ${sum("fail")} failed, ${sum("skipped")} skipped` +
      (bad.length > 0 ? `; not all is well in ${bad.map(({ name }) => name).join(", ")}` : ""),
  );
  for (const { name, output } of bad) console.log(`\n== errors of ${name}\n${errorsOf(output)}`);
}

/** The errors that Node's reporter lists at the end of a file's output, or the end itself where it lists none; at most ERROR_LINES. */
function errorsOf(output) {
  const lines = output.trimEnd().split("\n");
  const first = lines.findLastIndex((line) => line.endsWith("failing tests:"));
  return (first < 0 ? lines.slice(-ERROR_LINES) : lines.slice(first, first + ERROR_LINES)).join("\n");
}

function nameOf(file) {
  return basename(file, ".test.mjs");
}

function seconds(ms) {
  return `${(ms / 1_000).toFixed(1)} s`;
}
