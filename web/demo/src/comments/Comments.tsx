import type { Anchor, DocumentProvider, NewComment, Thread, Threads as ThreadList } from "@realtime-server/client";
import { Composer, Threads, type Mentionable } from "@realtime-server/client/kit";
import { highlightsOf } from "@realtime-server/client/tiptap";
import { useEditorState, type Editor } from "@tiptap/react";
import {
  memo,
  useCallback,
  useEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
  type FocusEvent,
  type KeyboardEvent,
} from "react";
import { Icon } from "../ui/Icon";
import { useLinkedThread } from "./useLinkedThread";
import { DRAFT, useMargin } from "./useMargin";
import { useMentionable } from "./useMentionable";

/** A comment that is being begun: the text that it is about. */
export interface Draft {
  readonly anchor: Anchor;
  readonly quote: string;
}

interface CommentsProps {
  provider: DocumentProvider;
  threads: ThreadList;
  editor: Editor;
  mayComment: boolean;
  /** Whether there is space beside the text. */
  isWide: boolean;
  draft: Draft | undefined;
  onDraft: (draft: Draft | undefined) => void;
}

/** How many threads are fetched without being asked for. */
const FETCHED_MAX = 300;

/** The comments beside the text, or in a sheet at the lower edge of a narrow window. */
export const Comments = memo(function Comments(props: CommentsProps) {
  const { provider, threads, editor, mayComment, isWide, draft, onDraft } = props;
  const { items, hasMore, isLoadingMore } = useSyncExternalStore(threads.subscribe, threads.getSnapshot);
  const people = useMentionable(provider, items);
  const { active, order, orphaned } = useEditorState({
    editor,
    selector: ({ editor }) => {
      const { active, order, orphaned } = highlightsOf(editor.state);
      return { active, order, orphaned };
    },
  });
  const [isListed, setListed] = useState(false);
  const panel = useRef<HTMLElement>(null);
  useMargin(panel, editor, isWide);
  useEffect(() => {
    if (hasMore && !isLoadingMore && (items?.length ?? 0) < FETCHED_MAX) threads.loadMore();
  }, [threads, items, hasMore, isLoadingMore]);

  const activate = useCallback(
    (thread: string | undefined) => editor.commands.activateThread(thread, { scroll: true }),
    [editor],
  );
  useEffect(() => {
    if (isWide || active === undefined) return;
    // The sheet covers the lower part of the window: the text and the thread are both to be seen.
    const frame = requestAnimationFrame(() => {
      document.querySelector(".realtime-highlight[data-active]")?.scrollIntoView({ block: "start" });
      articleOf(panel.current, active)?.scrollIntoView({ block: "nearest" });
    });
    return () => cancelAnimationFrame(frame);
  }, [isWide, active]);
  const isMissing = useLink({ items, hasMore, isKnown: (id) => order.includes(id) || orphaned.has(id), activate });
  const isOrphaned = useCallback(
    ({ id, orphaned: said }: Thread) => orphaned.has(id) || (said && !order.includes(id)),
    [orphaned, order],
  );
  const compare = useMemo(() => byPlace(order), [order]);
  const end = () => {
    onDraft(undefined);
    editor.commands.showDraft(false);
  };
  const send = async (comment: NewComment) => {
    const thread = await threads.create({ ...comment, ...draft });
    end();
    activate(thread.id);
    // The new thread is drawn with the next frame.
    requestAnimationFrame(() => articleOf(panel.current, thread.id)?.focus({ preventScroll: true }));
  };
  const cancel = () => {
    end();
    editor.view.focus();
  };
  const count = items?.filter(({ status }) => status === "open").length ?? 0;
  const isOpen = isWide ? count > 0 || (items?.length ?? 0) > 0 : isListed || active !== undefined;
  const close = () => {
    setListed(false);
    end();
    activate(undefined);
    editor.view.focus();
  };
  const press = ({ key }: KeyboardEvent) => {
    if (key === "Escape") close();
  };
  const show = ({ target }: FocusEvent) => {
    // No window can be scrolled to a thread above the upper edge; as the active one it is beside its text.
    const item = target.closest<HTMLElement>("li[data-thread]");
    if (isWide && item && item.offsetTop < 0) activate(item.dataset.thread);
  };
  if (!isWide && !isOpen && !draft) {
    if (!items || (items.length === 0 && !isMissing)) return null;
    return (
      <button type="button" className="button comments-opener" onClick={() => setListed(true)}>
        <Icon name="comment" />
        Comments {count}
      </button>
    );
  }
  return (
    <aside
      ref={panel}
      className={isWide ? "comments-margin" : "comments-sheet"}
      data-used={isOpen || draft !== undefined || isMissing}
      aria-label="Comments"
      onKeyDown={press}
      onFocus={show}
    >
      {!isWide && (
        <button type="button" className="icon-button comments-close" aria-label="Close the comments" onClick={close}>
          <Icon name="close" />
        </button>
      )}
      {isMissing && (
        <p role="status" className="problem">
          The comment of this link was deleted.
        </p>
      )}
      {draft && <NewThread draft={draft} people={people} onSend={send} onCancel={cancel} />}
      {isOpen && (
        <Threads
          {...{ threads, people, mayComment, active, isOrphaned, compare }}
          aria-label="Threads"
          onActivate={activate}
        />
      )}
    </aside>
  );
});

interface NewThreadProps {
  draft: Draft;
  people: readonly Mentionable[];
  onSend: (comment: NewComment) => Promise<unknown>;
  onCancel: () => void;
}

/** The thread that is being begun. */
function NewThread({ draft, people, onSend, onCancel }: NewThreadProps) {
  return (
    <div className="realtime-thread comments-draft" data-thread={DRAFT} data-active>
      <blockquote className="realtime-thread-quote">{draft.quote}</blockquote>
      <Composer label="Comment" sendLabel="Comment" people={people} focused onSend={onSend} onCancel={onCancel} />
    </div>
  );
}

/** The order of the text; threads without a place in it come last, the newest first. */
function byPlace(order: readonly string[]): (a: Thread, b: Thread) => number {
  const places = new Map(order.map((id, index) => [id, index]));
  const placeOf = ({ id }: Thread) => places.get(id) ?? Infinity;
  return (a, b) => (placeOf(a) === placeOf(b) ? 0 : placeOf(a) - placeOf(b));
}

interface Link {
  items: readonly Thread[] | undefined;
  hasMore: boolean;
  /** Whether it is known where the text of a thread is, or that it is gone. */
  isKnown: (thread: string) => boolean;
  activate: (thread: string) => void;
}

/** Activates the thread that the address names, once. Returns whether there is no such thread. */
function useLink({ items, hasMore, isKnown, activate }: Link): boolean {
  const linked = useLinkedThread();
  const done = useRef<string>(undefined);
  const thread = items?.find(({ id }) => id === linked);
  const isReady = thread !== undefined && (isKnown(thread.id) || thread.anchor === undefined);
  useEffect(() => {
    if (linked === undefined) done.current = undefined;
    if (linked === undefined || !isReady || done.current === linked) return;
    done.current = linked;
    activate(linked);
    requestAnimationFrame(() => articleOf(document, linked)?.scrollIntoView({ block: "nearest" }));
  }, [linked, isReady, activate]);
  return linked !== undefined && items !== undefined && !hasMore && !thread;
}

function articleOf(around: ParentNode | null, thread: string): HTMLElement | null {
  return around?.querySelector<HTMLElement>(`li[data-thread="${CSS.escape(thread)}"] article`) ?? null;
}
