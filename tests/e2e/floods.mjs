// Measures what clients notice of each attack of strangers, and what it costs the server.
//
//     taskset -c 0 node floods.mjs [--strangers-on 1] [--elsewhere] [--attacks opens,silent,all] [--seconds 8] [--newcomers 100]
//
// With `--elsewhere` the strangers have another address (::1) than the clients (127.0.0.1).
// It prints a Markdown table. The server (REALTIME_SERVER_BIN) and the clients share the processors on which this program runs,
// the strangers have the one of `--strangers-on`. Nothing else may run on the machine. The strangers have to be built:
// cargo build --profile e2e -p strangers

import { parseArgs } from "node:util";
import { sqlite } from "@realtime-server/harness/databases";
import { Server } from "@realtime-server/harness/server";
import { ATTACKS, Pair, observe, observeAttack, tokensOfStrangers } from "./support/floods.mjs";

const MIB = 2 ** 20;
const WARM_UP = { newcomers: 20, duration_ms: 1_000 };

const { values } = parseArgs({
  options: {
    "strangers-on": { type: "string", default: "1" },
    elsewhere: { type: "boolean", default: false },
    attacks: { type: "string", default: Object.keys(ATTACKS).join() },
    seconds: { type: "string", default: "8" },
    newcomers: { type: "string", default: "100" },
  },
});
const host = values.elsewhere ? "[::1]" : "127.0.0.1";
const env = { RUST_LOG: "warn", REALTIME_SERVER_HOST: values.elsewhere ? "::" : "127.0.0.1" };
const options = { newcomers: Number(values.newcomers), duration_ms: Number(values.seconds) * 1_000 };

const row = (...cells) => console.log(`| ${cells.join(" | ")} |`);
row("attack", "p99 of the pair", "newcomers within 1 s", "slowest newcomer", "processor", "memory", "cut", "strangers");
row(...Array(8).fill("---"));
await sqlite.start();
for (const attack of ["none", ...values.attacks.split(",")]) await measure(attack);
process.exit(0);

/** Measures one attack on a new server. */
async function measure(attack) {
  const server = await Server.start({ database: sqlite, env });
  try {
    const tokens = await tokensOfStrangers(server);
    const pair = await Pair.join(server);
    const { memory } = await observe(server, pair, WARM_UP);
    const strangers = { tokens, host, processor: values["strangers-on"] };
    const seen =
      attack === "none"
        ? await observe(server, pair, options)
        : await observeAttack(server, pair, attack, { ...strangers, ...options });
    row(
      ATTACKS[attack] ?? attack,
      `${seen.p99_ms.toFixed(1)} ms`,
      `${seen.newcomers_in_time} of ${options.newcomers}`,
      `${seen.slowest_ms.toFixed(0)} ms`,
      `${seen.processor_share.toFixed(2)}`,
      `${Math.round((seen.memory - memory) / MIB)} MiB`,
      pair.cuts,
      `${Math.round(seen.opened_per_second ?? 0)} connections/s, ${((seen.sent_per_second ?? 0) / MIB).toFixed(1)} MiB/s`,
    );
    pair.close();
  } finally {
    await server.kill9();
  }
}
