import { ObservableV2 } from "lib0/observable";
import type { ServerEvents } from "./protocol.js";

/** The listeners by event. */
type Listeners = { [E in keyof ServerEvents]: (payload: ServerEvents[E]) => void };

/** The events of the server for those who have subscribed, and the id of the last one. */
export class Channels {
  readonly #listeners = new ObservableV2<Listeners>();
  #lastEventId: number | undefined;

  /** The id of the last event that is kept by the server; after a reconnect it sends what came later. */
  get lastEventId(): number | undefined {
    return this.#lastEventId;
  }

  /** Calls `listener` with the payload of each event of that name, until the returned function is called. */
  subscribe<E extends keyof ServerEvents>(event: E, listener: (payload: ServerEvents[E]) => void): () => void {
    // A listener that is added twice is called twice.
    const called = ((payload: ServerEvents[E]) => listener(payload)) as Listeners[E];
    this.#listeners.on(event, called);
    return () => this.#listeners.off(event, called);
  }

  /** Tells those who have subscribed of an event. */
  received<E extends keyof ServerEvents>(event: E, payload: ServerEvents[E]): void {
    const id = eventId(payload);
    // The events of rooms may come later than others.
    if (id !== undefined) this.#lastEventId = Math.max(id, this.#lastEventId ?? 0);
    this.#listeners.emit(event, [payload] as unknown as Parameters<Listeners[E]>);
  }

  /** Begins with the events of a session: those before it were sent, or are lost. */
  connected(lastEventId: number): void {
    this.#lastEventId = lastEventId;
  }

  destroy(): void {
    this.#listeners.destroy();
  }
}

function eventId(payload: unknown): number | undefined {
  if (typeof payload !== "object" || payload === null || !("event_id" in payload)) return undefined;
  return typeof payload.event_id === "number" ? payload.event_id : undefined;
}

/** The payload of an event without its id. */
export function withoutId<T extends { event_id: number }>(payload: T): Omit<T, "event_id"> {
  const { ...rest }: Omit<T, "event_id"> & { event_id?: number } = payload;
  delete rest.event_id;
  return rest;
}
