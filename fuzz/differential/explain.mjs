// Prints the steps of cases: node explain.mjs CASE…

import { readFileSync } from "node:fs";
import * as decoding from "lib0/decoding";
import { parse } from "./cases.mjs";
import { canonical } from "./view.mjs";
import { read } from "./wire.mjs";

const KINDS = ["gc", "deleted", "json", "binary", "string", "embed", "format", "type", "any", "subdocument", "skip"];

function shown({ kind, content }) {
  const from = decoding.createDecoder(content);
  if (kind === 4 || kind === 5) return JSON.stringify(decoding.readVarString(from));
  if (kind === 6) return `${decoding.readVarString(from)}=${decoding.readVarString(from)}`;
  if (kind === 7) return `${decoding.readVarUint(from)}`;
  if (kind === 8) return Array.from({ length: decoding.readVarUint(from) }, () => canonical(decoding.readAny(from))).join();
  return Buffer.from(content).toString("hex");
}

function describe(update) {
  const { clients, deletes } = read(update);
  const lines = [];
  for (const { client, clock, blocks } of clients) {
    let at = clock;
    for (const block of blocks) {
      const { kind, length, origin, right, parent, sub } = block;
      let place = "";
      if (origin) place += ` after ${origin.join(":")}`;
      if (right) place += ` before ${right.join(":")}`;
      if (parent !== undefined && parent !== null) place += ` in ${Array.isArray(parent) ? parent.join(":") : parent}`;
      if (typeof sub === "string") place += ` key ${JSON.stringify(sub)}`;
      lines.push(`  ${client}:${at}+${length} ${KINDS[kind]}${block.content ? ` ${shown(block)}` : ""}${place}`);
      at += length;
    }
  }
  for (const { client, ranges } of deletes) {
    lines.push(`  delete ${ranges.map(([clock, length]) => `${client}:${clock}+${length}`).join(" ")}`);
  }
  return lines.join("\n");
}

for (const file of process.argv.slice(2)) {
  const { found, steps } = parse(readFileSync(file, "utf8"));
  console.log(`${file}: ${found}`);
  for (const step of steps) {
    if (!step.turn) console.log(JSON.stringify(step));
    for (const update of step.turn ?? []) {
      try {
        console.log(`update\n${describe(update)}`);
      } catch {
        console.log(`bytes ${Buffer.from(update).toString("hex")}`);
      }
    }
  }
}
