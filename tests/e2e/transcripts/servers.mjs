// The servers whose transcripts are compared. Each is started with the usual times, or with `impatient` pings.

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { sqlite } from "@realtime-server/harness/databases";
import { adopt, freePort } from "@realtime-server/harness/process";
import { Server } from "@realtime-server/harness/server";
import { until } from "@realtime-server/harness/until";
import { IMPATIENT } from "./conversations.mjs";
import { startReference } from "./reference.mjs";

const USUAL = { pingInterval: 25_000, pingTimeout: 20_000 };
const OXIDE = fileURLToPath(new URL("../../transport/target/release/echo-socketioxide", import.meta.url));

const timesOf = (times) => ({ usual: USUAL, impatient: IMPATIENT })[times];

export const servers = {
  node: (times) => startReference(timesOf(times)),

  async own(times) {
    const { pingInterval, pingTimeout } = timesOf(times);
    // A connection without a session lasts longer than any conversation.
    const env = { PING_INTERVAL_MS: pingInterval, PING_TIMEOUT_MS: pingTimeout, CONNECT_TIMEOUT_MS: 60_000 };
    return Server.start({ database: sqlite, env });
  },

  async socketioxide(times) {
    const { pingInterval, pingTimeout } = timesOf(times);
    const port = await freePort();
    const child = spawn(OXIDE, [port, pingInterval, pingTimeout].map(String), { stdio: "inherit" });
    const { ended } = adopt(child);
    const url = `http://127.0.0.1:${port}`;
    await until("it answers", () => fetch(url));
    return { url, stop: () => (child.kill(), ended()) };
  },
};
