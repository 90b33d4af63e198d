/** What a paste left out: how often, by its name in the singular. */
export type LeftOut = Map<string, number>;

/** Notes that something was left out. */
export function counted(leftOut: LeftOut, name: string, count = 1): void {
  leftOut.set(name, (leftOut.get(name) ?? 0) + count);
}

/** What was left out, in one sentence; undefined if that is nothing. */
export function leftOutText(leftOut: LeftOut): string | undefined {
  const parts = [...leftOut].filter(([, count]) => count > 0).map(([name, count]) => amount(count, name));
  return parts.length === 0 ? undefined : `The paste left out: ${parts.join(", ")}.`;
}

/** `1 picture`, `2 pictures`; the plural is that of the first word: `2 pictures that could not be read`. */
export function amount(count: number, name: string): string {
  if (count === 1) return `1 ${name}`;
  return `${count} ${name.replace(/^((?:embedded |form |hidden |cell |border |font (?=size))?)(\w+)/, (_all, adjective: string, noun: string) => `${adjective}${noun}s`)}`;
}
