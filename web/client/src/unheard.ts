import type { RealtimeError } from "./error.js";
import { wasAwaited } from "./wait.js";

/** An object with events, such as those of lib0. */
interface Observable {
  readonly _observers: ReadonlyMap<string, ReadonlySet<unknown>>;
}

/** Whether anybody listens to one of these events. */
export function isListenedTo({ _observers: observers }: Observable, ...events: string[]): boolean {
  return events.some((event) => (observers.get(event)?.size ?? 0) > 0);
}

/**
 * Writes an error to the console if nobody listens to it and no promise has rejected with it, so that a program does not hang without a reason. It waits for the end
 * of the current task, in which the application may still begin to listen.
 */
export function reportUnheard(subject: string, error: RealtimeError, isHeard: () => boolean): void {
  // Whoever listens now may not listen any more when the task has ended.
  if (isHeard()) return;
  setTimeout(() => {
    if (!wasAwaited(error) && !isHeard()) console.error(`${subject}: ${error.message} (${error.code})`);
  }, 0);
}
