import * as Y from "yjs";
import {
  copyName,
  databaseName,
  deleteDatabase,
  FIELDS,
  openDatabase,
  resultOf,
  TITLE,
  UNSENT,
  unsentOf,
  UPDATES,
  type CopyName,
  type Unsent,
} from "../copies/database";

/** A copy with edits that were never sent. */
export interface UnsentCopy extends CopyName, Unsent {
  /** The title of the document, as it was known in this browser; the name of its room where it has none. */
  readonly title: string;
}

/** The copies of this browser with edits that were not sent, except for those that a window has open. */
export async function findUnsentCopies(): Promise<UnsentCopy[]> {
  const [databases, locks] = await Promise.all([
    indexedDB.databases(),
    (navigator.locks as LockManager | undefined)?.query(),
  ]);
  const inUse = new Set(locks?.held?.map(({ name }) => name));
  const found: UnsentCopy[] = [];
  for (const { name } of databases) {
    const copy = name === undefined ? undefined : copyName(name);
    if (!copy || inUse.has(name)) continue;
    const unsent = await readUnsent(databaseName(copy)).catch(() => undefined);
    if (unsent) found.push({ ...copy, ...unsent, title: unsent.title ?? copy.room });
  }
  return found.sort((a, b) => b.since - a.since);
}

/** Deletes a copy with its edits. */
export async function discardCopy(copy: CopyName): Promise<void> {
  await deleteDatabase(databaseName(copy));
}

/** The text of a copy, with a line for each block. */
export async function textOfCopy(copy: CopyName): Promise<string> {
  const database = await openDatabase(databaseName(copy));
  try {
    const stored = await resultOf(
      database.transaction(UPDATES).objectStore(UPDATES).getAll() as IDBRequest<Uint8Array[]>,
    );
    const doc = new Y.Doc();
    for (const update of stored) Y.applyUpdate(doc, update);
    return linesOf(doc.getXmlFragment("default")).join("\n");
  } finally {
    database.close();
  }
}

async function readUnsent(name: string): Promise<(Unsent & { title: string | undefined }) | undefined> {
  const database = await openDatabase(name);
  try {
    if (!database.objectStoreNames.contains(FIELDS)) return undefined;
    const fields = database.transaction(FIELDS).objectStore(FIELDS);
    const [stored, title] = await Promise.all([
      resultOf<unknown>(fields.get(UNSENT)),
      resultOf<unknown>(fields.get(TITLE)),
    ]);
    const unsent = unsentOf(stored);
    return unsent && { ...unsent, title: typeof title === "string" && title !== "" ? title : undefined };
  } finally {
    database.close();
  }
}

function linesOf(parent: Y.XmlFragment): string[] {
  return parent.toArray().flatMap((child) => {
    if (child instanceof Y.XmlText) return [plain(child)];
    return child instanceof Y.XmlElement ? linesOf(child) : [];
  });
}

/** The characters of a text without its formats. */
function plain(text: Y.XmlText): string {
  const delta = text.toDelta() as { insert: unknown }[];
  return delta.map(({ insert }) => (typeof insert === "string" ? insert : "")).join("");
}
