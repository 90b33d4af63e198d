/** A person who can be mentioned. */
export interface Mentionable {
  readonly id: string;
  readonly name: string;
  /** The colour of the avatar, as `#rrggbb`. Default: the one that the person prefers. */
  readonly color?: string | undefined;
}

/** How many people are offered at once. */
const OFFERED_MAX = 6;

/** An `@` at the beginning of a word, and up to two words after it. */
const MENTION = /(?:^|[\s([{"'])@([^\s@]{0,40}(?: [^\s@]{1,40})?)$/u;

/** The name that is being typed before the caret after an `@`: where it is in the text, and what is typed of it. */
export function mentionAt(text: string, caret: number): { start: number; end: number; query: string } | undefined {
  const query = MENTION.exec(text.slice(0, caret))?.[1];
  return query === undefined ? undefined : { start: caret - query.length - 1, end: caret, query };
}

/** The people whose name, or a word of it, begins with what was typed. */
export function matching(people: readonly Mentionable[], query: string): Mentionable[] {
  const wanted = folded(query);
  const rank = ({ name }: Mentionable) => {
    const known = folded(name);
    if (known.startsWith(wanted)) return 0;
    return known.split(/\s+/).some((word) => word.startsWith(wanted)) ? 1 : 2;
  };
  return people
    .filter((person) => rank(person) < 2)
    .sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name))
    .slice(0, OFFERED_MAX);
}

/** The ids of the people whose names follow an `@` in the text; `chosen` decides between people of the same name. */
export function mentioned(
  text: string,
  people: readonly Mentionable[],
  chosen: ReadonlyMap<string, string> = new Map(),
): string[] {
  const ids = namesIn(text, people).map(({ name }) => chosen.get(name) ?? people.find((one) => one.name === name)?.id);
  return [...new Set(ids.filter((id) => id !== undefined))];
}

/** Where the names of people follow an `@` in the text, in order. Of names that begin alike the longest counts. */
export function namesIn(text: string, people: readonly Mentionable[]): { start: number; end: number; name: string }[] {
  const names = [...new Set(people.map(({ name }) => name))].sort((a, b) => b.length - a.length);
  const found = [];
  for (let start = text.indexOf("@"); start >= 0; start = text.indexOf("@", start + 1)) {
    const name = names.find((name) => text.startsWith(name, start + 1) && isEnd(text, start + 1 + name.length));
    if (name !== undefined && isBeginning(text, start)) found.push({ start, end: start + 1 + name.length, name });
  }
  return found;
}

function isBeginning(text: string, at: number): boolean {
  return !/[\p{L}\p{N}]$/u.test(text.slice(0, at));
}

function isEnd(text: string, at: number): boolean {
  return !/^[\p{L}\p{N}]/u.test(text.slice(at));
}

function folded(text: string): string {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLocaleLowerCase();
}
