import { Extension, type Editor } from "@tiptap/core";
import { Plugin, type EditorState, type Transaction } from "@tiptap/pm/state";
import type { EditorView } from "@tiptap/pm/view";
import { ySyncPluginKey } from "@tiptap/y-tiptap";
import type * as Y from "yjs";
import type { DocumentProvider } from "../document.js";
import { RealtimeError } from "../error.js";
import type { Live } from "../live.js";
import type { Anchor } from "../protocol.js";
import type { ThreadsState } from "../threads.js";
import {
  applyTransaction,
  highlightKey,
  highlightsOf,
  INITIAL,
  isShown,
  type HighlightChange,
  type HighlightState,
} from "./highlights.js";
import { PositionMap, type NodeMapping, type Range } from "./positions.js";
import { selectedAnchor, textRange } from "./selected.js";

/** The options of the extension `Comments`. */
export interface CommentsOptions {
  /** The document. Required. */
  provider: DocumentProvider | undefined;
  /** The threads of the document, as `client.threads(room)` and `useThreads` give them. Required. */
  threads: Live<ThreadsState> | undefined;
  /** Called when a click activates a thread, or a click beside all highlights ends that. */
  onActivate: ((thread: string | undefined) => void) | undefined;
}

declare module "@tiptap/core" {
  interface Commands<ReturnType> {
    comments: {
      /** Lets the highlight of a thread stand out; with undefined, none. With `scroll` the window scrolls to it, unless it is visible. */
      activateThread: (thread: string | undefined, options?: { scroll?: boolean }) => ReturnType;
      /** Highlights the selected text while a thread on it is being written; with false, no more. */
      showDraft: (isShown: boolean) => ReturnType;
    };
  }
}

/** The part of the window's height, at each edge, in which a text does not count as visible. */
const EDGE = 0.2;

/** After the last edit of this window the anchors are resolved after that time, in milliseconds: until then highlights are mapped. */
const PAUSE_MS = 250;

/**
 * Draws the text of open threads as highlights, with the styles of `kit.css`. They are decorations: the document does not contain
 * them. They follow all edits. A click on a highlight activates its thread.
 *
 * ```ts
 * useEditor({ extensions: [StarterKit, Realtime.configure({ provider }), Comments.configure({ provider, threads })] });
 * ```
 *
 * @throws {RealtimeError} `invalid`, with the `field`, if one of the options `provider` and `threads` is missing.
 */
export const Comments = Extension.create<CommentsOptions>({
  name: "comments",

  addOptions() {
    return { provider: undefined, threads: undefined, onActivate: undefined };
  },

  addCommands() {
    return {
      activateThread:
        (thread, { scroll = false } = {}) =>
        ({ tr, dispatch, view }) => {
          if (!dispatch) return true;
          change(tr, { active: thread });
          if (scroll && thread !== undefined) requestAnimationFrame(() => scrollTo(view, thread));
          return true;
        },
      showDraft:
        (isShown) =>
        ({ tr, dispatch, state }) => {
          const draft = isShown ? textRange(state) : undefined;
          if (dispatch) change(tr, { draft });
          return !isShown || draft !== undefined;
        },
    };
  },

  addProseMirrorPlugins() {
    const { options } = this;
    const provider = required(options.provider, "provider");
    const threads = required(options.threads, "threads");
    return [
      new Plugin({
        key: highlightKey,
        state: { init: () => INITIAL, apply: applyTransaction },
        props: {
          decorations: (state) => highlightsOf(state).drawn,
          handleClick: (view, position) => {
            const thread = threadAt(highlightsOf(view.state), view, position);
            if (thread === highlightsOf(view.state).active) return false;
            view.dispatch(change(view.state.tr, { active: thread }));
            options.onActivate?.(thread);
            return false;
          },
        },
        view: (view) => new Resolver(view, provider, threads),
      }),
    ];
  },
});

/** Adds a change of the highlights to a transaction, which may have others. */
function change(transaction: Transaction, changes: HighlightChange): Transaction {
  const before = transaction.getMeta(highlightKey) as HighlightChange | undefined;
  return transaction.setMeta(highlightKey, { ...before, ...changes });
}

function required<T>(value: T | undefined, field: string): T {
  if (value !== undefined) return value;
  const message = `the Tiptap extension needs ${field}: Comments.configure({ provider, threads })`;
  throw new RealtimeError("invalid", message, { field });
}

/** The anchor of the selected text, for `threads.create`; undefined, if no text is selected. Blanks at both ends are left out. */
export function anchorOfSelection(editor: Editor): { anchor: Anchor; quote: string } | undefined {
  return selectedAnchor(editor.state, positionsOf(editor.state));
}

