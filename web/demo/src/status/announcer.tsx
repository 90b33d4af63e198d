import { useEffect, useRef, useSyncExternalStore } from "react";

/** How long a message stays, so that the same one later is read out again. */
const STAYS_MS = 5_000;

/** How long a status has to last before it is read out: typing changes it many times a second. */
const SETTLED_MS = 1_000;

let message = "";
let timer: ReturnType<typeof setTimeout> | undefined;
const listeners = new Set<() => void>();

/** Lets screen readers say something when they have a moment. */
export function announce(text: string): void {
  clearTimeout(timer);
  timer = setTimeout(() => put(""), STAYS_MS);
  put(text);
}

/** Announces a status once it has settled, and only where it is another one than before. */
export function useAnnouncement(text: string): void {
  const last = useRef("");
  useEffect(() => {
    const settled = setTimeout(() => {
      if (text === last.current) return;
      last.current = text;
      announce(text);
    }, SETTLED_MS);
    return () => clearTimeout(settled);
  }, [text]);
}

/** Where announcements are made. There is one, and it is always there: regions that come and go are not read out. */
export function Announcer() {
  const text = useSyncExternalStore(subscribe, () => message);
  return (
    <div role="status" aria-live="polite" className="visually-hidden" data-testid="announcer">
      {text}
    </div>
  );
}

function put(text: string): void {
  message = text;
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
