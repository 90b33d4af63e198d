import { useEffect, useRef } from "react";
import { hasNavigated } from "./route";

/** Gives the focus to the view that was gone to: where it was before is no more, and it would fall back to the top of the page. */
export function useArrival() {
  const view = useRef<HTMLElement>(null);
  useEffect(() => {
    if (hasNavigated()) view.current?.focus({ preventScroll: true });
  }, []);
  return view;
}
