import { highlightsOf } from "@realtime-server/client/tiptap";
import type { Editor } from "@tiptap/react";
import { useEffect, type RefObject } from "react";
import { placeThreads, type Card } from "./placeThreads";

/** The element of the thread that is being begun, among those of the others. */
export const DRAFT = "draft";

/**
 * Keeps the threads of the margin at their highlights. Everything is measured and moved at most once a frame, and only when a height
 * or a highlight has changed; typing within a line moves nothing.
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
    sizes.observe(editor.view.dom);
    const observe = () => {
      for (const item of itemsOf(current)) sizes.observe(item);
      soon();
    };
    const children = new MutationObserver(observe);
    children.observe(current, { childList: true, subtree: true });
    let { places, active, draft } = highlightsOf(editor.state);
    const changed = () => {
      const now = highlightsOf(editor.state);
      // A new map is there after each edit, but only its resolution, or another active thread, moves threads.
      if (now.places !== places || now.active !== active || now.draft !== draft) soon();
      ({ places, active, draft } = now);
    };
    const transaction = ({ transaction }: { transaction: { docChanged: boolean } }) => {
      if (!transaction.docChanged) changed();
    };
    editor.on("transaction", transaction);
    observe();
    return () => {
      editor.off("transaction", transaction);
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
  const cards = items.map((item): Card => {
    const id = item.dataset.thread ?? "";
    const range = id === DRAFT ? draft : places.get(id);
    const wish = range && editor.view.coordsAtPos(range.from).top - top;
    return { id, wish, height: item.offsetHeight };
  });
  cards.sort((a, b) => (a.wish ?? Number.MAX_VALUE) - (b.wish ?? Number.MAX_VALUE));
  const tops = placeThreads(cards, draft ? DRAFT : active);
  let end = 0;
  for (const { id, height } of cards) end = Math.max(end, (tops.get(id) ?? 0) + height);
  for (const item of items) {
    // The draft is beside the list, not in it.
    const offset = item.dataset.thread === DRAFT ? top - marginTop : 0;
    item.style.top = `${Math.round((tops.get(item.dataset.thread ?? "") ?? 0) + offset)}px`;
  }
  list.style.minHeight = `${Math.ceil(end)}px`;
}
