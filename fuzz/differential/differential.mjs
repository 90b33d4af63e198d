// The differential fuzz: see fuzz/README.md.
//
//   node differential.mjs [--seed N] [--seconds N] [--rooms N] [--replica PATH] [--keep-going] [CASE…]

import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { Figures } from "./figures.mjs";
import { History } from "./histories.mjs";
import { Difference, Game, replay } from "./play.mjs";
import { Random } from "./random.mjs";
import { Replica } from "./replica.mjs";
import { parse, print, shrink } from "./cases.mjs";

/** How long a case is shrunk. */
const SHRINKING_SECONDS = 30;

const CORPUS = new URL("corpus/", import.meta.url);

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: "string" },
    seconds: { type: "string", default: "60" },
    rooms: { type: "string", default: "4" },
    replica: { type: "string", default: new URL("../../target/e2e/replica", import.meta.url).pathname },
    "keep-going": { type: "boolean", default: false },
    shrink: { type: "boolean", default: false },
    verbose: { type: "boolean", default: false },
  },
});

// Yjs writes to the console when two clients use one id or one subdocument, which happens here all the time.
for (const level of ["log", "error", "warn"]) {
  const say = console[level];
  console[level] = (...args) => options.verbose && say(...args);
}
const say = (text) => process.stdout.write(`${text}\n`);

/** Plays one random history. Returns its steps, and the difference if one was found. */
async function play(replica, seed, figures) {
  const random = new Random(seed);
  const room = replica.room();
  const game = new Game(room, figures);
  const history = new History(random, game);
  const every = 2 + random.below(10);
  let difference = null;
  try {
    for (let step = history.next(); step !== null; step = history.next()) {
      await game.step(step);
      if (game.steps.length % every === 0) await game.check();
    }
    await game.check();
    await history.end();
  } catch (error) {
    difference = error instanceof Difference ? error : new Difference("error", error.message);
  }
  await room.forget().catch(() => {});
  return { honest: game.honest, steps: game.steps, difference };
}

async function playCorpus(replica, figures, files) {
  let failed = 0;
  for (const file of files) {
    const played = parse(readFileSync(file, "utf8"));
    const difference = await replay(replica, played, figures);
    if (!difference) continue;
    failed++;
    say(`${file}: ${difference.message}`);
    if (options.shrink) await keep(replica, file, { ...played, difference }, Number(options.seconds));
  }
  return failed;
}

async function keep(replica, file, { honest, steps, difference }, seconds) {
  // If the difference is still there at the end, it is not necessary to compare after every step.
  const atEnd = await replay(replica, { honest, steps }, new Figures(), { checks: "end" });
  const checks = atEnd?.kind === difference.kind ? "end" : "all";
  const play = (some) => replay(replica, { honest, steps: some }, new Figures(), { checks });
  const small = await shrink({ honest, steps }, difference.kind, play, seconds);
  const shown = (await replay(replica, { honest, steps: small }, new Figures(), { checks })) ?? difference;
  writeFileSync(file, print({ found: shown.message, honest, steps: small }));
  say(`kept in ${file}: ${shown.message}`);
}

const replica = new Replica(options.replica);
const figures = new Figures();
const files = positionals.length > 0 ? positionals : readdirSync(CORPUS).map((name) => new URL(name, CORPUS).pathname);
let failed = await playCorpus(replica, figures, files);
say(`corpus: ${files.length} cases, ${failed} differ`);

if (positionals.length === 0) {
  const first = options.seed === undefined ? Date.now() % 2 ** 31 : Number(options.seed);
  const end = Date.now() + 1_000 * Number(options.seconds);
  let seed = first;
  say(`seeds from ${first}`);
  const worker = async () => {
    while (Date.now() < end && (failed === 0 || options["keep-going"])) {
      const mine = seed++;
      const played = await play(replica, mine, figures);
      figures.histories++;
      if (!played.difference) continue;
      failed++;
      const name = `${played.difference.kind}-${mine}.json`;
      say(`seed ${mine} shows a difference`);
      await keep(replica, new URL(name, CORPUS).pathname, played, SHRINKING_SECONDS);
    }
  };
  await Promise.all(Array.from({ length: Number(options.rooms) }, worker));
}
say(figures.report());
replica.stop();
process.exitCode = failed > 0 ? 1 : 0;
