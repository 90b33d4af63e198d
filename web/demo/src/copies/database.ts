/** The stores of a copy, with the names that y-indexeddb uses, so that copies made by it stay readable. */
export const UPDATES = "updates";
export const FIELDS = "custom";

/** The field of a copy that says that it has edits which the server lacks. */
export const UNSENT = "unsent";

/** The field of a copy with the title of its document, which is absent or empty if it has none. */
export const TITLE = "title";

/** What a copy says of edits that were not sent. */
export interface Unsent {
  /** When the first of them was made, in milliseconds since 1970. */
  readonly since: number;
  /** How many words they have. */
  readonly words: number;
}

const PREFIX = "realtime/";

/** Whose copy of which document it is. */
export interface CopyName {
  readonly team: string;
  readonly user: string;
  readonly room: string;
}

/** The name of a copy's database. */
export function databaseName({ team, user, room }: CopyName): string {
  return `${PREFIX}${team}/${user}/${room}`;
}

/** Reads the name of a database; undefined if it is none of a copy. */
export function copyName(database: string): CopyName | undefined {
  const [, team, user, room] = /^realtime\/([^/]+)\/([^/]+)\/(.+)$/s.exec(database) ?? [];
  return team !== undefined && user !== undefined && room !== undefined ? { team, user, room } : undefined;
}

/** Opens the database of a copy, and creates it if there is none. */
export function openDatabase(name: string): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(UPDATES, { autoIncrement: true });
      request.result.createObjectStore(FIELDS);
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(causeOf(request.error));
    request.onblocked = () => reject(new Error("the copy is open in another version of the page"));
  });
}

/** The value of a request when it has succeeded. */
export function resultOf<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(causeOf(request.error));
  });
}

/** Resolves when the browser has confirmed that everything in the transaction is written. */
export function written(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(causeOf(transaction.error));
  });
}

/** Deletes the database of a copy. */
export function deleteDatabase(name: string): Promise<unknown> {
  return resultOf(indexedDB.deleteDatabase(name));
}

/** What a field says of unsent edits; undefined if there are none. */
export function unsentOf(value: unknown): Unsent | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { since, words } = value as Record<string, unknown>;
  return typeof since === "number" && typeof words === "number" ? { since, words } : undefined;
}

function causeOf(error: DOMException | null): Error {
  return error ?? new Error("the browser's database does not answer");
}
