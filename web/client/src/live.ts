/**
 * A value that is kept up to date while somebody subscribes to it. It has the form that React's `useSyncExternalStore` takes; both
 * functions are bound.
 */
export interface Live<T> {
  /** Calls `changed` after each change, until the returned function is called. */
  readonly subscribe: (changed: () => void) => () => void;
  /** The present value: the same object until it changes. */
  readonly getSnapshot: () => T;
}

/** The basis of the live values: counts the subscribers, begins with the first and ends with the last of them. */
export abstract class LiveValue<T> implements Live<T> {
  readonly #subscribers = new Set<() => void>();
  #value: T;
  #stop: (() => void) | undefined;

  constructor(initial: T) {
    this.#value = initial;
  }

  /** Begins to keep the value up to date, and returns the function that ends that. */
  protected abstract start(): () => void;

  protected get value(): T {
    return this.#value;
  }

  /** Replaces properties of the value. */
  protected change(changes: Partial<T>): void {
    this.#value = { ...this.#value, ...changes };
    for (const changed of [...this.#subscribers]) changed();
  }

  readonly getSnapshot = (): T => this.#value;

  readonly subscribe = (changed: () => void): (() => void) => {
    // One that subscribes twice is called twice.
    const subscriber = () => changed();
    this.#subscribers.add(subscriber);
    this.#stop ??= this.start();
    return () => {
      this.#subscribers.delete(subscriber);
      if (this.#subscribers.size > 0) return;
      this.#stop?.();
      this.#stop = undefined;
    };
  };
}
