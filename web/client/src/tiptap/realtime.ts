import { Extension, type Command, type Editor } from "@tiptap/core";
import { Collaboration } from "@tiptap/extension-collaboration";
import { Plugin, type EditorState } from "@tiptap/pm/state";
import type { EditorView } from "@tiptap/pm/view";
import { yCursorPlugin, yUndoPluginKey } from "@tiptap/y-tiptap";
import type { UndoManager } from "yjs";
import type { DocumentProvider } from "../document.js";
import { RealtimeError } from "../error.js";
import { mayWrite } from "../may-write.js";
import { Carets } from "./carets.js";
import { followPlugin, setFollowed } from "./follow.js";

/** The options of the extension `Realtime`. */
export interface RealtimeOptions {
  /** The document. Required. An editor belongs to one provider: create a new editor for another one. */
  provider: DocumentProvider | undefined;
  /** The name of the content within the document, as in `doc.getXmlFragment(name)`. Default: `default`. */
  field: string;
  /** `rights`: the editor is editable exactly while the user may write. `application`: you call `editor.setEditable` yourself. */
  editable: "rights" | "application";
}

declare module "@tiptap/core" {
  interface Commands<ReturnType> {
    realtime: {
      /**
       * Scrolls to the caret of the person with this id, and along with it until the user scrolls, writes, clicks into the text or
       * presses Escape, or the person leaves. False if it is the user of this window.
       */
      follow: (user: string) => ReturnType;
      /** Ends `follow`. */
      unfollow: () => ReturnType;
    };
  }
}

/** Extensions that cannot be used with others on one document: an undo that takes back their edits, and a writer without a user. */
const UNSUITABLE = new Set(["undoRedo", "trailingNode"]);

/**
 * Everything that an editor needs for a live document, in one extension:
 *
 * - the text is that of the provider's document, and undo takes back only the user's own edits;
 * - the carets and selections of others are shown, with `carets.css`, and can be followed;
 * - the editor is read-only without the right to write, from the first moment on;
 * - the undo history is cleared when the provider has built the document again, since it is invalid then.
 *
 * It switches off those parts of the starter kit that cannot be used with others: its undo, and the line that it keeps at the end of
 * the text, which it would write for viewers as well.
 *
 * ```ts
 * useEditor({ extensions: [StarterKit, Realtime.configure({ provider })] });
 * ```
 *
 * @throws {RealtimeError} `invalid`, with the field `provider`, if the option is missing.
 */
export const Realtime = Extension.create<RealtimeOptions>({
  name: "realtime",
  // Commands of a lower priority replace those of the same name: here undo and redo, if the starter kit has its own.
  priority: 10,

  addOptions() {
    return { provider: undefined, field: "default", editable: "rights" };
  },

  addExtensions() {
    const { provider, field } = this.options;
    return [Collaboration.configure({ document: required(provider).doc, field })];
  },

  onBeforeCreate() {
    const { editor, options } = this;
    editor.extensionManager.extensions = editor.extensionManager.extensions.filter(({ name }) => !UNSUITABLE.has(name));
    if (options.editable === "rights") editor.options.editable = mayWrite(required(options.provider).state);
  },

  addCommands() {
    return {
      undo: history("undo"),
      redo: history("redo"),
      follow:
        (user) =>
        ({ tr, dispatch }) => {
          if (user === required(this.options.provider).client.connection?.user.id) return false;
          if (dispatch) setFollowed(tr, user);
          return true;
        },
      unfollow:
        () =>
        ({ tr, dispatch }) => {
          if (dispatch) setFollowed(tr, undefined);
          return true;
        },
    };
  },

  addProseMirrorPlugins() {
    const { editor, options } = this;
    const provider = required(options.provider);
    const carets = new Carets(provider.doc, provider.awareness);
    return [
      yCursorPlugin(provider.awareness, { cursorBuilder: carets.draw, selectionBuilder: carets.select }) as Plugin,
      new Plugin({ view: carets.watch }),
      followPlugin(provider.awareness, carets),
      new Plugin({ view: (view) => watchProvider(provider, editor, view, options.editable) }),
    ];
  },
});

function required(provider: DocumentProvider | undefined): DocumentProvider {
  if (provider) return provider;
  const message = "the Tiptap extension needs a provider: Realtime.configure({ provider })";
  throw new RealtimeError("invalid", message, { field: "provider" });
}

/** A command that takes back, or repeats, the last edit of this user. */
function history(direction: "undo" | "redo"): () => Command {
  return () =>
    ({ tr, state, dispatch }) => {
      // The edit comes back from the shared document as a transaction of its own.
      tr.setMeta("preventDispatch", true);
      const manager = undoManagerOf(state);
      const stack = direction === "undo" ? manager?.undoStack : manager?.redoStack;
      if (!manager || !stack || stack.length === 0) return false;
      if (dispatch) manager[direction]();
      return true;
    };
}

function undoManagerOf(state: EditorState): UndoManager | undefined {
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-assertion -- in the CommonJS build the types are of another file
  const plugin = yUndoPluginKey.getState(state as never) as { undoManager: UndoManager } | undefined;
  return plugin?.undoManager;
}

/** Keeps one view in step with its provider: the right to write, and the undo history. */
function watchProvider(
  provider: DocumentProvider,
  editor: Editor,
  view: EditorView,
  editable: RealtimeOptions["editable"],
) {
  const check = () => {
    const may = mayWrite(provider.state);
    if (view.isDestroyed || editable === "application" || editor.options.editable === may) return;
    editor.setEditable(may, false);
    // What is drawn may depend on it, such as a placeholder.
    view.dispatch(view.state.tr);
  };
  const forget = () => undoManagerOf(view.state)?.clear();
  provider.on("change", check);
  provider.on("rebuilt", forget);
  // The editor may have been made long before its view. A view cannot be updated while it is being made.
  queueMicrotask(check);
  return {
    destroy: () => {
      provider.off("change", check);
      provider.off("rebuilt", forget);
    },
  };
}
