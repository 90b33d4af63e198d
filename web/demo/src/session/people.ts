import { isIdentity, type Identity } from "./identity";

/** The people of this browser, so that each keeps the same id, and with it the copies and unsent edits. */
const PEOPLE_KEY = "people";

/** The id of the person of a window whose address names nobody. */
const DEFAULT_KEY = "person";

/** The id of the person of this window, for reloads. */
const WINDOW_KEY = "identity";

/** The people who have used this browser. */
export function knownPeople(): Identity[] {
  const people = read(() => localStorage, PEOPLE_KEY);
  return Array.isArray(people) ? people.filter(isIdentity) : [];
}

/** The person of that id; undefined if nobody of this browser has it. */
export function personById(id: unknown): Identity | undefined {
  return knownPeople().find((person) => person.id === id);
}

/** The person of that name and team, who was here last. */
export function personByName(name: string): Identity | undefined {
  return knownPeople().findLast((person) => person.name === name);
}

/** The person whom this window had before it was loaded again. */
export function windowPerson(): Identity | undefined {
  const stored = read(() => sessionStorage, WINDOW_KEY);
  // Earlier versions of the page stored the whole identity.
  return isIdentity(stored) ? stored : personById(stored);
}

/** The person of a new window. */
export function defaultPerson(): Identity | undefined {
  return personById(read(() => localStorage, DEFAULT_KEY));
}

/** Remembers a person for this window, and for the browser. With `isDefault`, new windows begin with that person as well. */
export function rememberPerson(person: Identity, { isDefault }: { isDefault: boolean }): void {
  const others = knownPeople().filter(({ id }) => id !== person.id);
  write(() => localStorage, PEOPLE_KEY, [...others, person]);
  write(() => sessionStorage, WINDOW_KEY, person.id);
  if (isDefault) write(() => localStorage, DEFAULT_KEY, person.id);
}

/** Whether new windows begin with that person. */
export function isDefaultPerson({ id }: Identity): boolean {
  return read(() => localStorage, DEFAULT_KEY) === id;
}

function read(storage: () => Storage, key: string): unknown {
  try {
    return JSON.parse(storage().getItem(key) ?? "null") as unknown;
  } catch {
    return undefined;
  }
}

function write(storage: () => Storage, key: string, value: unknown): void {
  try {
    storage().setItem(key, JSON.stringify(value));
  } catch {
    // Without storage a person lasts until the next reload.
  }
}
