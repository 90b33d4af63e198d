import type { Live } from "./live.js";

/** Whether two values count as the same. */
export type Equality<S> = (a: S, b: S) => boolean;

/** A part of a live value, which stays the same object until it changes. */
export class Selection<T, S> {
  readonly #live: Live<T>;
  #last: { readonly value: T; readonly select: (value: T) => S; readonly selected: S } | undefined;

  constructor(live: Live<T>) {
    this.#live = live;
  }

  /** The part that `select` takes from the present value: the former result, if `isEqual` says that it is the same. */
  read(select: (value: T) => S, isEqual: Equality<S>): S {
    const value = this.#live.getSnapshot();
    const last = this.#last;
    if (last?.value === value && last.select === select) return last.selected;
    const now = select(value);
    const selected = last && isEqual(last.selected, now) ? last.selected : now;
    this.#last = { value, select, selected };
    return selected;
  }
}

/** Whether two values are the same, or two arrays have the same elements, or two plain objects the same properties. */
export function isShallowEqual(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (!isPlain(a) || !isPlain(b) || Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  return keys.every((key) => Object.hasOwn(b, key) && Object.is(a[key], b[key]));
}

function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  return Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
}
