import { isChangeOrigin } from "@tiptap/extension-collaboration";
import { Plugin, PluginKey, type EditorState, type Transaction } from "@tiptap/pm/state";
import type { EditorView } from "@tiptap/pm/view";
import type { Awareness } from "y-protocols/awareness";
import { people } from "../people.js";
import type { Carets } from "./carets.js";

const key = new PluginKey<{ readonly user: string | undefined }>("realtimeFollow");

/** The keys with which a user scrolls or moves within the text. */
const SCROLL_KEYS = new Set(["PageUp", "PageDown", "Home", "End", "ArrowUp", "ArrowDown"]);

/** The part of the visible height, at each edge, in which a followed caret is not left. */
const EDGE = 0.25;

/** The id of the person whose caret the editor follows, if it follows one. */
export function followed(state: EditorState): string | undefined {
  return key.getState(state)?.user;
}

/** Makes a transaction after which the editor follows a person, or with undefined nobody. */
export function setFollowed(transaction: Transaction, user: string | undefined): Transaction {
  return transaction.setMeta(key, { user });
}

/**
 * Keeps the caret of the followed person visible, until the user scrolls, writes, clicks into the text or presses Escape, or the
 * person leaves.
 */
export function followPlugin(awareness: Awareness, carets: Carets): Plugin {
  return new Plugin({
    key,
    state: {
      init: () => ({ user: undefined as string | undefined }),
      apply(transaction, value) {
        const change = transaction.getMeta(key) as { user: string | undefined } | undefined;
        if (change) return change;
        // Edits of others, and of the undo of this window, come from the shared document.
        const isOwn = transaction.docChanged && !isChangeOrigin(transaction);
        return isOwn && value.user !== undefined ? { user: undefined } : value;
      },
    },
    view: (view) => new Following(view, awareness, carets),
  });
}

/** Scrolls one view along with the person who is followed. */
class Following {
  readonly #view: EditorView;
  readonly #awareness: Awareness;
  readonly #carets: Carets;
  readonly #ended = new AbortController();
  #user: string | undefined;
  #frame: number | undefined;

  constructor(view: EditorView, awareness: Awareness, carets: Carets) {
    this.#view = view;
    this.#awareness = awareness;
    this.#carets = carets;
    awareness.on("change", this.#peopleChanged);
    const options = { signal: this.#ended.signal, capture: true, passive: true };
    window.addEventListener("wheel", this.#stop, options);
    window.addEventListener("touchmove", this.#stop, options);
    window.addEventListener("keydown", this.#pressed, options);
    window.addEventListener("pointerdown", this.#pointed, options);
  }

  update(): void {
    const user = followed(this.#view.state);
    if (user !== this.#user) {
      this.#user = user;
      this.#carets.follow(user);
    }
    if (user === undefined || this.#frame !== undefined) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = undefined;
      if (this.#user !== undefined) show(this.#carets.find(this.#user));
    });
  }

  destroy(): void {
    this.#ended.abort();
    this.#awareness.off("change", this.#peopleChanged);
    if (this.#frame !== undefined) cancelAnimationFrame(this.#frame);
    this.#carets.follow(undefined);
  }

  readonly #stop = () => {
    if (this.#user !== undefined) this.#view.dispatch(setFollowed(this.#view.state.tr, undefined));
  };

  readonly #pressed = ({ key }: KeyboardEvent) => {
    if (key === "Escape" || SCROLL_KEYS.has(key)) this.#stop();
  };

  readonly #pointed = ({ target }: PointerEvent) => {
    // A pointer on the page's scroll bar is on the root element.
    const isOnText = target instanceof Node && this.#view.dom.contains(target);
    if (isOnText || target === document.documentElement) this.#stop();
  };

  readonly #peopleChanged = () => {
    if (this.#user === undefined) return;
    // The person's state is removed with the last window, and with the connection of this one.
    if (people(this.#awareness).every(({ id }) => id !== this.#user)) this.#stop();
  };
}

/** Scrolls to a caret, unless it is in the middle of what is visible. */
function show(caret: HTMLElement | undefined): void {
  if (!caret) return;
  const { top, bottom } = caret.getBoundingClientRect();
  const visible = visiblePart(caret);
  const edge = (visible.bottom - visible.top) * EDGE;
  if (top >= visible.top + edge && bottom <= visible.bottom - edge) return;
  const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  caret.scrollIntoView({ block: "center", inline: "nearest", behavior: isCalm ? "auto" : "smooth" });
}

/** The vertical extent of the visible part of the innermost element that scrolls around a caret. */
function visiblePart(caret: HTMLElement): { top: number; bottom: number } {
  const window = { top: 0, bottom: document.documentElement.clientHeight };
  for (let element = caret.parentElement; element; element = element.parentElement) {
    const isScroller = /auto|scroll|overlay/.test(getComputedStyle(element).overflowY);
    if (!isScroller || element.scrollHeight <= element.clientHeight) continue;
    const { top, bottom } = element.getBoundingClientRect();
    return { top: Math.max(top, window.top), bottom: Math.min(bottom, window.bottom) };
  }
  return window;
}
