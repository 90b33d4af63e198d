/** A caret on the screen, in pixels, and what its label is to do. */
export interface Spot {
  readonly left: number;
  readonly top: number;
  readonly bottom: number;
  /** Its label: the size, and the lower edge in the lowest place. */
  readonly label: { readonly width: number; readonly height: number; readonly bottom: number };
  /** Why the label is to be open, if it is. */
  readonly wish: "hovered" | "followed" | "moving" | undefined;
  /** When the label was last opened by a move. */
  readonly openedAt: number;
}

/** Where an open label is: to which side of its caret, and how many labels above the lowest place. */
export interface Place {
  readonly side: "left" | "right";
  readonly level: number;
}

/** What labels have to respect: they stay within the text, and do not cover the line in which the user of this window writes. */
export interface Surroundings {
  readonly text: { readonly left: number; readonly right: number };
  readonly own: { readonly top: number; readonly bottom: number } | undefined;
}

interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** The distance between stacked labels. */
const GAP = 1;

/** Carets of a line that are closer than this have their labels stacked when a pointer is on one of them. */
const NEAR = 12;

/** The smallest distance between two flags of a line. */
const FLAG_DISTANCE = 6;

/** The part of a line's height at either edge that a label may cover: there are only accents, or the tails of some letters. */
const MARGIN = 0.25;

/**
 * Where the labels of carets are open; undefined for those that are folded. Labels never overlap each other: the pointer decides
 * first, then who is followed, then who moved last.
 */
export function placeLabels(spots: readonly Spot[], { text, own }: Surroundings): (Place | undefined)[] {
  const places: (Place | undefined)[] = spots.map(() => undefined);
  const taken: Box[] = [];
  const order = wishes(spots);
  for (const { index, level, isForced } of order) {
    const spot = spots[index];
    if (!spot) continue;
    const candidates = (["right", "left"] as const).map((side) => ({ side, level, box: boxOf(spot, side, level) }));
    const fits = ({ box }: { box: Box }) => box.left >= text.left && box.right <= text.right;
    const isFree = ({ box }: { box: Box }) => !taken.some((other) => overlap(box, other));
    const place =
      candidates.find((one) => fits(one) && isFree(one)) ??
      (isForced ? (candidates.find(fits) ?? candidates[0]) : undefined);
    if (!place || (!isForced && own && covers(place.box, own))) continue;
    taken.push(place.box);
    places[index] = { side: place.side, level };
  }
  return places;
}

/** The labels that are to be open, the most important first. Those at a pointer are stacked, and open in any case. */
function wishes(spots: readonly Spot[]): { index: number; level: number; isForced: boolean }[] {
  const hovered = spots.find(({ wish }) => wish === "hovered");
  const cluster = spots
    .map((spot, index) => ({ spot, index }))
    .filter(({ spot }) => hovered && isSameLine(spot, hovered) && Math.abs(spot.left - hovered.left) < NEAR)
    .sort((a, b) => Number(b.spot === hovered) - Number(a.spot === hovered));
  const others = spots
    .map((spot, index) => ({ spot, index }))
    .filter(({ spot, index }) => spot.wish !== undefined && !cluster.some((one) => one.index === index))
    .sort((a, b) => rank(a.spot) - rank(b.spot) || b.spot.openedAt - a.spot.openedAt);
  return [
    ...cluster.map(({ index }, level) => ({ index, level, isForced: true })),
    ...others.map(({ index }) => ({ index, level: 0, isForced: false })),
  ];
}

function rank({ wish }: Spot): number {
  return wish === "followed" ? 0 : 1;
}

/** How far the flag of each caret is moved to the right, so that the flags of carets at nearly the same place are all seen. */
export function flagShifts(spots: readonly Spot[]): number[] {
  const shifts = spots.map(() => 0);
  const sorted = spots.map((spot, index) => ({ spot, index })).sort((a, b) => a.spot.left - b.spot.left);
  const flags: { spot: Spot; at: number }[] = [];
  for (const { spot, index } of sorted) {
    const before = flags.filter((flag) => isSameLine(flag.spot, spot)).at(-1);
    const at = before ? Math.max(spot.left, before.at + FLAG_DISTANCE) : spot.left;
    flags.push({ spot, at });
    shifts[index] = Math.round(at - spot.left);
  }
  return shifts;
}

function boxOf({ left, label: { width, height, bottom: lowest } }: Spot, side: "left" | "right", level: number): Box {
  const bottom = lowest - level * (height + GAP);
  const start = side === "right" ? left - 1 : left + 1 - width;
  return { left: start, right: start + width, top: bottom - height, bottom };
}

function overlap(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

function covers(box: Box, { top, bottom }: { top: number; bottom: number }): boolean {
  const margin = (bottom - top) * MARGIN;
  return box.top < bottom - margin && box.bottom > top + margin;
}

function isSameLine(a: Spot, b: Spot): boolean {
  return a.top < b.bottom && b.top < a.bottom;
}
