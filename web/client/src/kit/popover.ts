import { useCallback, useId, useState, type RefCallback } from "react";

/** How far a popover is from its button and from the edges of the window, in pixels. */
const GAP = 8;

/** In a window of at most that width, in pixels, popovers are as wide as the window. `kit.css` has the same number. */
const NARROW = 480;

/** A popover and the button that opens it. */
export interface Popover {
  readonly isOpen: boolean;
  readonly close: () => void;
  /** For the button. */
  readonly button: { readonly ref: RefCallback<HTMLElement>; readonly "aria-expanded": boolean };
  /** For the popover, which is a later sibling of the button. */
  readonly popover: { readonly ref: RefCallback<HTMLElement>; readonly id: string };
}

/**
 * A popover of the browser below its button. Escape and a click elsewhere close it, and Tab goes from the button into it. Its content
 * is to be drawn only while it is open.
 */
export function usePopover(): Popover {
  const id = useId();
  const [isOpen, setOpen] = useState(false);
  const opens = useCallback((button: HTMLElement | null) => button?.setAttribute("popovertarget", id), [id]);
  const place = useCallback((popover: HTMLElement | null) => {
    // React 18 does not know the attribute and the event.
    popover?.setAttribute("popover", "auto");
    popover?.addEventListener("beforetoggle", (event) => {
      const isOpening = event.newState === "open";
      if (isOpening) placeBelow(popover);
      setOpen(isOpening);
    });
  }, []);
  const close = useCallback(() => document.getElementById(id)?.hidePopover(), [id]);
  return { isOpen, close, button: { ref: opens, "aria-expanded": isOpen }, popover: { ref: place, id } };
}

/** Popovers are in the top layer of the browser, so that the position is computed from that of the button. */
function placeBelow(popover: HTMLElement): void {
  const button = popover.parentElement?.getBoundingClientRect();
  if (!button) return;
  const width = document.documentElement.clientWidth;
  const isNarrow = width <= NARROW;
  const isRight = button.left + button.right > width;
  popover.style.top = `${button.bottom + GAP}px`;
  popover.style.left = isRight && !isNarrow ? "auto" : `${isNarrow ? GAP : button.left}px`;
  popover.style.right = isRight || isNarrow ? `${isNarrow ? GAP : width - button.right}px` : "auto";
  popover.style.maxHeight = `${Math.max(240, window.innerHeight - button.bottom - 2 * GAP)}px`;
}
