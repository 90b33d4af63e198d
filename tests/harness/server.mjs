// The server's program, started as a user would start it.

import { spawn } from "node:child_process";
import { get as getTls } from "node:https";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { adopt, freePort, temporaryFolder } from "./process.mjs";
import { SECRET, token } from "./tokens.mjs";
import { until } from "./until.mjs";

/** The server's program: REALTIME_SERVER_BIN, or this repository's build for these tests, optimised and quickly made. */
export const PROGRAM =
  process.env.REALTIME_SERVER_BIN ?? fileURLToPath(new URL("../../target/e2e/realtime-server", import.meta.url));

/** Far more than a start takes: other tests, and other programs, use the processors as well. */
const START_TIMEOUT_MS = 60_000;

/** A server in a folder of its own, with its own database, on a free port that it keeps over restarts. */
export class Server {
  #database;
  #settings;
  #child;
  #adopted;
  #log;

  /** A server that is to run on a new database of `database`, configured by `env`; {@link begin} starts it. */
  constructor({ database, env = {} }) {
    this.#database = database;
    this.#settings = env;
  }

  /** A server as by the constructor, once it is ready. */
  static async start(options) {
    const server = new Server(options);
    await server.begin();
    return server;
  }

  /** Makes the folder and the database, launches the program for the first time, and waits until it is ready. */
  async begin() {
    this.folder = temporaryFolder();
    this.#log = join(this.folder, "log");
    this.port = await freePort();
    const own = { DATABASE_URL: this.#database.create(), JWT_SECRET: SECRET, REALTIME_SERVER_PORT: this.port };
    this.env = { ...own, ...this.#settings };
    await this.launch();
  }

  get url() {
    return `${this.env.TLS_CERT_FILE ? "https" : "http"}://127.0.0.1:${this.port}`;
  }

  get pid() {
    return this.#child.pid;
  }

  /** All that the server has logged, over all its launches. */
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
    const ready = async () => !this.alive || (await this.get("/health/ready")).status === 200;
    await until("the server is ready", ready, START_TIMEOUT_MS);
    if (!this.alive) throw new Error(`the server ended at its start (code ${child.exitCode}):\n${this.log}`);
  }

  /** A GET request. Over TLS any certificate is accepted: what it is, is up to the tests of certificates. */
  get(path, headers = {}) {
    if (this.env.TLS_CERT_FILE) return getEncrypted(this.url + path, headers);
    return fetch(this.url + path, { headers, signal: AbortSignal.timeout(30_000) });
  }

  /**
   * Creates the document of a room, or gives an existing one the title. The demo page opens only documents that exist; its team is
   * `demo`. Returns the metadata.
   */
  async createDocument(room, { title, team = "demo", user = "owner", role = "editor" } = {}) {
    const response = await fetch(`${this.url}/api/v1/documents/${encodeURIComponent(room)}`, {
      method: "PUT",
      headers: { authorization: `Bearer ${token({ user, team, role })}`, "content-type": "application/json" },
      body: JSON.stringify({ title }),
      signal: AbortSignal.timeout(30_000),
    });
    if (!response.ok) throw new Error(`the document ${room} was not created: ${await response.text()}`);
    return (await response.json()).document;
  }

  /** The value of a metric that has no labels, or whose labels `name` includes; NaN where it is not shown. */
  async metric(name) {
    const text = await (await this.get("/metrics")).text();
    const line = text.split("\n").find((line) => line.startsWith(`${name} `));
    return Number(line?.slice(name.length + 1));
  }

  /** Kills the process: it can neither finish nor flush anything. */
  async kill9() {
    this.#child.kill("SIGKILL");
    await this.#adopted.ended();
  }

  /** Asks the server to end, and waits for that. Returns how it ended, and how long that took. */
  async stop(signal = "SIGTERM") {
    const began = performance.now();
    this.#child.kill(signal);
    const end = await this.#adopted.ended();
    return { ...end, took_ms: performance.now() - began };
  }

  /** Whether the process that was launched last is running. */
  get alive() {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }
}

/** A GET request over TLS; its answer, as `fetch` gives it. */
function getEncrypted(url, headers) {
  return new Promise((resolve, reject) => {
    const request = getTls(url, { headers, rejectUnauthorized: false, timeout: 30_000, agent: false }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk)).once("error", reject);
      response.once("end", () => {
        const { statusCode: status, headers } = response;
        resolve(new Response(Buffer.concat(chunks), { status, headers }));
      });
    });
    request.once("error", reject).once("timeout", () => request.destroy(new Error(`no answer from ${url}`)));
  });
}

/** Runs the program with arguments until it ends. Returns how it ended and its output. */
export async function run(parameters, env = {}, { cwd = temporaryFolder(), timeout_ms = 60_000 } = {}) {
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

/** The environment of the program: the settings of the test only, not those of the machine. `undefined` removes one. */
function environment(settings) {
  if (!existsSync(PROGRAM)) throw new Error(`there is no ${PROGRAM}: cargo build --profile e2e`);
  const given = Object.entries(settings).filter(([, value]) => value !== undefined);
  return { PATH: process.env.PATH, ...Object.fromEntries(given.map(([name, value]) => [name, String(value)])) };
}
