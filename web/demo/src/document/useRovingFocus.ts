import { useEffect, type FocusEvent, type KeyboardEvent, type RefObject } from "react";

/**
 * Makes the buttons of a toolbar one stop of the tab key: the button that had the focus last, initially the first one, and again when
 * the toolbar has another `layout`.
 */
export function useRovingFocus(toolbar: RefObject<HTMLElement | null>, leave: () => void, layout: unknown) {
  useEffect(() => {
    const [first] = buttonsOf(toolbar.current);
    if (first) makeStop(toolbar.current, first);
  }, [toolbar, layout]);

  const onFocus = ({ target }: FocusEvent) => {
    if (target instanceof HTMLButtonElement) makeStop(toolbar.current, target);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const buttons = buttonsOf(toolbar.current);
    const at = buttons.findIndex((button) => button === document.activeElement);
    if (at < 0) return;
    if (event.key === "Escape") {
      leave();
      return;
    }
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    buttons.at(to % buttons.length)?.focus();
  };
  return { onFocus, onKeyDown };
}

function makeStop(toolbar: HTMLElement | null, stop: HTMLButtonElement): void {
  for (const button of buttonsOf(toolbar)) button.tabIndex = button === stop ? 0 : -1;
}

function buttonsOf(toolbar: HTMLElement | null): HTMLButtonElement[] {
  return [...(toolbar?.querySelectorAll<HTMLButtonElement>("button.tool") ?? [])];
}
