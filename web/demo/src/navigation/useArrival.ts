import { useEffect, useRef } from "react";
import { hasNavigated } from "./route";

/** Focuses a view after a navigation. The element that had the focus is gone, so the focus would return to the top of the page. */
export function useArrival() {
  const view = useRef<HTMLElement>(null);
  useEffect(() => {
    if (hasNavigated()) view.current?.focus({ preventScroll: true });
  }, []);
  return view;
}
