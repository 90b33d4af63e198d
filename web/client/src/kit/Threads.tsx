import { useMemo, useState, useSyncExternalStore, type HTMLAttributes, type KeyboardEvent } from "react";
import type { Thread } from "../protocol.js";
import type { Threads as ThreadList } from "../threads.js";
import { Composer, reasonOfAny } from "./Composer.js";
import type { Mentionable } from "./ComposerMentions.js";
import { useKnownConnection } from "./hooks.js";
import {} from "./ThreadsBody.js";
import { useNow } from "./time.js";
import { CommentItem, type ThreadContext } from "./ThreadsComment.js";

/** The properties of `Threads`; others are passed to its outer element. */
export interface ThreadsProps extends HTMLAttributes<HTMLElement> {
  /** The threads, as `useThreads` gives them. */
  threads: ThreadList;
  /** The people who can be mentioned, and whose names stand out in comments. */
  people: readonly Mentionable[];
  /** Whether the user may comment: with the permission `comment`, `review`, `edit` or `manage`. */
  mayComment: boolean;
  /** The id of the thread that is open for work. */
  active: string | undefined;
  /** Called when the user activates a thread, or with undefined ends that. */
  onActivate: (thread: string | undefined) => void;
  /** Whether the text of a thread is gone. Default: what the server said last; an editor knows it at any time. */
  isOrphaned?: ((thread: Thread) => boolean) | undefined;
  /** The order of the threads. Default: the newest first. */
  compare?: ((a: Thread, b: Thread) => number) | undefined;
}

const FILTERS = { open: "Open", resolved: "Resolved" } as const;

/**
 * The threads of comments on a document, open or resolved ones. The active one shows all its comments and what can be done with it.
 * Arrow keys move between threads, Enter activates one, Escape ends that. Its styles are in `kit.css`.
 */
export function Threads({
  threads,
  people,
  mayComment,
  active,
  onActivate,
  isOrphaned = ({ orphaned }) => orphaned,
  compare,
  className,
  ...rest
}: ThreadsProps) {
  const {
    items = [],
    hasMore,
    isLoadingMore,
    error,
  } = useSyncExternalStore(threads.subscribe, threads.getSnapshot, threads.getSnapshot);
  const [filter, setFilter] = useFilter(items, active);
  const [problem, setProblem] = useState<{ thread: string; text: string }>();
  const connection = useKnownConnection();
  const now = useNow();
  const shown = useMemo(() => {
    const found = items.filter(({ status }) => status === filter);
    return compare ? found.sort(compare) : found;
  }, [items, filter, compare]);
  const contextOf = (thread: string): ThreadContext => ({
    ...{ threads, people, mayComment, now },
    self: connection?.user.id,
    team: connection?.team ?? "",
    attempt: (deed, action) => {
      setProblem(undefined);
      action().catch((error: unknown) => setProblem({ thread, text: `Could not ${deed}: ${reasonOfAny(error)}` }));
    },
  });
  const press = (event: KeyboardEvent<HTMLOListElement>) => moveFocus(event, active, onActivate);
  // One thread is a stop of the Tab key.
  const stop = shown.some(({ id }) => id === active) ? active : shown[0]?.id;
  return (
    <section aria-label="Comments" {...rest} className={["realtime-threads", className].filter(Boolean).join(" ")}>
      <div className="realtime-threads-filter" role="group" aria-label="Which comments">
        {(["open", "resolved"] as const).map((status) => (
          <button
            key={status}
            type="button"
            aria-pressed={status === filter}
            onClick={() => {
              setFilter(status);
              if (status !== filter) onActivate(undefined);
            }}
          >
            {FILTERS[status]} {items.filter((thread) => thread.status === status).length}
            {hasMore && "+"}
          </button>
        ))}
      </div>
      {error && (
        <p role="alert" className="realtime-problem">
          The comments could not be read: {reasonOfAny(error)}
        </p>
      )}
      {shown.length === 0 && !error && (
        <p className="realtime-threads-empty">{filter === "open" ? "No open comments." : "No resolved comments."}</p>
      )}
      <ol className="realtime-thread-list" onKeyDown={press}>
        {shown.map((thread) => (
          <li key={thread.id} data-thread={thread.id}>
            <ThreadItem
              thread={thread}
              context={contextOf(thread.id)}
              isActive={thread.id === active}
              isStop={thread.id === stop}
              isOrphaned={isOrphaned(thread)}
              problem={problem?.thread === thread.id ? problem.text : undefined}
              onActivate={onActivate}
            />
          </li>
        ))}
      </ol>
      {hasMore && (
        <button type="button" className="realtime-button" disabled={isLoadingMore} onClick={threads.loadMore}>
          Show more
        </button>
      )}
    </section>
  );
}

