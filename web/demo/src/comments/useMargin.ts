import { highlightsOf } from "@realtime-server/client/tiptap";
import { isChangeOrigin } from "@tiptap/extension-collaboration";
import type { Transaction } from "@tiptap/pm/state";
import type { EditorView } from "@tiptap/pm/view";
import type { Editor } from "@tiptap/react";
import { useEffect, type RefObject } from "react";
import { placeThreads, type Card } from "./placeThreads";

/** The element of the thread that is being begun, among those of the others. */
export const DRAFT = "draft";

/** After the last edit of this window, or after it was scrolled, the threads are laid out after that time, in milliseconds. */
const PAUSE_MS = 250;

/**
 * Keeps the threads of the margin at their highlights. Everything is measured and moved at most once a frame, and only when a height
 * or a highlight has changed; while this user types within a line, nothing is. Of the threads that are further away than one height of
 * the window, only the block of their text is measured.
 */
export function useMargin(margin: RefObject<HTMLElement | null>, editor: Editor | undefined, isWide: boolean): void {
  useEffect(() => {
    const { current } = margin;
    if (!current || !editor || !isWide) return;
    let frame: number | undefined;
    const soon = () => {
      frame ??= requestAnimationFrame(() => {
        frame = undefined;
        if (!editor.isDestroyed) layOut(current, editor);
      });
    };
    const sizes = new ResizeObserver(soon);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const later = () => {
      clearTimeout(timer);
      timer = setTimeout(soon, PAUSE_MS);
    };
    sizes.observe(editor.view.dom);
    addEventListener("scroll", later, { passive: true });
    const observe = () => {
      for (const item of itemsOf(current)) sizes.observe(item);
      soon();
    };
    const children = new MutationObserver(observe);
    children.observe(current, { childList: true, subtree: true });
    let { places, active, draft } = highlightsOf(editor.state);
    const transaction = ({ transaction }: { transaction: Transaction }) => {
      const now = highlightsOf(editor.state);
      // A new map is there after each edit. Its threads move with the lines of the text; the resolution of anchors moves them at once.
      if (transaction.docChanged && !isChangeOrigin(transaction)) later();
      else if (now.places !== places || now.active !== active || now.draft !== draft) soon();
      ({ places, active, draft } = now);
    };
    editor.on("transaction", transaction);
    observe();
    return () => {
      editor.off("transaction", transaction);
      removeEventListener("scroll", later);
      clearTimeout(timer);
      sizes.disconnect();
      children.disconnect();
      if (frame !== undefined) cancelAnimationFrame(frame);
      for (const item of itemsOf(current)) item.style.removeProperty("top");
      current.style.removeProperty("min-height");
    };
  }, [margin, editor, isWide]);
}

function itemsOf(margin: HTMLElement): HTMLElement[] {
  return [...margin.querySelectorAll<HTMLElement>("[data-thread]")];
}

function layOut(margin: HTMLElement, editor: Editor): void {
  const { places, active, draft } = highlightsOf(editor.state);
  const items = itemsOf(margin);
  const list = margin.querySelector<HTMLElement>(".realtime-thread-list") ?? margin;
  const { top } = list.getBoundingClientRect();
  const marginTop = margin.getBoundingClientRect().top;
  const topOf = measure(editor.view);
  const cards = items.map((item): Card => {
    const id = item.dataset.thread ?? "";
    const range = id === DRAFT ? draft : places.get(id);
    return { id, wish: range && topOf(range.from) - top, height: item.offsetHeight };
  });
  cards.sort((a, b) => (a.wish ?? Number.MAX_VALUE) - (b.wish ?? Number.MAX_VALUE));
  const tops = placeThreads(cards, draft ? DRAFT : active);
  let end = 0;
  for (const { id, height } of cards) end = Math.max(end, (tops.get(id) ?? 0) + height);
  for (const item of items) {
    // The draft is beside the list, not in it.
    const offset = item.dataset.thread === DRAFT ? top - marginTop : 0;
    const place = `${Math.round((tops.get(item.dataset.thread ?? "") ?? 0) + offset)}px`;
    if (item.style.top !== place) item.style.top = place;
  }
  list.style.minHeight = `${Math.ceil(end)}px`;
}

/** The function that returns where a position is in the window: exactly near the visible part, elsewhere the top of its block. */
function measure(view: EditorView): (position: number) => number {
  const { clientHeight } = document.documentElement;
  const blocks = new Map<number, DOMRect | undefined>();
  const blockAt = (position: number) => {
    const place = view.state.doc.resolve(position);
    if (place.depth === 0) return undefined;
    const start = place.before(1);
    if (!blocks.has(start)) {
      const block = view.nodeDOM(start);
      blocks.set(start, block instanceof Element ? block.getBoundingClientRect() : undefined);
    }
    return blocks.get(start);
  };
  return (position) => {
    const block = blockAt(position);
    const isNear = !block || (block.bottom > -clientHeight && block.top < 2 * clientHeight);
    return isNear ? view.coordsAtPos(position).top : block.top;
  };
}
