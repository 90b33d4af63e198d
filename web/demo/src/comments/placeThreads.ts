/** A thread in the margin, in pixels. */
export interface Card {
  readonly id: string;
  /** Where its highlight begins; undefined without one. */
  readonly wish: number | undefined;
  readonly height: number;
}

/** The space between two threads, in pixels. */
const GAP = 10;

/**
 * Where threads are in the margin: at their highlights, without overlapping. The active one has its exact place, and the others make
 * room for it: those before it may be above the upper edge, at negative places. Threads without a highlight are below all others.
 */
export function placeThreads(cards: readonly Card[], active: string | undefined): Map<string, number> {
  const placed = cards.filter((card) => card.wish !== undefined);
  const tops = placed.map(({ wish = 0 }) => wish);
  const fixed = placed.findIndex(({ id }) => id === active);
  if (fixed < 0 && placed.length > 0) tops[0] = Math.max(0, tops[0] ?? 0);
  pushDown(placed, tops, Math.max(0, fixed));
  pushUp(placed, tops, fixed);
  const last = placed.length - 1;
  let end = last < 0 ? 0 : (tops[last] ?? 0) + (placed[last]?.height ?? 0) + GAP;
  const places = new Map(placed.map(({ id }, index) => [id, tops[index] ?? 0]));
  for (const { id, wish, height } of cards) {
    if (wish !== undefined) continue;
    places.set(id, end);
    end += height + GAP;
  }
  return places;
}

function pushDown(cards: readonly Card[], tops: number[], from: number): void {
  for (let index = from + 1; index < cards.length; index += 1) {
    const end = (tops[index - 1] ?? 0) + (cards[index - 1]?.height ?? 0) + GAP;
    tops[index] = Math.max(tops[index] ?? 0, end);
  }
}

function pushUp(cards: readonly Card[], tops: number[], from: number): void {
  for (let index = from - 1; index >= 0; index -= 1) {
    const top = (tops[index + 1] ?? 0) - (cards[index]?.height ?? 0) - GAP;
    tops[index] = Math.min(tops[index] ?? 0, top);
  }
}