/** The thread at a position: of several the one with the shortest text. */
function threadAt({ drawn, places }: HighlightState, view: EditorView, position: number): string | undefined {
  if (drawn.find(position, position).length === 0) return undefined;
  const isDrawn = (thread: string) => elementOf(view, thread) !== null;
  return [...places]
    .filter(([thread, { from, to }]) => from <= position && position <= to && isDrawn(thread))
    .sort(([, a], [, b]) => a.to - a.from - (b.to - b.from))[0]?.[0];
}

function elementOf(view: EditorView, thread: string): HTMLElement | null {
  return view.dom.querySelector<HTMLElement>(`.realtime-highlight[data-thread="${CSS.escape(thread)}"]`);
}

function scrollTo(view: EditorView, thread: string): void {
  if (view.isDestroyed) return;
  const element = elementOf(view, thread);
  if (!element) return;
  const { top, bottom } = element.getBoundingClientRect();
  const edge = document.documentElement.clientHeight * EDGE;
  if (top >= edge && bottom <= document.documentElement.clientHeight - edge) return;
  const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  element.scrollIntoView({ block: "center", behavior: isCalm ? "auto" : "smooth" });
}

interface SyncState {
  readonly doc: Y.Doc;
  readonly type: Y.XmlFragment;
  readonly binding: { readonly mapping: NodeMapping } | null;
}

/** Where the shared types are in the editor's document; undefined while the editor is not bound. */
function positionsOf(state: EditorState): PositionMap | undefined {
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-assertion -- in the CommonJS build the types are of another file
  const sync = ySyncPluginKey.getState(state as never) as SyncState | undefined;
  return sync?.binding ? new PositionMap(sync.doc, sync.type, sync.binding.mapping) : undefined;
}

/**
 * Resolves the anchors of one editor: with the next frame when the threads or somebody else's edits have changed, and after a pause
 * when this window writes, because its own edits are mapped exactly.
 */
class Resolver {
  readonly #view: EditorView;
  readonly #provider: DocumentProvider;
  readonly #threads: Live<ThreadsState>;
  readonly #unsubscribe: () => void;
  #frame: number | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #doc: EditorState["doc"] | undefined;
  #items: ThreadsState["items"];
  /** Whether the highlights may be drawn wrongly, because the binding has replaced the document for an edit of others. */
  #isInexact = false;
  /** Whether the document is complete, so that a text that is not found is gone. */
  #isComplete = false;

  constructor(view: EditorView, provider: DocumentProvider, threads: Live<ThreadsState>) {
    this.#view = view;
    this.#provider = provider;
    this.#threads = threads;
    this.#unsubscribe = threads.subscribe(this.#soon);
    provider.on("change", this.#completed);
    this.#soon();
  }

  update(view: EditorView, before: EditorState): void {
    if (view.state.doc === before.doc) return;
    if (highlightKey.getState(view.state)?.isRemote) {
      this.#isInexact = true;
      this.#soon();
    } else this.#later();
  }

  destroy(): void {
    this.#unsubscribe();
    this.#provider.off("change", this.#completed);
    if (this.#frame !== undefined) cancelAnimationFrame(this.#frame);
    clearTimeout(this.#timer);
  }

  readonly #completed = () => {
    if (!this.#isComplete && this.#provider.synced) this.#soon();
  };

  readonly #later = () => {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#soon, PAUSE_MS);
  };

  readonly #soon = () => {
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = undefined;
      this.#resolve();
    });
  };

  #resolve(): void {
    const view = this.#view;
    const { items } = this.#threads.getSnapshot();
    const isComplete = this.#isComplete || this.#provider.synced;
    const isSame = items === this.#items && view.state.doc === this.#doc && isComplete === this.#isComplete;
    if (view.isDestroyed || !items || isSame) return;
    const map = positionsOf(view.state);
    if (!map) return;
    const places = new Map<string, Range>();
    const orphaned = new Set<string>();
    for (const { id, anchor } of items) {
      if (!anchor) continue;
      const range = map.range(anchor);
      if (range) places.set(id, range);
      else if (isComplete) orphaned.add(id);
    }
    const open = new Set(items.filter(({ status }) => status === "open").map(({ id }) => id));
    this.#isComplete = isComplete;
    this.#items = items;
    this.#doc = view.state.doc;
    if (!this.#isInexact && isShown(view.state, { places, orphaned, open })) return;
    this.#isInexact = false;
    view.dispatch(change(view.state.tr, { places, orphaned, open }));
  }
}
