// Valid updates of few bytes that cost an unprotected server seconds of processor time, or hundreds of megabytes.

import { TYPE, text, type, update, values } from "./blocks.mjs";

/** The client id of the content that the attacks build upon. */
export const BASE = 1;
const FIRST = 100;
const MARK = "x";

/** The places of attacks: the content that must exist, the place in it, and an element there. */
const PLACES = {
  "the start of a text": { base: [], place: { root: "text" }, element: (place) => text(place, MARK) },
  "a place within a text": {
    base: [text({ root: "text" }, "ab")],
    place: { left: [BASE, 0], right: [BASE, 1] },
    element: (place) => text(place, MARK),
  },
  "the start of a list": { base: [], place: { root: "array" }, element: (place) => values(place, 1) },
  "a place within a list": {
    base: [values({ root: "array" }, 1, 2)],
    place: { left: [BASE, 0], right: [BASE, 1] },
    element: (place) => values(place, 1),
  },
  "one key of a map": { base: [], place: { root: "map", key: "k" }, element: (place) => values(place, 1) },
  "a list within a list": {
    base: [type({ root: "array" }, TYPE.array), values({ inside: [BASE, 0] }, 1, 2)],
    place: { left: [BASE, 1] },
    element: (place) => values(place, 1),
  },
};

const base = (blocks) => (blocks.length > 0 ? [{ client: BASE, clock: 0, blocks }] : []);

/** `count` elements of as many clients from `first` on, all at one place. Yjs and yrs take higher clients first. */
function crowd(first, count, block) {
  return Array.from({ length: count }, (_, at) => ({ client: first + count - at, clock: 0, blocks: [block] }));
}

/** Many elements of different clients at one place, in an update of their own, and many more there. */
export function crowds(before, more) {
  const attacks = {};
  for (const [name, { base: blocks, place, element }] of Object.entries(PLACES)) {
    const block = element(place);
    attacks[`many elements at ${name}`] = [
      update([...crowd(FIRST, before, block), ...base(blocks)]),
      update(crowd(FIRST + before, more, block)),
    ];
  }
  return attacks;
}

/** The same, made by two clients only: the second one's elements go behind all of the first one's. */
export function pairs(before, more) {
  const attacks = {};
  for (const [name, { base: blocks, place, element }] of Object.entries(PLACES)) {
    const block = element(place);
    const by = (client, count) => ({ client, clock: 0, blocks: Array.from({ length: count }, () => block) });
    attacks[`many elements of two clients at ${name}`] = [
      update([by(FIRST, before), ...base(blocks)]),
      update([by(FIRST + 1, more)]),
    ];
  }
  return attacks;
}

/** `before` elements at one place by one client, then `times` updates of `few` elements each by others. */
export function fewAtATime(before, few, times) {
  const block = text({ root: "text" }, MARK);
  const by = (client, count) => update([{ client, clock: 0, blocks: Array.from({ length: count }, () => block) }]);
  return [by(FIRST, before), ...Array.from({ length: times }, (_, at) => by(FIRST + 1 + at, few))];
}

/** A chain, each element of another client behind the one before, and many more elements behind the first. */
export function chains(before, more) {
  const attacks = {};
  const kinds = {
    text: [{ root: "text" }, (place) => text(place, MARK)],
    list: [{ root: "array" }, (place) => values(place, 1)],
  };
  for (const [name, [root, element]] of Object.entries(kinds)) {
    const links = Array.from({ length: before }, (_, at) => {
      const left = at === 0 ? [BASE, 0] : [FIRST + at - 1, 0];
      return { client: FIRST + at, clock: 0, blocks: [element({ left })] };
    });
    attacks[`a chain in a ${name} and many elements behind its first`] = [
      update([...links.reverse(), { client: BASE, clock: 0, blocks: [element(root)] }]),
      update(crowd(FIRST + before, more, element({ left: [BASE, 0] }))),
    ];
  }
  const place = { root: "map", key: "k" };
  const links = Array.from({ length: before }, (_, at) => {
    const block = values(at === 0 ? place : { left: [FIRST + at - 1, 0] }, 1);
    return { client: FIRST + at, clock: 0, blocks: [block] };
  });
  attacks["a chain of one key's values and many that begin anew"] = [
    update(links.reverse()),
    update(crowd(FIRST + before, more, values(place, 1))),
  ];
  return attacks;
}

/** A text of `length` characters by one client. */
export function longText(length) {
  return update([{ client: BASE, clock: 0, blocks: [text({ root: "text" }, "x".repeat(length))] }]);
}

/** The deletion of every second element of `client` from `from` to `to`. */
export function alternateDeletions(client, from, to) {
  const ranges = [];
  for (let clock = from; clock < to; clock += 2) ranges.push([clock, 1]);
  return update([], [[client, ...ranges]]);
}

/** `count` elements of as many clients, each an entry of its own in the state vector. */
export function strangers(first, count) {
  return update(crowd(first, count, text({ root: "t" }, MARK)));
}
