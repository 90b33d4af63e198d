import { useSyncExternalStore } from "react";

/** How long a message stays. After that, screen readers read the same message again. */
const STAYS_MS = 5_000;

let message = "";
let timer: ReturnType<typeof setTimeout> | undefined;
const listeners = new Set<() => void>();

/** Lets screen readers read a text as soon as they have finished what they are reading. */
export function announce(text: string): void {
  clearTimeout(timer);
  timer = setTimeout(() => put(""), STAYS_MS);
  put(text);
}

/** The region for announcements. It exists once and always, because screen readers do not read regions that are added later. */
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
