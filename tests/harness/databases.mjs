// The databases that the server supports. Tests whose subject depends on the database run on both:
//
//     for (const database of databases) describe(`… on ${database.name}`, () => { … });
//
// A suite whose subject does not depend on the database runs on SQLite, and says in a comment why it does not.

import { execFileSync, spawn } from "node:child_process";
import { copyFileSync, existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { adopt, temporaryFolder } from "./process.mjs";
import { Postgres } from "./postgres.mjs";
import { until } from "./until.mjs";

/** The longest answer of a database's program, in bytes. */
const OUTPUT_BYTES_MAX = 256 * 1024 * 1024;

/** Runs `sql` in a session of `program` that stays open; returns a function that undoes it and ends the session. */
async function session(program, parameters, sql) {
  const child = spawn(program, parameters, { stdio: ["pipe", "pipe", "inherit"] });
  const end = adopt(child);
  let said = "";
  child.stdout.on("data", (bytes) => (said += bytes));
  child.stdin.write(`${sql}\nselect 'it is done';\n`);
  await until(`${program} has run ${sql}`, () => said.includes("it is done"), 60_000);
  return async () => {
    child.stdin.end("rollback;\n");
    await end.ended();
  };
}

/** SQLite: a file in a folder of its own. */
const sqlite = {
  name: "SQLite",
  canBeStopped: false,
  async start() {},
  async stop() {},
  /** A new, empty database; its URL. */
  create() {
    return `sqlite://${join(temporaryFolder(), "realtime.db")}`;
  },
  /** Runs SQL on the database at `url` by SQLite's own program. Returns its output. While a server uses it, only reads. */
  run(url, sql) {
    const file = url.replace("sqlite://", "");
    const options = { encoding: "utf8", maxBuffer: OUTPUT_BYTES_MAX };
    return execFileSync("sqlite3", ["-cmd", ".timeout 10000", file, sql], options).trim();
  },
  /** Keeps all others from writing to the log at `url`, but not from reading it; returns a function that ends this. */
  hold(url) {
    return session("sqlite3", [url.replace("sqlite://", "")], ".timeout 10000\nbegin immediate;");
  },
  /** Whether SQLite's program is installed, which {@link run} and {@link hold} need; other tests do without it. */
  get canRun() {
    return (process.env.PATH ?? "").split(":").some((folder) => existsSync(join(folder, "sqlite3")));
  },
  /** Makes a copy of the database at `url`, which no server uses now; returns a function that restores it. */
  backup(url) {
    const file = url.replace("sqlite://", "");
    const parts = ["", "-wal", "-shm"].map((ending) => file + ending);
    const kept = parts.filter((part) => existsSync(part));
    for (const part of kept) copyFileSync(part, `${part}.backup`);
    return () => {
      for (const part of parts) rmSync(part, { force: true });
      for (const part of kept) copyFileSync(`${part}.backup`, part);
    };
  },
};

/** Postgres: one cluster for each test process, with a new database for each server. */
const postgres = {
  name: "Postgres",
  canBeStopped: true,
  cluster: undefined,
  /** Starts the cluster, which serves until the process ends; starts it again where a test has stopped it. */
  async start() {
    if (!this.cluster) this.cluster = await Postgres.create();
    else if (!this.cluster.running) await this.cluster.start();
  },
  async stop() {
    await this.cluster.stop("fast");
  },
  /** A new, empty database; its URL. */
  create() {
    return this.cluster.createDatabase();
  },
  /** Runs SQL on the database at `url`; its rows as text. */
  run(url, sql) {
    return this.cluster.query(sql, new URL(url).pathname.slice(1));
  },
  /** Keeps all others from writing to the log at `url`, but not from reading it; returns a function that ends this. */
  hold(url) {
    const { program, parameters } = this.cluster.psql(new URL(url).pathname.slice(1));
    return session(program, parameters, "begin; lock table update_log in exclusive mode;");
  },
  /** Keeps all others from reading and writing `table` of the database at `url`; returns a function that ends this. */
  block(url, table) {
    const { program, parameters } = this.cluster.psql(new URL(url).pathname.slice(1));
    return session(program, parameters, `begin; lock table ${table} in access exclusive mode;`);
  },
  canRun: true,
  /** Makes a copy of the database at `url`, which no server uses now; returns a function that restores it. */
  backup(url) {
    const name = new URL(url).pathname.slice(1);
    this.cluster.query(`create database ${name}_backup template ${name}`, "postgres");
    return () => {
      this.cluster.query(`drop database ${name}`, "postgres");
      this.cluster.query(`create database ${name} template ${name}_backup`, "postgres");
    };
  },
};

const only = process.env.TEST_DATABASE?.toLowerCase();

/** Both, or the one that TEST_DATABASE names. */
export const databases = [sqlite, postgres].filter(({ name }) => !only || name.toLowerCase() === only);

export { postgres, sqlite };
