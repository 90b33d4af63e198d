import { FIELDS, openDatabase, resultOf, written } from "../copies/database";
import { isIdentity, type Identity } from "./identity";

/** The people of this browser, so that each keeps the same id, and with it the copies and unsent edits. */
const PEOPLE_KEY = "people";

/** The id of the person of a window whose address names nobody. */
const DEFAULT_KEY = "person";

/** The id of the person of this window, for reloads. */
const WINDOW_KEY = "identity";

/** The database that has the people as well. */
const BACKUP = "realtime-people";

/** How long the page waits for it, in milliseconds: browsers sometimes never answer. */
const RESTORE_TIMEOUT_MS = 1_000;

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
  void backUp().catch(() => undefined);
}

/**
 * Brings back people who are not in the local storage. A browser writes that seconds later, so that a crash may lose it; the database
 * is written at once. To be called before anything asks who this window is.
 */
export async function restorePeople(): Promise<void> {
  const tooLong = new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), RESTORE_TIMEOUT_MS));
  const stored = await Promise.race([readBackup(), tooLong]).catch(() => undefined);
  const people = Array.isArray(stored?.people) ? stored.people.filter(isIdentity) : [];
  const known = knownPeople();
  const lost = people.filter(({ id }) => !known.some((person) => person.id === id));
  if (lost.length > 0) write(() => localStorage, PEOPLE_KEY, [...lost, ...known]);
  if (stored?.person !== undefined && !defaultPerson()) write(() => localStorage, DEFAULT_KEY, stored.person);
}

async function backUp(): Promise<void> {
  const database = await openDatabase(BACKUP);
  const transaction = database.transaction(FIELDS, "readwrite", { durability: "strict" });
  const fields = transaction.objectStore(FIELDS);
  fields.put(knownPeople(), PEOPLE_KEY);
  fields.put(
    read(() => localStorage, DEFAULT_KEY),
    DEFAULT_KEY,
  );
  await written(transaction);
  database.close();
}

async function readBackup(): Promise<{ people: unknown; person: unknown }> {
  const database = await openDatabase(BACKUP);
  const fields = database.transaction(FIELDS).objectStore(FIELDS);
  const [people, person] = await Promise.all([
    resultOf<unknown>(fields.get(PEOPLE_KEY)),
    resultOf<unknown>(fields.get(DEFAULT_KEY)),
  ]);
  database.close();
  return { people, person: person ?? undefined };
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
