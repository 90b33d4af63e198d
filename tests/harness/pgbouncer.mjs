// pgbouncer before a Postgres of the tests, in transaction mode, as docs/operations.md has it.

import { spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { adopt, freePort, temporaryFolder } from "./process.mjs";
import { unprivilegedOwner } from "./postgres.mjs";
import { until } from "./until.mjs";

/** Debian has it where only root looks for programs. */
const PROGRAM = ["/usr/sbin", ...(process.env.PATH ?? "").split(":")]
  .map((folder) => join(folder, "pgbouncer"))
  .find(existsSync);

/** Starts pgbouncer before `postgres`, with `pool` connections to each database. Returns its port. */
export async function startPgBouncer(postgres, { pool }) {
  if (!PROGRAM) throw new Error("pgbouncer is not installed (Debian: apt-get install pgbouncer)");
  const owner = unprivilegedOwner();
  const folder = temporaryFolder(owner);
  const port = await freePort();
  const settings = join(folder, "pgbouncer.ini");
  const log = join(folder, "log");
  writeFileSync(
    settings,
    `[databases]
* = host=127.0.0.1 port=${postgres.port} user=realtime
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = ${pool}
logfile = ${log}
`,
  );
  const child = spawn(PROGRAM, ["-q", settings], { ...owner, cwd: folder, stdio: "ignore" });
  adopt(child);
  await until("pgbouncer accepts connections", async () => {
    if (child.exitCode !== null) throw new Error(readFileSync(log, "utf8"));
    return accepts(port);
  });
  return port;
}

function accepts(port) {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}
