import { useSyncExternalStore } from "react";
import { subscribe } from "../navigation/route";

/** The id of the thread that the address names: `?thread=ID`. */
export function useLinkedThread(): string | undefined {
  const query = useSyncExternalStore(subscribe, () => location.search);
  return new URLSearchParams(query).get("thread") ?? undefined;
}
