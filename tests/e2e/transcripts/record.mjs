// Records the transcripts of a server: node transcripts/record.mjs node|own|socketioxide
//
// `node` is Node's socket.io of package.json; `own` the server of REALTIME_SERVER_BIN or this repository's build;
// `socketioxide` the program of `cargo build --release --manifest-path tests/transport/Cargo.toml`. The file that is written
// is a fixture of ../transcripts.test.mjs: read the difference before it is committed.

import { writeFileSync } from "node:fs";
import { token } from "@realtime-server/harness/tokens";
import { conversations, impatient } from "./conversations.mjs";
import { Transcript } from "./recorder.mjs";
import { servers } from "./servers.mjs";

const name = process.argv[2];
if (!(name in servers)) {
  console.error(`usage: node transcripts/record.mjs ${Object.keys(servers).join("|")}`);
  process.exit(2);
}

const transcripts = {};
for (const [table, times] of [
  [conversations, "usual"],
  [impatient, "impatient"],
]) {
  const server = await servers[name](times);
  const record = async ([title, converse], n) => {
    const transcript = new Transcript(server.url);
    await converse(transcript, token({ user: `transcript-${n}`, team: `transcript-${n}` }));
    transcript.end();
    transcripts[title] = transcript.lines;
  };
  await Promise.all(Object.entries(table).map(record));
  await server.stop();
}
const ordered = Object.keys({ ...conversations, ...impatient }).map((title) => [title, transcripts[title]]);
writeFileSync(new URL(`${name}.json`, import.meta.url), `${JSON.stringify(Object.fromEntries(ordered), null, 2)}\n`);
process.exit(0);
