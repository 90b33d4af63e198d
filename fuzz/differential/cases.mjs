// Cases as files, and how they are shrunk.

import { GC, read, write } from "./wire.mjs";

const hex = (bytes) => Buffer.from(bytes).toString("hex");

/** A case as text: the difference that was found, whether there was no forger, and the steps that lead there. */
export function print({ found, honest, steps }) {
  const lines = steps.map((step) => JSON.stringify(step.turn ? { turn: step.turn.map(hex) } : step));
  return `{\n"found": ${JSON.stringify(found)},\n"honest": ${honest},\n"steps": [\n${lines.join(",\n")}\n]\n}\n`;
}

export function parse(text) {
  const { found, honest = false, steps } = JSON.parse(text);
  const unhex = (step) => (step.turn ? { turn: step.turn.map((update) => Uint8Array.from(Buffer.from(update, "hex"))) } : step);
  return { found, honest, steps: steps.map(unhex) };
}

/** Fewer and smaller steps that still show a difference of this kind. Without a forger, updates are left out or stay as they are. */
export async function shrink({ honest, steps }, kind, play, seconds = 10) {
  const end = Date.now() + seconds * 1_000;
  let best = steps;
  const fails = async (some) => {
    if (Date.now() > end) return false;
    const difference = await play(some);
    if (difference?.kind !== kind) return false;
    best = some;
    return true;
  };
  let smaller = true;
  while (smaller && Date.now() < end) {
    smaller = await removeSteps(best, fails, () => best);
    for (const change of honest ? [withoutUpdate] : [withoutUpdate, withSmallerUpdate]) {
      for (let at = best.length - 1; at >= 0; at--) {
        for (const turn of change(best[at] ?? {})) {
          if (await fails(best.toSpliced(at, 1, { turn }))) {
            smaller = true;
            break;
          }
        }
      }
    }
  }
  return best;
}

/** Leaves out steps, many at once first. */
async function removeSteps(steps, fails, best) {
  let smaller = false;
  for (let size = steps.length >> 1; size > 0; size >>= 1) {
    for (let at = best().length - size; at >= 0; at -= size) {
      if (await fails(best().toSpliced(at, size))) smaller = true;
    }
  }
  return smaller;
}

/** A turn without one of its updates. */
function* withoutUpdate({ turn = [] }) {
  if (turn.length > 1) for (let at = turn.length - 1; at >= 0; at--) yield turn.toSpliced(at, 1);
}

/** A turn with one of its updates smaller. */
function* withSmallerUpdate({ turn = [] }) {
  for (let at = turn.length - 1; at >= 0; at--) {
    for (const update of smaller(turn[at])) yield turn.toSpliced(at, 1, update);
  }
}

function* smaller(bytes) {
  let update;
  try {
    update = read(bytes);
  } catch {
    return;
  }
  const { clients, deletes } = update;
  for (let at = 0; at < clients.length; at++) {
    yield write({ clients: clients.toSpliced(at, 1), deletes });
    const { blocks: all, ...section } = clients[at];
    const length = all.reduce((sum, block) => sum + block.length, 0);
    const collected = [{ kind: GC, length }];
    if (all.some(({ kind }) => kind !== GC)) {
      yield write({ clients: clients.toSpliced(at, 1, { ...section, blocks: collected }), deletes });
    }
    if (all.length < 2) continue;
    yield write({ clients: clients.toSpliced(at, 1, { ...section, blocks: all.slice(0, -1) }), deletes });
    for (let one = all.length - 2; one > 0; one--) {
      // Elements beside a collected one are collected as well.
      if (all[one].kind === GC) continue;
      const blocks = all.toSpliced(one, 1, { kind: GC, length: all[one].length });
      yield write({ clients: clients.toSpliced(at, 1, { ...section, blocks }), deletes });
    }
    const clock = section.clock + all[0].length;
    yield write({ clients: clients.toSpliced(at, 1, { ...section, clock, blocks: all.slice(1) }), deletes });
  }
  for (let at = 0; at < deletes.length; at++) {
    yield write({ clients, deletes: deletes.toSpliced(at, 1) });
    const { client, ranges } = deletes[at];
    for (let one = 0; ranges.length > 1 && one < ranges.length; one++) {
      yield write({ clients, deletes: deletes.toSpliced(at, 1, { client, ranges: ranges.toSpliced(one, 1) }) });
    }
  }
}