/** Whether open or resolved threads are shown. It is changed when a thread of the other kind is activated. */
function useFilter(items: readonly Thread[], active: string | undefined) {
  const [filter, setFilter] = useState<Thread["status"]>("open");
  const [shown, setShown] = useState<string>();
  const thread = items.find(({ id }) => id === active);
  if (thread?.id !== shown) {
    setShown(thread?.id);
    if (thread) setFilter(thread.status);
  }
  return [filter, setFilter] as const;
}

/** Moves the focus between threads by the arrow keys; Escape ends the work on the active one. */
function moveFocus(
  event: KeyboardEvent<HTMLOListElement>,
  active: string | undefined,
  onActivate: ThreadsProps["onActivate"],
): void {
  const { target, currentTarget, key } = event;
  if (!(target instanceof HTMLElement)) return;
  const articles = [...currentTarget.querySelectorAll<HTMLElement>("article")];
  const article = target.closest("article");
  if (key === "Escape" && active !== undefined) {
    event.stopPropagation();
    onActivate(undefined);
    article?.focus();
    return;
  }
  if (target !== article) return;
  const at = articles.indexOf(article);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: articles.length - 1 }[key];
  if (to === undefined) return;
  event.preventDefault();
  articles[Math.max(0, Math.min(to, articles.length - 1))]?.focus();
}

interface ThreadItemProps {
  thread: Thread;
  context: ThreadContext;
  isActive: boolean;
  isStop: boolean;
  isOrphaned: boolean;
  problem: string | undefined;
  onActivate: ThreadsProps["onActivate"];
}

function ThreadItem({ thread, context, isActive, isStop, isOrphaned, problem, onActivate }: ThreadItemProps) {
  const { threads, mayComment, attempt, people } = context;
  const { id, quote, status, comments } = thread;
  const present = comments.filter(({ deleted_at }) => deleted_at === undefined);
  const [first] = present;
  const shown = isActive ? comments : first ? [first] : [];
  const isOpen = status === "open";
  const hidden = present.length - 1;
  const answers = hidden === 1 ? "1 reply" : `${hidden} replies`;
  const about = quote === undefined ? "on the document" : `on “${quote.slice(0, 80)}”`;
  const label = `Comment of ${first?.author.name ?? thread.created_by.name} ${about}${hidden > 0 ? `, ${answers}` : ""}`;
  return (
    <article
      className="realtime-thread"
      data-active={isActive || undefined}
      data-orphaned={isOrphaned || undefined}
      aria-label={label}
      aria-current={isActive || undefined}
      tabIndex={isStop ? 0 : -1}
      onClick={() => !isActive && onActivate(id)}
      onKeyDown={({ key, target, currentTarget }) => {
        if (key === "Enter" && target === currentTarget) onActivate(id);
      }}
    >
      {isOrphaned && <p className="realtime-thread-orphaned">The text of this comment was deleted:</p>}
      {quote !== undefined && <blockquote className="realtime-thread-quote">{quote}</blockquote>}
      {shown.map((comment) => (
        <CommentItem key={comment.id} comment={comment} context={context} isActive={isActive} />
      ))}
      {!isActive && hidden > 0 && <p className="realtime-thread-replies">{answers}</p>}
      {problem !== undefined && (
        <p role="alert" className="realtime-problem">
          {problem}
        </p>
      )}
      {isActive && mayComment && (
        <>
          <Composer
            label={isOpen ? "Reply" : "Reply, and open it again"}
            sendLabel="Reply"
            people={people}
            onSend={(comment) => threads.reply(id, comment)}
          />
          <button
            type="button"
            className="realtime-button realtime-thread-resolve"
            onClick={({ currentTarget }) => {
              const list = currentTarget.closest(".realtime-threads");
              const done = () => {
                onActivate(undefined);
                // It is no longer in this list, and the focus must not be lost with it.
                requestAnimationFrame(() => list?.querySelector<HTMLElement>("article, button")?.focus());
              };
              if (isOpen) attempt("resolve it", () => threads.resolve(id).then(done));
              else attempt("open it again", () => threads.reopen(id).then(done));
            }}
          >
            {isOpen ? "Resolve" : "Open again"}
          </button>
        </>
      )}
    </article>
  );
}
