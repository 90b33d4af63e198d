import { Backoff } from "./backoff.js";
import type { RealtimeClient } from "./client.js";
import { RealtimeError } from "./error.js";
import { LiveValue } from "./live.js";

/** What every list that is read by pages has in common. Every change makes a new object; an object never changes. */
export interface PagesState<T> {
  /** Undefined until the first answer. */
  readonly items: readonly T[] | undefined;
  /** Whether there are further items, which `loadMore` fetches. */
  readonly hasMore: boolean;
  readonly isLoadingMore: boolean;
  /** Why the list could not be fetched. It is fetched again after a reconnect. */
  readonly error: RealtimeError | undefined;
}

/** A page of a list. */
export interface ItemPage<T> {
  items: readonly T[];
  cursor: string | undefined;
}

/**
 * A live list that is fetched when somebody subscribes, and after each reconnect; in between events change it. Events that arrive
 * during a fetch are applied once more to its answer, which may not have them yet.
 */
export abstract class LivePages<
  T extends { id: string },
  S extends PagesState<T> = PagesState<T>,
> extends LiveValue<S> {
  protected readonly client: RealtimeClient;
  readonly #retries = new Backoff();
  #retry: ReturnType<typeof setTimeout> | undefined;
  #pages = 1;
  #fetching: AbortController | undefined;
  #happened: (() => void)[] = [];

  constructor(client: RealtimeClient, initial: S) {
    super(initial);
    this.client = client;
  }

  /** Fetches one page. */
  protected abstract page(cursor: string | undefined, signal: AbortSignal): Promise<ItemPage<T>>;

  /** Subscribes to the events that change the list; returns the functions that end that. */
  protected abstract listen(): (() => void)[];

  /** Fetches the list again. While somebody subscribes, it does so by itself after a reconnect. */
  readonly refresh = (): void => {
    void this.#fetch();
  };

  /** Fetches another page, if there is one. */
  readonly loadMore = (): void => {
    if (!this.value.hasMore || this.value.isLoadingMore) return;
    this.#pages += 1;
    this.change({ isLoadingMore: true } as Partial<S>);
    void this.#fetch();
  };

  /** Fetches all pages, now and after each reconnect, until nobody subscribes any more. */
  readonly loadAll = (): void => {
    if (this.#pages === Infinity) return;
    this.#pages = Infinity;
    if (!this.value.hasMore) return;
    this.change({ isLoadingMore: true } as Partial<S>);
    void this.#fetch();
  };

  protected start(): () => void {
    const connected = (status: string) => {
      if (status === "connected") void this.#fetch();
    };
    this.client.on("status", connected);
    const ends = [() => this.client.off("status", connected), ...this.listen()];
    if (this.client.connection) void this.#fetch();
    return () => {
      for (const end of ends) end();
      clearTimeout(this.#retry);
      this.#fetching?.abort();
      this.#fetching = undefined;
      this.#pages = 1;
    };
  }

  /** Applies an event now, and to the answer of the present fetch. */
  protected apply(event: () => void): void {
    if (this.#fetching) this.#happened.push(event);
    event();
  }

  /** Replaces the items, if there is a list already. */
  protected replaceItems(change: (items: readonly T[]) => readonly T[]): void {
    const { items } = this.value;
    if (items) this.change({ items: change(items) } as Partial<S>);
  }

  async #fetch(): Promise<void> {
    this.#fetching?.abort();
    clearTimeout(this.#retry);
    const fetching = new AbortController();
    this.#fetching = fetching;
    this.#happened = [];
    try {
      const { items, cursor } = await this.#all(fetching.signal);
      if (fetching.signal.aborted) return;
      this.#retries.reset();
      this.change({ items, hasMore: cursor !== undefined, isLoadingMore: false, error: undefined } as Partial<S>);
      for (const event of this.#happened) event();
    } catch (cause) {
      if (fetching.signal.aborted) return;
      const error = cause instanceof RealtimeError ? cause : new RealtimeError("internal", undefined, { cause });
      this.change({ isLoadingMore: false, error } as Partial<S>);
      // After a loss of the connection the next `connected` fetches again.
      const isTransient = error.retryable && error.code !== "disconnected";
      const wait = Math.max(this.#retries.next(), error.retryAfterMs ?? 0);
      if (isTransient) this.#retry = setTimeout(() => void this.#fetch(), wait);
    }
    this.#fetching = undefined;
  }

  async #all(signal: AbortSignal): Promise<ItemPage<T>> {
    const found = new Map<string, T>();
    let cursor: string | undefined;
    for (let number = 0; number < this.#pages; number += 1) {
      const page = await this.page(cursor, signal);
      for (const item of page.items) found.set(item.id, item);
      cursor = page.cursor;
      if (cursor === undefined) break;
    }
    return { items: [...found.values()], cursor };
  }
}
