import { useEffect, useRef } from "react";
import { hasNavigated } from "./route";

/** Focuses a view after a navigation: the element with the focus was removed, and the focus would fall back to the top of the page. */
export function useArrival() {
  const view = useRef<HTMLElement>(null);
  useEffect(() => {
    if (hasNavigated()) view.current?.focus({ preventScroll: true });
  }, []);
  return view;
}
