import { useSyncExternalStore } from "react";

const wide = matchMedia("(min-width: 1100px)");

/** Whether there is space for threads beside the text, with the same limit as the styles. */
export function useWide(): boolean {
  return useSyncExternalStore(subscribe, () => wide.matches);
}

function subscribe(changed: () => void): () => void {
  wide.addEventListener("change", changed);
  return () => wide.removeEventListener("change", changed);
}
