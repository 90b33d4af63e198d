// Kills a server under load again and again, while a random half of the users who type never returns.
//
//     node absent.mjs [--kills 200] [--database sqlite|postgres] [--seed 1]
//
// It fails unless every edit that was acknowledged, and not as pending, is visible to a newcomer after every kill, and
// nothing stays pending when a client has connected that has what it builds upon.

import { parseArgs } from "node:util";
import { ABSENCE_ENV, playAbsence } from "./support/absence.mjs";
import { postgres, sqlite } from "@realtime-server/harness/databases";
import { Random } from "@realtime-server/harness/random";
import { Server } from "@realtime-server/harness/server";

const REPORT_EVERY = 10;

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "200" },
    database: { type: "string", default: "sqlite" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});
const kills = Number(values.kills);
const database = { sqlite, postgres }[values.database];
if (!database || !(kills > 0)) {
  console.error("usage: node absent.mjs [--kills 200] [--database sqlite|postgres] [--seed 1]");
  process.exit(2);
}

const began = performance.now();
await database.start();
const server = await Server.start({ database, env: ABSENCE_ENV });
console.log(`${database.name}, seed ${values.seed}`);

function report({ kills: done, gone, ledger }) {
  if (done % REPORT_EVERY !== 0 && done !== kills) return;
  const { edits, past, acknowledged, pending, refusals } = ledger;
  console.log(
    `${done} kills, ${gone} never returned; ${edits} edits, ${past + acknowledged.size} acknowledged, ` +
      `${pending} acks said pending; refused: ${JSON.stringify(refusals)}`,
  );
}

await playAbsence({ server, kills, random: new Random(Number(values.seed)), report });
await server.stop();
await database.stop();
console.log(`all acknowledged edits were visible, after ${((performance.now() - began) / 1_000).toFixed(0)} s`);
process.exit(0);
