// Replays the recorded history of writing a paper through a server, one update a keystroke, and measures it.
//
//     node history.mjs automerge-paper.json.gz [sqlite|postgres]
//
// The file is JSON, gzipped or not: { startContent, endContent, txns: [{ patches: [[position, deleted, inserted], …] }] },
// positions in Unicode code points. The script fails unless a second client, and after a restart a third one, end with
// the exact text.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { Client, closeClients } from "./support/client.mjs";
import { postgres, sqlite } from "@realtime-server/harness/databases";
import { memory, processorSeconds } from "@realtime-server/harness/process";
import { Server } from "@realtime-server/harness/server";
import { until } from "@realtime-server/harness/until";

/** How many updates may await their acknowledgement. */
const WINDOW = Number(process.env.WINDOW ?? 1_000);
const MIB = 2 ** 20;
const DEADLINE_MS = 120_000;

const [file, databaseName = "sqlite"] = process.argv.slice(2);
if (!file) {
  console.error("usage: node history.mjs <history.json[.gz]> [sqlite|postgres]");
  process.exit(2);
}

const { startContent, endContent, txns } = read(file);
const patches = txns.flatMap((transaction) => transaction.patches);
const outsideBmp = /[\u{10000}-\u{10ffff}]/u;
const simple = ![startContent, endContent, ...patches.map(([, , inserted]) => inserted)].some((it) =>
  outsideBmp.test(it),
);

const database = { sqlite, postgres }[databaseName];
await database.start();
const env = { UPDATES_PER_SECOND: 100_000, UPDATES_BURST: 1_000_000 };
const server = await Server.start({ database, env });
const author = await join("author");
const reader = await join("reader");
const { text } = author;
if (startContent) text.insert(0, startContent);

const began = performance.now();
const cpu_before = processorSeconds(server.pid);
let updates = 0;
author.doc.on("update", () => (updates += 1));
for (const [position, deleted, inserted] of patches) {
  author.doc.transact(() => change(position, deleted, inserted));
  if (author.unacknowledged >= WINDOW) {
    await until("updates are acknowledged", () => author.unacknowledged < WINDOW / 2, DEADLINE_MS, 0);
  }
}
await author.saved(DEADLINE_MS);
const acknowledged_s = (performance.now() - began) / 1_000;
await until("the reader has everything", () => reader.content === endContent, DEADLINE_MS);
const seen_s = (performance.now() - began) / 1_000;
assert.equal(author.content, endContent);
assert.equal(reader.gaps, 0);
const cpu_s = processorSeconds(server.pid) - cpu_before;
const peak = memory(server.pid, "VmHWM");

closeClients();
assert.equal((await server.stop()).code, 0);
await server.launch();
const reopening = performance.now();
const third = await join("third");
const reopened_ms = performance.now() - reopening;
assert.equal(third.content, endContent);
closeClients();
await server.stop();
await database.stop();

console.log(`database                     ${database.name}`);
console.log(`updates                      ${updates}`);
console.log(
  `until acknowledged (durable) ${acknowledged_s.toFixed(1)} s, ${Math.round(updates / acknowledged_s)} a second`,
);
console.log(`until seen by a reader       ${seen_s.toFixed(1)} s, in ${reader.received} messages`);
console.log(`server's processor time      ${cpu_s.toFixed(1)} s, ${((cpu_s / updates) * 1e6).toFixed(1)} µs an update`);
console.log(`server's peak memory         ${(peak / MIB).toFixed(1)} MiB`);
console.log(`connect and join after a restart ${reopened_ms.toFixed(0)} ms`);
process.exit(0);

function read(path) {
  const bytes = readFileSync(path);
  const gzipped = bytes[0] === 0x1f && bytes[1] === 0x8b;
  return JSON.parse((gzipped ? gunzipSync(bytes) : bytes).toString());
}

async function join(user) {
  return (await Client.connect(server, { person: { user } })).join("history");
}

/** One patch. Yjs counts UTF-16 units; where every character is one of them, so does the history. */
function change(position, deleted, inserted) {
  let [from, length] = [position, deleted];
  if (!simple) {
    const characters = [...text.toString()];
    from = characters.slice(0, position).join("").length;
    length = characters.slice(position, position + deleted).join("").length;
  }
  if (length > 0) text.delete(from, length);
  if (inserted) text.insert(from, inserted);
}
