import type { ActivityEntry } from "../protocol.js";
import { statusLabel } from "./workflow-words.js";

/** What somebody did, in the words that follow the name of the person: “renamed [Plan] to “Launch plan””. */
export interface Deed {
  /** The words before the document. */
  readonly before: string;
  /** The title of the document as it is to be named in the sentence; undefined if the entry is about none. */
  readonly document: string | undefined;
  /** The words after it; empty if there are none. */
  readonly after: string;
  /** What the person wrote, or the text that a comment is about. */
  readonly quote?: string | undefined;
}

/** The verbs of the server whose sentences are the verb and the document. */
const PLAIN = ["created", "edited", "restored"];

/** The verbs of comments, and the words that lead to the document. */
const COMMENTS: Readonly<Record<string, string>> = {
  commented: "commented on",
  replied: "replied to a comment on",
  resolved: "resolved a comment on",
  reopened: "reopened a comment on",
};

/**
 * The words for an entry of the activity.
 *
 * @param title The present title of the document, if it is known.
 * @param formerTitle The title that it had before this entry, if it is known.
 */
export function deedOf({ verb, room, subject = {} }: ActivityEntry, title?: string, formerTitle?: string): Deed {
  const document = room === undefined ? undefined : (title ?? text(subject, "title") ?? "a document");
  const simple = { before: verb.replaceAll("_", " "), document, after: "" };
  if (PLAIN.includes(verb)) return simple;
  if (verb === "deleted") return { before: "moved", document, after: "to the trash" };
  if (verb === "renamed") {
    const named = text(subject, "title");
    const former = formerTitle ?? "a document";
    if (named === undefined) return { before: "removed the title of", document: former, after: "" };
    return { before: "renamed", document: former, after: `to “${named}”` };
  }
  if (verb === "moved") {
    const [from, to] = [text(subject, "from"), text(subject, "to")];
    const after = from === undefined || to === undefined ? "" : `from ${statusLabel(from)} to ${statusLabel(to)}`;
    return { before: "moved", document, after, quote: text(subject, "note") };
  }
  const before = Object.hasOwn(COMMENTS, verb) ? COMMENTS[verb] : undefined;
  return before === undefined ? simple : { before, document, after: "", quote: text(subject, "quote") };
}

/** The titles that documents had before their entries `renamed`, as far as earlier entries have them, by the ids of the entries. */
export function formerTitles(entries: readonly ActivityEntry[]): ReadonlyMap<string, string> {
  const titles = new Map<string, string>();
  const former = new Map<string, string>();
  for (const { id, verb, room, subject = {} } of [...entries].reverse()) {
    if (room === undefined || (verb !== "created" && verb !== "renamed")) continue;
    const before = titles.get(room);
    if (verb === "renamed" && before !== undefined) former.set(id, before);
    const title = text(subject, "title");
    if (title === undefined) titles.delete(room);
    else titles.set(room, title);
  }
  return former;
}

/** Names of days: “Today”, “Yesterday”, or a date. Both times are milliseconds since 1970. */
export function dayOf(moment: number, now: number): string {
  const day = new Date(moment).toDateString();
  if (day === new Date(now).toDateString()) return "Today";
  const yesterday = new Date(now);
  yesterday.setDate(yesterday.getDate() - 1);
  if (day === yesterday.toDateString()) return "Yesterday";
  return new Intl.DateTimeFormat("en", { dateStyle: "full" }).format(moment);
}

function text(subject: Record<string, unknown>, name: string): string | undefined {
  const value = subject[name];
  return typeof value === "string" && value !== "" ? value : undefined;
}
