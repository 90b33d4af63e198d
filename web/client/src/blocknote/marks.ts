import { Plugin, PluginKey, type EditorState, type Transaction } from "@tiptap/pm/state";
import type { EditorView } from "@tiptap/pm/view";
import { ySyncPluginKey } from "y-prosemirror";
import type * as Y from "yjs";
import type { DocumentProvider } from "../document.js";
import { mayWrite } from "../may-write.js";
import type { Anchor, Thread } from "../protocol.js";
import type { Threads } from "../threads.js";
import { PositionMap, type NodeMapping } from "../tiptap/positions.js";
import { selectedAnchor } from "../tiptap/selected.js";

/** The name of BlockNote's mark, which has the attributes `threadId` and `orphan`. */
const MARK = "comment";

/**
 * After that time a thread without a mark gets one, in milliseconds. Until then the window in which it was begun has marked it, if that
 * window may edit and shows BlockNote.
 */
const ABSENT_MS = 2_000;

/** On the transactions of this file. */
const key = new PluginKey("realtimeThreadMarks");

/** The binding's own key. In the CommonJS build its type is of another file. */
const SYNC = ySyncPluginKey as unknown as PluginKey<unknown>;

interface SyncState {
  readonly doc: Y.Doc;
  readonly type: Y.XmlFragment;
  readonly binding: { readonly mapping: NodeMapping } | null;
}

/** Keeps BlockNote's marks of threads in the document of one editor. */
export class ThreadMarks {
  readonly #provider: DocumentProvider;
  readonly #threads: Threads;
  #view: EditorView | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(provider: DocumentProvider, threads: Threads) {
    this.#provider = provider;
    this.#threads = threads;
  }

  /** The plugin of the editor. It ends with its view, and begins again with the next one. */
  plugin(): Plugin {
    return new Plugin({
      key,
      filterTransaction: (transaction) => this.#admits(transaction),
      view: (view) => {
        this.#view = view;
        const unsubscribe = this.#threads.subscribe(this.#later);
        this.#provider.on("change", this.#later);
        this.#later();
        return {
          destroy: () => {
            unsubscribe();
            this.#provider.off("change", this.#later);
            clearTimeout(this.#timer);
            this.#timer = undefined;
            this.#view = undefined;
          },
        };
      },
    });
  }

  /** The anchor of the selected text; undefined without one. */
  selected(): { anchor: Anchor; quote: string } | undefined {
    const state = this.#view?.state;
    return state && selectedAnchor(state, positionsOf(state));
  }

  /** Marks the texts of threads, where they are now, if the user may edit. Undo does not take it back. */
  write(threads: readonly Thread[]): void {
    const view = this.#view;
    const map = view && positionsOf(view.state);
    const type = view?.state.schema.marks[MARK];
    if (!view || !map || !type || !mayWrite(this.#provider.state)) return;
    const { tr } = view.state;
    for (const { id, anchor, status } of threads) {
      const range = anchor && map.range(anchor);
      if (range) tr.addMark(range.from, range.to, type.create({ threadId: id, orphan: status === "resolved" }));
    }
    if (tr.docChanged) view.dispatch(tr.setMeta(key, true).setMeta("addToHistory", false));
  }

  /**
   * BlockNote's extension changes the marks of threads that are resolved or that it does not know. It may do so only when all threads
   * have been fetched, because it would take the others for deleted ones, and only with the right to edit.
   */
  #admits(transaction: Transaction): boolean {
    const isOwn = transaction.getMeta(key) !== undefined;
    const isFromOthers = transaction.getMeta(SYNC) !== undefined;
    if (!transaction.docChanged || isOwn || isFromOthers || !hasOnlyMarks(transaction)) return true;
    return this.#isComplete && mayWrite(this.#provider.state);
  }

  get #isComplete(): boolean {
    const { items, hasMore } = this.#threads.getSnapshot();
    return items !== undefined && !hasMore;
  }

  readonly #later = (): void => {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#writeAbsent();
    }, ABSENT_MS);
  };

  /** Marks the open threads that were begun without the right to edit, or by a program without BlockNote. */
  #writeAbsent(): void {
    const view = this.#view;
    const { items } = this.#threads.getSnapshot();
    if (!view || !items || !this.#isComplete || !this.#provider.synced) return;
    const marked = new Set<unknown>();
    view.state.doc.descendants(({ marks }) => {
      for (const { type, attrs } of marks) if (type.name === MARK) marked.add(attrs.threadId);
    });
    const absent = items.filter(({ id, anchor, status }) => anchor && status === "open" && !marked.has(id));
    if (absent.length > 0) this.write(absent);
  }
}

/** Whether a transaction changes nothing but marks of threads. */
function hasOnlyMarks({ steps }: Transaction): boolean {
  return steps.every((step) => {
    const { stepType, mark } = step.toJSON() as { stepType?: unknown; mark?: { type?: unknown } };
    return (stepType === "addMark" || stepType === "removeMark") && mark?.type === MARK;
  });
}

/** Where the shared types are in the editor's document; undefined while the editor is not bound. */
function positionsOf(state: EditorState): PositionMap | undefined {
  const sync = SYNC.getState(state) as SyncState | undefined;
  return sync?.binding ? new PositionMap(sync.doc, sync.type, sync.binding.mapping) : undefined;
}
