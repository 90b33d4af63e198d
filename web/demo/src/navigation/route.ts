import { useSyncExternalStore } from "react";

/**
 * What the address stands for: the list, or one document. `team` is that of the document, if the address names it. `thread` is the id
 * of the thread of comments that is to be shown.
 */
export type Route =
  | { readonly view: "list" }
  | {
      readonly view: "document";
      readonly room: string;
      readonly team: string | undefined;
      readonly thread?: string | undefined;
    };

/** The event of `navigate`, because the browser reports only steps back and forward, as `popstate`. */
const NAVIGATED = "navigated";

let isFirst = true;
addEventListener("popstate", () => (isFirst = false));

/** Whether the user came from another view, and not by opening the page. */
export function hasNavigated(): boolean {
  return !isFirst;
}

/** The route of the address; renders again when it changes. */
export function useRoute(): Route {
  const query = useSyncExternalStore(subscribe, () => location.search);
  const parameters = new URLSearchParams(query);
  const read = (name: string) => parameters.get(name) ?? "";
  const [room, team, thread] = [read("document"), read("team") || undefined, read("thread") || undefined];
  return room === "" ? { view: "list" } : { view: "document", room, team, thread };
}

/** The address of a route. It differs from the page's only in its query, so that any static server can serve it. */
export function addressOf(route: Route): string {
  if (route.view === "list") return location.pathname;
  const team = route.team === undefined ? "" : `team=${encodeURIComponent(route.team)}&`;
  const thread = route.thread === undefined ? "" : `&thread=${encodeURIComponent(route.thread)}`;
  return `${location.pathname}?${team}document=${encodeURIComponent(route.room)}${thread}`;
}

/** Goes to a route. With `focusText` the text gets the focus, because the user is going to write. */
export function navigate(route: Route, { focusText = false } = {}): void {
  isFirst = false;
  history.pushState({ focusText }, "", addressOf(route));
  scrollTo(0, 0);
  dispatchEvent(new Event(NAVIGATED));
}

/** Whether `navigate` was called with `focusText` for this entry of the history. True only once. */
export function takeFocusRequest(): boolean {
  const state: unknown = history.state;
  const isRequested = typeof state === "object" && state !== null && "focusText" in state && state.focusText === true;
  if (isRequested) history.replaceState({ focusText: false }, "");
  return isRequested;
}

/** Calls `changed` after each change of the address, until the returned function is called. */
export function subscribe(changed: () => void): () => void {
  addEventListener("popstate", changed);
  addEventListener(NAVIGATED, changed);
  return () => {
    removeEventListener("popstate", changed);
    removeEventListener(NAVIGATED, changed);
  };
}
