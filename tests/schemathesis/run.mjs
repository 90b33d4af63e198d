// Compares the HTTP interface with its own description by random requests, well formed and malformed, on both databases:
// no answer is an error of the server, and every answer has a status, a type and a content that are described.
// README.md explains the settings.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { databases } from "../harness/databases.mjs";
import { adopt, temporaryFolder } from "../harness/process.mjs";
import { Server } from "../harness/server.mjs";
import { token } from "../harness/tokens.mjs";

const OPTIONS = {
  /** The folder of the programs of requirements.txt; without it they are found as others are. */
  programs: { type: "string", default: "" },
  /** The most random requests for each operation. */
  examples: { type: "string", default: "5" },
  seed: { type: "string", default: "1" },
  /** How long random requests go on, in seconds for each role; without it, each is sent once. */
  seconds: { type: "string" },
};
const { values: options } = parseArgs({ options: OPTIONS });

const ROLES = ["admin", "editor", "service"];
const CONFIG = fileURLToPath(new URL("schemathesis.toml", import.meta.url));
const CHECKS = [
  "not_a_server_error",
  "status_code_conformance",
  "content_type_conformance",
  "response_headers_conformance",
  "response_schema_conformance",
  "negative_data_rejection",
  "unsupported_method",
  "ignored_auth",
];
/** So that a request is never refused because of those before it. */
const WITHOUT_LIMITS = {
  REQUESTS_PER_SECOND: 100_000,
  UPDATES_PER_SECOND: 100_000,
  CPU_MS_PER_SECOND: 100_000,
  SERVICE_REQUESTS_PER_SECOND: 100_000,
  SERVICE_CPU_MS_PER_SECOND: 100_000,
};

/** Runs a program of requirements.txt; its output, and whether it succeeded. */
async function run(program, parameters) {
  const folder = temporaryFolder();
  const child = spawn(join(options.programs, program), parameters, {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, PYTHONUTF8: "1" },
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes) => (output += bytes));
  const { code } = await adopt(child).ended();
  return { output, succeeded: code === 0 };
}

/** Writes what people would have written, so that requests find something. */
async function fill(server) {
  const send = async (method, path, body) => {
    const response = await fetch(`${server.url}/api/v1/${path}`, {
      method,
      headers: { authorization: `Bearer ${token({ user: "u-3" })}` },
      body: JSON.stringify(body),
    });
    assert.ok(response.ok, `${method} ${path}: ${await response.clone().text()}`);
    return response.json();
  };
  await send("PUT", "documents/article-42", { title: "Launch plan" });
  const { thread } = await send("POST", "documents/article-42/threads", { body: "Is it?", mentions: ["u-17"] });
  await send("POST", `threads/${thread.id}/comments`, { body: "It is." });
  await send("POST", "documents/article-42/workflow", { to: "in_review" });
}

/**
 * The kinds of requests for a role. In a short run every limit of every field is tried once on each database, by the role
 * that has most of the rights.
 */
function phases(role) {
  const short = role !== "admin" && options.seconds === undefined;
  return short ? "examples,fuzzing,stateful" : "examples,coverage,fuzzing,stateful";
}

/** Sends requests with the rights of `role`; fails with what was found. */
async function attack(server, database, role) {
  const began = performance.now();
  const address = `${server.url}/api/v1/openapi.json`;
  const found = await run("schemathesis", [
    ...["--config-file", CONFIG, "run", address],
    ...["--header", `Authorization: Bearer ${token({ user: "u-17", role })}`],
    ...["--phases", phases(role)],
    ...["--checks", CHECKS.join(",")],
    ...["--max-examples", options.examples],
    ...["--seed", options.seed],
    ...(options.seconds ? ["--max-time", options.seconds] : []),
    ...["--request-timeout", "30"],
    "--continue-on-failure",
    "--no-color",
  ]);
  const took = Math.round((performance.now() - began) / 1000);
  if (!found.succeeded) throw new Error(`${database.name}, ${role}:\n${found.output}`);
  const count = /(\d+) generated/.exec(found.output)?.[1];
  console.log(`${database.name}, ${role}: ${count} requests in ${took} s`);
}

async function check(database) {
  await database.start();
  const server = await Server.start({ database, env: WITHOUT_LIMITS });
  await fill(server);
  for (const role of ROLES) await attack(server, database, role);
  const { code } = await server.stop();
  assert.equal(code, 0, `the server did not stop in order:\n${server.log.slice(-2_000)}`);
  return server;
}

/** Checks the document itself with a validator. */
async function validate() {
  const [database] = databases;
  await database.start();
  const server = await Server.start({ database });
  const file = join(server.folder, "openapi.json");
  writeFileSync(file, await (await server.get("/api/v1/openapi.json")).text());
  await server.stop();
  const { output, succeeded } = await run("openapi-spec-validator", [file]);
  assert.ok(succeeded, output);
}

await validate();
await Promise.all(databases.map(check));
process.exit(0);
