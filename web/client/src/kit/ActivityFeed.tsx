import { useRef, useState, type HTMLAttributes, type MouseEvent } from "react";
import type { ActivityQuery } from "../activity.js";
import { preferredColor } from "../color.js";
import type { ActivityEntry } from "../protocol.js";
import { useActivity, useConnection } from "../react.js";
import { dayOf, deedOf, formerTitles } from "./activity-words.js";
import { Avatar } from "./Avatar.js";
import { Time } from "./Time.js";
import { useNow } from "./time.js";
import { useHeldEntries } from "./useHeldEntries.js";

/** What the sentences of a feed say and lead to. */
interface ActivityLinks {
  /** The present title of the document of a room, if it is known. */
  titleOf?: ((room: string) => string | undefined) | undefined;
  /** The address of the document of an entry. Without it, documents are named only. */
  hrefOf?: ((entry: ActivityEntry) => string | undefined) | undefined;
  /** Called when the document of an entry is opened in this window, instead of loading its address. */
  onOpen?: ((entry: ActivityEntry) => void) | undefined;
}

/** The properties of `ActivityFeed`; others are passed to its outer element. */
export interface ActivityFeedProps extends ActivityQuery, ActivityLinks, HTMLAttributes<HTMLDivElement> {}

/**
 * What happened in the team, or to the document of `room`, or by `actor`, in sentences, grouped by day, the newest first. While the
 * reader has scrolled down, new entries wait behind a button. Its styles are in `kit.css`.
 */
export function ActivityFeed({ room, actor, titleOf, hrefOf, onOpen, className, ...rest }: ActivityFeedProps) {
  const { items, error, hasMore, isLoadingMore, loadMore } = useActivity({ room, actor });
  const team = useConnection().connection?.team ?? "";
  const now = useNow();
  const list = useRef<HTMLDivElement>(null);
  const [isReading, setReading] = useState(false);
  const { shown, waiting } = useHeldEntries(items ?? [], isReading);
  const former = formerTitles(items ?? []);
  const showNew = () => {
    setReading(false);
    if (list.current) list.current.scrollTop = 0;
    list.current?.focus({ preventScroll: true });
  };
  return (
    <div {...rest} className={["realtime-activity", className].filter(Boolean).join(" ")}>
      {error && error.code !== "disconnected" && (
        <p className="realtime-problem">{`The activity cannot be listed: ${error.message}`}</p>
      )}
      {!items && !error && <p className="realtime-note">Loading…</p>}
      {items?.length === 0 && <p className="realtime-note">Nothing has happened here in the last 90 days.</p>}
      <span role="status">
        {waiting > 0 && (
          <button type="button" className="realtime-button realtime-activity-new" onClick={showNew}>
            {waiting === 1 ? "Show 1 new entry" : `Show ${waiting} new entries`}
          </button>
        )}
      </span>
      {shown.length > 0 && (
        <div
          ref={list}
          className="realtime-activity-list"
          role="region"
          aria-label="Activity"
          tabIndex={0}
          onScroll={({ currentTarget }) => setReading(currentTarget.scrollTop > 0)}
        >
          {daysOf(shown, now).map(({ day, entries }) => (
            <section key={day} aria-label={day}>
              <h3>{day}</h3>
              <ol>
                {entries.map((entry) => (
                  <Entry key={entry.id} {...{ entry, former, team, now, titleOf, hrefOf, onOpen }} />
                ))}
              </ol>
            </section>
          ))}
          {hasMore && (
            <button type="button" className="realtime-button" aria-disabled={isLoadingMore} onClick={loadMore}>
              {isLoadingMore ? "Loading…" : "Show more"}
            </button>
          )}
        </div>
      )}
    </div>
  );
}

interface EntryProps extends ActivityLinks {
  entry: ActivityEntry;
  /** The titles before the entries `renamed`, by the ids of these. */
  former: ReadonlyMap<string, string>;
  team: string;
  now: number;
}

function Entry({ entry, former, team, now, titleOf, hrefOf, onOpen }: EntryProps) {
  const { id, actor, room, at } = entry;
  const title = room === undefined ? undefined : titleOf?.(room);
  const { before, document, after, quote } = deedOf(entry, title, former.get(id));
  const href = hrefOf?.(entry);
  const open = (event: MouseEvent) => {
    if (!onOpen || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    onOpen(entry);
  };
  const name = document === "a document" ? document : `“${document}”`;
  return (
    <li>
      <Avatar name={actor.name} color={preferredColor(team, actor.id)} />
      <div>
        <p>
          <b>{actor.name}</b> {before}
          {document !== undefined && " "}
          {document !== undefined && (href === undefined ? name : <Link {...{ href, name, open }} />)}
          {after !== "" && ` ${after}`}
        </p>
        {quote !== undefined && <q className="realtime-activity-note">{quote}</q>} <Time at={at} now={now} />
      </div>
    </li>
  );
}

function Link({ href, name, open }: { href: string; name: string; open: (event: MouseEvent) => void }) {
  return (
    <a href={href} onClick={open}>
      {name}
    </a>
  );
}

/** The entries by their days, in the order of the entries. */
function daysOf(entries: readonly ActivityEntry[], now: number): { day: string; entries: ActivityEntry[] }[] {
  const days = new Map<string, ActivityEntry[]>();
  for (const entry of entries) {
    const day = dayOf(Date.parse(entry.at), now);
    const others = days.get(day);
    if (others) others.push(entry);
    else days.set(day, [entry]);
  }
  return [...days].map(([day, among]) => ({ day, entries: among }));
}
