// Measures how long acks take for people who write while others edit a large document, and what its snapshots change.
//
//     node beside-large.mjs [--megabytes 20] [--seconds 20] [--database SQLite]
//
// Eight people type in four documents. Beside them are: nothing; ten people who edit the large document; the same, who all leave it every
// few seconds, so that it is written as a snapshot and loaded again. It prints a Markdown table. Nothing else may run on the machine.

import { parseArgs } from "node:util";
import * as Y from "yjs";
import { databases } from "@realtime-server/harness/databases";
import { Server } from "@realtime-server/harness/server";
import { pause } from "@realtime-server/harness/until";
import { Client } from "./support/client.mjs";

const MIB = 2 ** 20;
const PART_BYTES = MIB;
const LETTER_INTERVAL_MS = 100;
const LARGE = "large";
const WRITERS = 8;
const EDITORS = 10;
const SITTING_MS = 4_000;
const AUTHOR = 1;

const { values } = parseArgs({
  options: {
    megabytes: { type: "string", default: "20" },
    seconds: { type: "string", default: "20" },
    database: { type: "string", default: "SQLite" },
  },
});
const duration_ms = Number(values.seconds) * 1_000;
const database = databases.find(({ name }) => name === values.database);

const row = (...cells) => console.log(`| ${cells.join(" | ")} |`);
row("beside", "acks", "p50", "p99", "longest", "snapshots");
row(...Array(6).fill("---"));
await database.start();
await measure("nothing", { editors: 0, sitting_ms: duration_ms });
await measure("ten people in the large document", { editors: EDITORS, sitting_ms: duration_ms });
await measure("ten who come and leave", { editors: EDITORS, sitting_ms: SITTING_MS });
process.exit(0);

async function measure(beside, { editors, sitting_ms }) {
  const server = await Server.start({ database, env: { RUST_LOG: "warn", ROOM_IDLE_MS: SITTING_MS / 4 } });
  try {
    if (editors > 0) await fill(server);
    const large = [];
    for (let n = 0; n < editors; n += 1) large.push(await connect(server, `editor-${n}`, LARGE));
    const writers = [];
    for (let n = 0; n < WRITERS; n += 1) writers.push(await connect(server, `writer-${n}`, `small-${n % 4}`));
    const acks_ms = [];
    const until = performance.now() + duration_ms;
    const working = [
      ...large.map((one) => sit(one, until, sitting_ms)),
      ...writers.map((one) => sit(one, until, duration_ms, acks_ms)),
    ];
    const before = await snapshots(server);
    await Promise.all(working);
    acks_ms.sort((a, b) => a - b);
    const at = (part) => `${acks_ms[Math.floor((acks_ms.length - 1) * part)].toFixed(1)} ms`;
    row(beside, acks_ms.length, at(0.5), at(0.99), at(1), (await snapshots(server)) - before);
  } finally {
    await server.kill9();
  }
}

/** Someone with a connection, who has a document of their own to write with. */
async function connect(server, user, room) {
  const { socket } = await Client.connect(server, { person: { user } });
  const request = (event, payload) => new Promise((resolve) => socket.emit(event, payload, resolve));
  return { request, room, text: new Y.Doc().getText(user) };
}

async function demand(request, event, payload) {
  const ack = await request(event, payload);
  if (!ack.ok) throw new Error(JSON.stringify(ack));
}

/** Joins the room, types, and leaves it for a while when `sitting_ms` have passed, again and again. */
async function sit({ request, room, text }, until, sitting_ms, acks_ms) {
  while (performance.now() < until) {
    await demand(request, "join_room", { room, state_vector: everything() });
    await type({ request, room, text }, Math.min(until, performance.now() + sitting_ms), acks_ms);
    await demand(request, "leave_room", { room });
    await pause(sitting_ms / 2);
  }
}

/** Types a letter ten times a second, and notes how long each ack takes. */
async function type({ request, room, text }, until, acks_ms = []) {
  await pause(Math.random() * LETTER_INTERVAL_MS);
  const acks = [];
  while (performance.now() < until) {
    let update;
    text.doc.once("update", (bytes) => (update = bytes));
    text.insert(text.length, "a");
    const began = performance.now();
    acks.push(demand(request, "document_update", { room, update }).then(() => acks_ms.push(performance.now() - began)));
    await pause(LETTER_INTERVAL_MS);
  }
  await Promise.all(acks);
}

/** Writes the large document, in parts. */
async function fill(server) {
  const { request, room } = await connect(server, "author", LARGE);
  await demand(request, "join_room", { room });
  const doc = new Y.Doc();
  doc.clientID = AUTHOR;
  for (let part = 0; part < Number(values.megabytes); part += 1) {
    const updates = [];
    doc.once("update", (bytes) => updates.push(bytes));
    doc.getText("text").insert(0, "0123456789abcdef".repeat(PART_BYTES / 16));
    for (const update of updates) await demand(request, "document_update", { room, update });
  }
}

/** The state vector of who has what the author wrote: the processor is the server's, not that of clients who load it. */
function everything() {
  return Y.encodeStateVector(new Map([[AUTHOR, Number(values.megabytes) * PART_BYTES]]));
}

function snapshots(server) {
  return server.metric("realtime_snapshot_seconds_count");
}
