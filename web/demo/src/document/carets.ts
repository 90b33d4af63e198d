import { Extension } from "@tiptap/core";
import { Plugin } from "@tiptap/pm/state";
import type { EditorView } from "@tiptap/pm/view";
import type { Awareness } from "y-protocols/awareness";
import { readableOn, safeColor } from "../ui/contrast";

/** How long the name at a caret is shown after a move. */
const LABEL_MS = 2_500;

/** The field `user` of an awareness state. The states of others may contain any value. */
type CaretUserFields = Record<string, unknown>;

/** When the carets of people moved last, by user id. It is needed because carets are also drawn again without a move. */
const movedAt = new Map<string, number>();

const timers = new WeakMap<Element, ReturnType<typeof setTimeout>>();

/** Draws the caret of a person: a line without width, and a label above it. */
export function renderCaret(user: CaretUserFields): HTMLElement {
  const { id, name, color } = { id: textOf(user.id), name: textOf(user.name), color: safeColor(user.color) };
  const caret = document.createElement("span");
  caret.className = "caret";
  // Screen readers would read the name as part of the sentence. The people in the document are listed above the text.
  caret.ariaHidden = "true";
  caret.dataset.user = id;
  caret.style.setProperty("--person", color);
  caret.style.setProperty("--on-person", readableOn(color));
  const label = document.createElement("span");
  label.className = "caret-label";
  label.textContent = name === "" ? "Someone" : name;
  caret.append(label);
  showLabel(caret, (movedAt.get(id) ?? 0) + LABEL_MS - Date.now());
  return caret;
}

/** Draws the selection of a person. */
export function renderSelection(user: CaretUserFields) {
  return { class: "others-selection", style: `--person: ${safeColor(user.color)}` };
}

/** Shows the label of a caret for a while after it has moved. */
export const CaretLabels = Extension.create<{ awareness: Awareness | undefined }>({
  name: "caretLabels",

  addOptions() {
    return { awareness: undefined };
  },

  addProseMirrorPlugins() {
    const { awareness } = this.options;
    return awareness ? [new Plugin({ view: (view) => watchMoves(awareness, view) })] : [];
  },
});

interface Change {
  added: number[];
  updated: number[];
}

function watchMoves(awareness: Awareness, view: EditorView) {
  const cursors = new Map<number, string>();
  const note = ({ added, updated }: Change) => {
    for (const client of [...added, ...updated]) {
      if (client === awareness.clientID) continue;
      const state = awareness.getStates().get(client);
      const cursor = JSON.stringify(state?.cursor ?? null);
      if (cursor === cursors.get(client)) continue;
      cursors.set(client, cursor);
      moved(view, idOf(state?.user));
    }
  };
  awareness.on("change", note);
  return { destroy: () => awareness.off("change", note) };
}

function moved(view: EditorView, user: string): void {
  movedAt.set(user, Date.now());
  // A caret is not drawn again if its place in the tree stays the same, for example when text was inserted before it.
  for (const caret of view.dom.querySelectorAll<HTMLElement>(".caret")) {
    if (caret.dataset.user === user) showLabel(caret, LABEL_MS);
  }
}

function showLabel(caret: HTMLElement, milliseconds: number): void {
  clearTimeout(timers.get(caret));
  if (milliseconds <= 0) return;
  caret.dataset.moved = "";
  timers.set(
    caret,
    setTimeout(() => delete caret.dataset.moved, milliseconds),
  );
  requestAnimationFrame(() => keepInside(caret));
}

/** Puts a label to the left of its caret if it would otherwise be wider than the text on the right. */
function keepInside(caret: HTMLElement): void {
  const [label, text] = [caret.firstElementChild, caret.closest(".ProseMirror")];
  if (!label || !text) return;
  const room = text.getBoundingClientRect().right - caret.getBoundingClientRect().left;
  caret.toggleAttribute("data-flipped", label.getBoundingClientRect().width > room);
}

function idOf(user: unknown): string {
  return typeof user === "object" && user !== null && "id" in user ? textOf(user.id) : "";
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
