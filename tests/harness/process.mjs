// Child processes, temporary folders and ports of the tests: all of them are given back when the test process ends.

import { execFileSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** How each child process is ended that still runs when this process ends. */
const children = new Map();
let root;

process.on("exit", () => {
  for (const end of children.values()) {
    try {
      end();
    } catch (error) {
      console.error(error);
    }
  }
  if (process.exitCode) console.error(`kept, for the logs therein: ${root}`);
  else if (root) rmSync(root, { recursive: true, force: true, maxRetries: 5 });
});
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

/**
 * Takes charge of a child process: it does not outlive the tests, nor keep them from ending. `end` ends it then, at once.
 * `ended()` resolves with how it ended.
 */
export function adopt(child, end = () => child.kill("SIGKILL")) {
  children.set(child, end);
  child.unref();
  const exit = new Promise((resolve) => {
    child.once("error", (error) => resolve({ code: null, signal: null, error }));
    child.once("exit", (code, signal) => {
      children.delete(child);
      resolve({ code, signal });
    });
  });
  return {
    ended() {
      child.ref();
      return exit;
    },
  };
}

/** A new folder, owned by `owner` where given. It is gone after the tests, unless one of them failed. */
export function temporaryFolder(owner) {
  if (!root) {
    root = mkdtempSync(join(tmpdir(), "realtime-e2e-"));
    // Postgres, as another user, has to pass through.
    chmodSync(root, 0o755);
  }
  const folder = mkdtempSync(join(root, "folder-"));
  if (owner) chownSync(folder, owner.uid, owner.gid);
  return folder;
}

/**
 * A TCP port of 127.0.0.1 on which nobody listens. It is this process's own until the process ends, also while no server
 * listens on it: test files that run at once never choose the same port.
 *
 * The UDP port of the same number, which nothing else needs, is the lock: the kernel gives it to one process, and takes
 * it back when that process ends, however it ends.
 *
 * The port lies below the range from which the kernel draws source ports: a client that keeps reconnecting to a stopped
 * server on the same machine would sooner or later draw the very port that it dials, connect to itself and occupy it.
 */
export async function freePort() {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const lock = await lockPort(port);
    if (!lock) continue;
    if (await isFree(port)) return port;
    lock.close();
  }
}

/** Locks a port for this process; nothing where another process, or this one, has locked it. */
function lockPort(port) {
  return new Promise((resolve) => {
    const lock = createSocket("udp4");
    lock.once("error", () => {
      lock.close();
      resolve(undefined);
    });
    lock.bind({ port, address: "127.0.0.1", exclusive: true }, () => {
      lock.unref();
      resolve(lock);
    });
  });
}

/** Whether nobody listens on a TCP port. */
function isFree(port) {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}

/** The resident memory of a process, in bytes: now (`VmRSS`), or at its peak (`VmHWM`). */
export function memory(pid, measure = "VmRSS") {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(status.match(new RegExp(`^${measure}:\\s+(\\d+) kB$`, "m"))[1]) * 1024;
}

/** The processor time that a process has used, in seconds. */
export function processorSeconds(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks_per_second = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));
  return (Number(fields[11]) + Number(fields[12])) / ticks_per_second;
}
