// What a pair of clients and newcomers notice of an attack, and what it costs the server.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { adopt, memory, processorSeconds } from "@realtime-server/harness/process";
import { PROGRAM } from "@realtime-server/harness/server";
import { token } from "@realtime-server/harness/tokens";
import { pause, until } from "@realtime-server/harness/until";
import { Client } from "./client.mjs";
import { Caller } from "./http.mjs";

/** The attacks of tests/strangers. */
export const ATTACKS = {
  sessions: "100,000 sessions by polling, over two connections",
  bodies: "100 bodies that never end",
  slow: "3,000 requests whose line, headers or body come byte by byte",
  silent: "10,000 connections that never show a token",
  opens: "connections that are opened and closed",
  attempts: "attempts to connect from 40 addresses, thousands at once",
  polls: "polls",
  upgrades: "upgrades that do not end",
  frames: "pings on a WebSocket",
  fragments: "empty fragments of a message",
  namespaces: "1,000 namespaces on each connection",
  cycles: "connects and disconnects of the namespace",
  tokens: "invalid tokens",
  revoked: "a token that was revoked",
  foreign: "a token of another team",
  "y-websocket": "invalid tokens in the addresses of y-websocket",
  hocuspocus: "invalid tokens for 1,000 documents on each connection of Hocuspocus",
  "y-socket.io": "invalid tokens for 1,000 namespaces of y-socket.io",
  all: "all of them at once",
};

const EDIT_INTERVAL_MS = 20;
/** How long an edit or a newcomer is waited for. */
const TIMEOUT_MS = 15_000;
/** The interval at which strangers report what they have done, and how often they have when an attack counts as begun. */
const REPORT_SECONDS = 0.25;
const BEGINNING_REPORTS = 2;

/** Two clients in one document: one edits, and the other one sees it. */
export class Pair {
  #edits = 0;
  /** When each edit was made that was not seen yet. */
  #made = new Map();

  static async join(server) {
    const pair = new Pair();
    pair.clients = await Promise.all(["ana", "ben"].map((user) => Client.connect(server, { person: { user } })));
    const [writer, reader] = await Promise.all(pair.clients.map((client) => client.join("tea")));
    pair.values = writer.doc.getMap("values");
    const seen = reader.doc.getMap("values");
    seen.observe(() => {
      // Edits that were merged on their way are seen with the last one of them.
      const last = seen.get("n");
      for (const [n, { at, then }] of pair.#made) {
        if (n > last) continue;
        pair.#made.delete(n);
        then(performance.now() - at);
      }
    });
    return pair;
  }

  /** Makes an edit, and resolves with the time after which it is seen, in ms; `Infinity` if it is not. */
  edit() {
    const n = ++this.#edits;
    return new Promise((then) => {
      this.#made.set(n, { at: performance.now(), then });
      setTimeout(then, TIMEOUT_MS, Infinity).unref();
      this.values.set("n", n);
    });
  }

  /** How often one of the two was disconnected. */
  get cuts() {
    return this.clients.flatMap(({ disconnects }) => disconnects).length;
  }

  close() {
    for (const client of this.clients) client.close();
  }
}

let entered = 0;

/** A newcomer begins a session and leaves. Resolves with the time that it took, in ms; `Infinity` if it did not begin. */
function enter(server) {
  const client = new Client(server, { person: { user: `newcomer-${++entered}` } });
  const began = performance.now();
  return new Promise((resolve) => {
    const end = (took) => {
      client.close();
      resolve(took);
    };
    client.socket.once("connection", () => end(performance.now() - began));
    setTimeout(end, TIMEOUT_MS, Infinity).unref();
  });
}

/** The 99th percentile. */
const p99 = (times) => times.toSorted((a, b) => a - b)[Math.ceil(times.length * 0.99) - 1];

/**
 * Lets the pair edit, one edit each 20 ms, while `newcomers` come in `duration_ms`. Returns the latencies and the
 * processor time that the server used a second.
 */
export async function observe(server, pair, { newcomers, duration_ms }) {
  const began = performance.now();
  const processor = processorSeconds(server.pid);
  const [edits, comers] = [[], []];
  const edited = async () => {
    for (let n = 0; performance.now() - began < duration_ms; n++) {
      edits.push(pair.edit());
      await pause(Math.max(0, began + (n + 1) * EDIT_INTERVAL_MS - performance.now()));
    }
  };
  const came = async () => {
    for (let n = 0; n < newcomers; n++) {
      comers.push(enter(server));
      await pause(Math.max(0, began + ((n + 1) * duration_ms) / newcomers - performance.now()));
    }
  };
  await Promise.all([edited(), came()]);
  const processor_share = (processorSeconds(server.pid) - processor) / ((performance.now() - began) / 1_000);
  const waits = await Promise.all(comers);
  return {
    p99_ms: p99(await Promise.all(edits)),
    newcomers_in_time: waits.filter((wait) => wait < 1_000).length,
    slowest_ms: Math.max(...waits),
    processor_share,
    memory: memory(server.pid),
  };
}

/**
 * The tokens with which strangers attack: one whose signature they spoil, a revoked one, and one of another team. A server
 * that cannot revoke tokens has no revoked one.
 */
export async function tokensOfStrangers(server) {
  const platform = new Caller(server, { user: "platform", role: "service" });
  const revoked = await platform.ok("POST", "sessions/revoke", { sid: "stolen" }).then(
    () => token({ user: "thief", sid: "stolen" }),
    () => undefined,
  );
  return { token: token({ user: "ana" }), revoked, foreign: token({ user: "foreigner", team: "rivals" }) };
}

/** The program of tests/strangers, from the same build as the server or from this repository's build for these tests. */
function strangersProgram() {
  const built = fileURLToPath(new URL("../../../target/e2e/strangers", import.meta.url));
  const program = [join(dirname(PROGRAM), "strangers"), built].find(existsSync);
  if (!program) throw new Error(`there is no ${built}: cargo build --profile e2e -p strangers`);
  return program;
}

/**
 * As {@link observe}, while strangers carry out `attack`. `processor` is the number of the one that they use; without it they use
 * all. They connect to `host`, and from it, since that is how the kernel chooses. `opened_per_second` and `sent_per_second` say how much they did, from the beginning on: connections, and bytes.
 */
export async function observeAttack(server, pair, attack, { tokens, processor, host = "127.0.0.1", ...options }) {
  const command = [
    strangersProgram(),
    `${host}:${server.port}`,
    attack,
    tokens.token,
    tokens.revoked ?? "",
    tokens.foreign,
  ];
  // On the processors of the server, they get what the server and the clients leave: else the threads of the strangers, which
  // are many, would slow these down by their number, whatever the server does.
  command.unshift(...(processor === undefined ? ["nice", "-n", "19"] : ["taskset", "-c", processor]));
  const [program, ...parameters] = command.map(String);
  const strangers = spawn(program, parameters, { stdio: ["ignore", "pipe", "inherit"] });
  const adopted = adopt(strangers);
  const reports = [];
  strangers.stdout.setEncoding("utf8").on("data", (text) => reports.push(...text.trim().split("\n")));
  try {
    await until("the strangers have begun", () => reports.length >= BEGINNING_REPORTS);
    const seen = await observe(server, pair, options);
    const [opened, sent] = reports.at(-1).split(" ").map(Number);
    const seconds = reports.length * REPORT_SECONDS;
    return { ...seen, opened_per_second: opened / seconds, sent_per_second: sent / seconds };
  } finally {
    strangers.kill("SIGKILL");
    await adopted.ended();
  }
}
