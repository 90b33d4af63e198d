// A Postgres cluster for the tests: on a free port, in a temporary folder, durable as in production (fsync on).

import { execFileSync, spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { adopt, freePort, temporaryFolder } from "./process.mjs";
import { until } from "./until.mjs";

const DEBIAN_ROOT = "/usr/lib/postgresql";
const PROGRAMS = ["initdb", "postgres", "pg_basebackup", "pg_ctl", "pg_isready", "psql"];
const SIGNALS = { smart: "SIGTERM", fast: "SIGINT", immediate: "SIGQUIT" };
/** The longest answer of one of the programs, in bytes. */
const OUTPUT_BYTES_MAX = 256 * 1024 * 1024;

/** A cluster that is stopped and started at will. Its superuser is `realtime`, without a password, on 127.0.0.1. */
export class Postgres {
  #binaries = binaries();
  #owner = unprivilegedOwner();
  #folder;
  #child;
  #adopted;
  #databases = 0;

  /** Makes a new cluster and starts it. */
  static async create() {
    const postgres = new Postgres();
    postgres.#folder = temporaryFolder(postgres.#owner);
    postgres.port = await freePort();
    postgres.#makeData();
    await postgres.start();
    return postgres;
  }

  /** Makes a replica that receives the commits of `primary` a moment later, and starts it. */
  static async createReplica(primary) {
    const postgres = new Postgres();
    postgres.#folder = temporaryFolder(postgres.#owner);
    postgres.port = await freePort();
    const from = ["-h", "127.0.0.1", "-p", String(primary.port), "-U", "realtime"];
    const how = ["--checkpoint=fast", "--no-sync", "--write-recovery-conf"];
    postgres.#run("pg_basebackup", [...from, ...how, "-D", postgres.#data]);
    await postgres.start();
    return postgres;
  }

  /**
   * Makes the files of the cluster: by initdb, or as a copy of what another process of this run has made by it, which takes a tenth
   * of the processor time. The runner names the folder that the processes of a run share.
   */
  #makeData() {
    const shared = process.env.REALTIME_TEST_SHARED;
    const made = shared && join(shared, "postgres");
    if (made && existsSync(made)) return copy(made, this.#data);
    this.#run("initdb", [
      ...["--pgdata", this.#data, "--username", "realtime", "--auth", "trust"],
      ...["--encoding", "UTF8", "--locale", "C", "--no-sync"],
    ]);
    if (!made) return;
    // The copy appears when it is complete. Where another process was faster, this one's is removed with the folder.
    const own = `${made}-${process.pid}`;
    copy(this.#data, own);
    try {
      renameSync(own, made);
    } catch (error) {
      if (!["ENOTEMPTY", "EEXIST"].includes(error.code)) throw error;
    }
  }

  get #data() {
    return join(this.#folder, "data");
  }

  /** Starts the cluster on its port, again after a stop, and waits until it answers. */
  async start() {
    const log = openSync(join(this.#folder, "log"), "a");
    const settings = {
      listen_addresses: "127.0.0.1",
      unix_socket_directories: "",
      port: this.port,
      shared_buffers: "64MB",
      fsync: "on",
      // After a crash, one call in place of an fsync of each of a thousand files.
      ...(this.#knowsSyncfs() && { recovery_init_sync_method: "syncfs" }),
    };
    const parameters = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    const child = spawn(join(this.#binaries, "postgres"), ["-D", this.#data, ...parameters], {
      ...this.#owner,
      cwd: this.#folder,
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    this.#child = child;
    // Its folder can be removed only after all of its processes have ended.
    this.#adopted = adopt(child, () => this.#run("pg_ctl", ["stop", "-D", this.#data, "-m", "immediate"]));
    // Each look is a process of its own, so that they are not too many.
    await until(
      "Postgres accepts connections",
      () => {
        if (child.exitCode !== null) throw new Error(readFileSync(join(this.#folder, "log"), "utf8"));
        this.#run("pg_isready", ["-h", "127.0.0.1", "-p", String(this.port), "-U", "realtime"]);
        return true;
      },
      60_000,
      50,
    );
  }

  /** Whether the cluster was started and not stopped since. */
  get running() {
    return this.#child !== undefined;
  }

  /** Kills the cluster: it can neither finish nor send anything. */
  async kill9() {
    this.#child.kill("SIGKILL");
    await this.#adopted.ended();
    this.#child = undefined;
  }

  /** Stops the cluster: `immediate` as in a crash, `fast` with an orderly end of its connections. */
  async stop(mode = "fast") {
    this.#child?.kill(SIGNALS[mode]);
    await this.#adopted.ended();
    this.#child = undefined;
  }

  /** A new, empty database; its URL. */
  createDatabase() {
    this.#databases += 1;
    const name = `realtime_${this.#databases}`;
    this.query(`create database ${name}`, "postgres");
    return `postgres://realtime@127.0.0.1:${this.port}/${name}`;
  }

  /** Runs one statement by psql; its rows as text, columns separated by `|`. */
  query(sql, database) {
    return this.#run("psql", [...this.psql(database).parameters, "-c", sql]).trim();
  }

  /** Runs a script by psql, with its own commands, until the first error. */
  script(text, database) {
    return this.#run("psql", ["-v", "ON_ERROR_STOP=1", ...this.psql(database).parameters, "-f", "-"], text).trim();
  }

  /** How psql is called to talk to `database`: its rows as text, columns separated by `|`. */
  psql(database) {
    const where = ["-h", "127.0.0.1", "-p", String(this.port), "-U", "realtime", "-d", database];
    return { program: join(this.#binaries, "psql"), parameters: ["-X", "-q", "-A", "-t", ...where] };
  }

  #knowsSyncfs() {
    const [, version] = this.#run("postgres", ["--version"]).match(/(\d+)/);
    return process.platform === "linux" && Number(version) >= 14;
  }

  #run(program, parameters, input = "") {
    const output = {
      ...this.#owner,
      cwd: this.#folder,
      encoding: "utf8",
      input,
      stdio: ["pipe", "pipe", "pipe"],
      maxBuffer: OUTPUT_BYTES_MAX,
    };
    return execFileSync(join(this.#binaries, program), parameters, output);
  }
}

/** Copies a folder with the owners of its files. */
function copy(from, to) {
  execFileSync("cp", ["-a", from, to]);
}

/** The folder of Postgres's programs: that of Debian's newest version, or one on the PATH. */
function binaries() {
  const versions = existsSync(DEBIAN_ROOT) ? readdirSync(DEBIAN_ROOT) : [];
  const folders = versions.sort((a, b) => Number(b) - Number(a)).map((version) => join(DEBIAN_ROOT, version, "bin"));
  folders.push(...(process.env.PATH ?? "").split(":"));
  const complete = (folder) => PROGRAMS.every((program) => existsSync(join(folder, program)));
  const found = folders.find(complete);
  if (!found) throw new Error("Postgres is not installed: no initdb (Debian: apt-get install postgresql)");
  return found;
}

/** The user that runs Postgres and pgbouncer where the tests run as root, as which Postgres refuses to run. */
export function unprivilegedOwner() {
  if (process.getuid() !== 0) return undefined;
  const users = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .map((line) => line.split(":"));
  const user = users.find(([name]) => name === "postgres") ?? users.find(([name]) => name === "nobody");
  return { uid: Number(user[2]), gid: Number(user[3]) };
}
