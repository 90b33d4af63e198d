// The same conversations with this server and with Node's socket.io. Each difference between the two, and each between Node's
// and socketioxide, has to be explained in docs/transport.md.
//
// They need no database, so they run on SQLite alone. `node transcripts/record.mjs` records the transcripts again.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { token } from "@realtime-server/harness/tokens";
import { conversations, impatient } from "./transcripts/conversations.mjs";
import { Transcript } from "./transcripts/recorder.mjs";
import { servers } from "./transcripts/servers.mjs";

const recorded = (name) => JSON.parse(readFileSync(new URL(`transcripts/${name}.json`, import.meta.url), "utf8"));
const transcripts = { node: recorded("node"), own: recorded("own"), socketioxide: recorded("socketioxide") };
const page = readFileSync(new URL("../../docs/transport.md", import.meta.url), "utf8");

/** What socketioxide does in every conversation; docs/transport.md has it in front of the table. */
const everywhere = {
  own: (lines) => lines,
  socketioxide: (lines) =>
    lines
      .map((line) => line.replace(/^(< 400 \{"code":)"(\d)"/, "$1$2").replace("< 200 2 | ", "< 200 "))
      .filter((line, at) => line !== "< 2" || !lines[at - 1].startsWith('< 0{"sid"') || impatientLine(lines[at - 1]))
      .filter((line, at, rest) => line !== "< 1" || rest[at + 1] !== "< closed"),
};
const impatientLine = (line) => line.includes('"pingInterval":300');

/** The conversations whose transcript differs from Node's. */
function differing(name) {
  const comparable = ([title, lines]) => [title, JSON.stringify(everywhere[name](lines))];
  const compared = Object.entries(transcripts[name]).map(comparable);
  return compared.filter(([title, text]) => text !== JSON.stringify(transcripts.node[title])).map(([title]) => title);
}

/** The conversations in the table of differences under `heading` in docs/transport.md. */
function explained(heading) {
  const section = page.split(/^## /m).find((section) => section.startsWith(`${heading}\n`));
  assert.ok(section, `docs/transport.md has no section "${heading}"`);
  const rows = section.split("\n").filter((line) => line.startsWith("| ") && !line.startsWith("| conversation"));
  return rows.flatMap((row) => row.split("|")[1].split(";")).map((title) => title.trim());
}

for (const [name, title] of [
  ["own", "this server"],
  ["node", "Node's socket.io"],
]) {
  for (const [table, times] of [
    [conversations, "usual"],
    [impatient, "impatient"],
  ]) {
    describe(`the transcripts of ${title}, with ${times} pings`, { concurrency: true }, () => {
      let server;
      before(async () => (server = await servers[name](times)));
      after(() => server.stop());

      for (const [n, [title, converse]] of Object.entries(table).entries()) {
        it(title, async () => {
          const transcript = new Transcript(server.url, transcripts[name][title]);
          await converse(transcript, token({ user: `transcript-${n}`, team: `transcript-${n}` }));
          transcript.end();
        });
      }
    });
  }
}

describe("the differences between the transcripts", () => {
  it("of this server and Node's socket.io are all explained", () => {
    assert.deepEqual(explained("Differences from Node's socket.io").sort(), differing("own").sort());
  });

  it("of socketioxide and Node's socket.io are all explained", () => {
    assert.deepEqual(explained("Differences of socketioxide").sort(), differing("socketioxide").sort());
  });

  it("are about the same conversations", () => {
    const titles = Object.keys({ ...conversations, ...impatient });
    for (const name of Object.keys(transcripts)) assert.deepEqual(Object.keys(transcripts[name]), titles, name);
  });
});
