// The real binary, as a user would start it.

import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { adopt, freePort, temporaryFolder } from "./process.mjs";
import { SECRET } from "./tokens.mjs";
import { until } from "./until.mjs";

/** The server's program: REALTIME_SERVER_BIN, or this repository's build for these tests, optimised and quickly made. */
export const PROGRAM =
  process.env.REALTIME_SERVER_BIN ?? fileURLToPath(new URL("../../../target/e2e/realtime-server", import.meta.url));

/** A server in a folder of its own, with its own database, on a free port that it keeps over restarts. */
export class Server {
  #child;
  #adopted;
  #log;

  /** Starts a server on a new database of `database`, configured by `env`, and waits until it is ready. */
  static async start({ database, env = {} }) {
    const server = new Server();
    server.folder = temporaryFolder();
    server.#log = join(server.folder, "log");
    server.port = await freePort();
    server.env = { DATABASE_URL: database.create(), JWT_SECRET: SECRET, REALTIME_SERVER_PORT: server.port, ...env };
    await server.launch();
    return server;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  get pid() {
    return this.#child.pid;
  }

  /** All that the server has said, over all its launches. */
  get log() {
    return readFileSync(this.#log, "utf8");
  }

  /** Starts the program, after it ended, on the same port and data; `env` changes settings. */
  async launch(env = {}) {
    Object.assign(this.env, env);
    const log = openSync(this.#log, "a");
    const child = spawn(PROGRAM, [], { env: environment(this.env), cwd: this.folder, stdio: ["ignore", log, log] });
    closeSync(log);
    this.#child = child;
    this.#adopted = adopt(child);
    await until("the server is ready", async () => !this.alive || (await this.get("/health/ready")).status === 200);
    if (!this.alive) throw new Error(`the server ended at its start (code ${child.exitCode}):\n${this.log}`);
  }

  /** A GET request. */
  get(path, headers = {}) {
    return fetch(this.url + path, { headers, signal: AbortSignal.timeout(10_000) });
  }

  /** Ends it as a power loss of the process would: nothing is finished, nothing flushed. */
  async kill9() {
    this.#child.kill("SIGKILL");
    await this.#adopted.ended();
  }

  /** Asks it to end, and waits: how it ended and how long that took. */
  async stop(signal = "SIGTERM") {
    const began = performance.now();
    this.#child.kill(signal);
    const end = await this.#adopted.ended();
    return { ...end, took_ms: performance.now() - began };
  }

  /** Whether the process that was launched last still runs. */
  get alive() {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }
}

/** Runs the program with arguments until it ends: its exit code and what it said. */
export async function run(parameters, env = {}, { cwd = temporaryFolder(), timeout_ms = 20_000 } = {}) {
  const child = spawn(PROGRAM, parameters, { env: environment(env), cwd });
  const said = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"]) child[stream].on("data", (bytes) => (said[stream] += bytes));
  const timer = setTimeout(() => child.kill("SIGKILL"), timeout_ms);
  const closed = new Promise((resolve) => child.once("close", resolve));
  const end = await adopt(child).ended();
  await closed;
  clearTimeout(timer);
  return { ...end, ...said };
}

/** Only what the test gives: a setting of the machine must not reach the server. `undefined` removes a setting. */
function environment(settings) {
  if (!existsSync(PROGRAM)) throw new Error(`there is no ${PROGRAM}: cargo build --profile e2e`);
  const given = Object.entries(settings).filter(([, value]) => value !== undefined);
  return { PATH: process.env.PATH, ...Object.fromEntries(given.map(([name, value]) => [name, String(value)])) };
}
