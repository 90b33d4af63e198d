import { useSyncExternalStore } from "react";

/** What the address shows: the list, or one document. */
export type Route = { readonly view: "list" } | { readonly view: "document"; readonly room: string };

/** Told to `popstate` listeners of this page, because the browser tells of going back and forward only. */
const NAVIGATED = "navigated";

let isFirst = true;
addEventListener("popstate", () => (isFirst = false));

/** Whether one came here from another view, and not by opening the page. */
export function hasNavigated(): boolean {
  return !isFirst;
}

/** The route of the address; renders again when it changes. */
export function useRoute(): Route {
  const room = useSyncExternalStore(subscribe, readRoom);
  return room === undefined ? { view: "list" } : { view: "document", room };
}

/** The address of a route, relative to the page: any static server can serve it. */
export function addressOf(route: Route): string {
  if (route.view === "list") return location.pathname;
  return `${location.pathname}?document=${encodeURIComponent(route.room)}`;
}

/** Goes to a route. `begin` says that the person is there to write: the text takes the focus. */
export function navigate(route: Route, { begin = false } = {}): void {
  isFirst = false;
  history.pushState({ begin }, "", addressOf(route));
  scrollTo(0, 0);
  dispatchEvent(new Event(NAVIGATED));
}

/** Whether this entry of the history was made by someone who wants to write. Says so once. */
export function takeBegin(): boolean {
  const state: unknown = history.state;
  const begins = typeof state === "object" && state !== null && "begin" in state && state.begin === true;
  if (begins) history.replaceState({ begin: false }, "");
  return begins;
}

function readRoom(): string | undefined {
  const room = new URLSearchParams(location.search).get("document");
  return room === null || room === "" ? undefined : room;
}

function subscribe(changed: () => void): () => void {
  addEventListener("popstate", changed);
  addEventListener(NAVIGATED, changed);
  return () => {
    removeEventListener("popstate", changed);
    removeEventListener(NAVIGATED, changed);
  };
}
