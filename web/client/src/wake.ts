/** How often the clock is checked, in milliseconds. */
const TICK_MS = 10_000;

/** If a tick is late by more than this, the machine was asleep, or the tab was frozen. */
const SLEPT_MS = 5_000;

/**
 * Calls `listener` when the connection should be checked at once: the network is back, the page becomes visible, or the clock has
 * jumped because the machine was asleep. The returned function ends that.
 */
export function onWake(listener: () => void): () => void {
  const ended = new AbortController();
  const { signal } = ended;
  if (typeof window !== "undefined") {
    window.addEventListener("online", listener, { signal });
    window.addEventListener("pageshow", listener, { signal });
    const shown = () => document.visibilityState === "visible" && listener();
    document.addEventListener("visibilitychange", shown, { signal });
  }
  let last = Date.now();
  const timer: unknown = setInterval(() => {
    const now = Date.now();
    if (now - last > TICK_MS + SLEPT_MS) listener();
    last = now;
  }, TICK_MS);
  signal.addEventListener("abort", () => clearInterval(timer as number));
  keepNoProgram(timer);
  return () => ended.abort();
}

/** Lets a program in Node end although this timer is running. */
export function keepNoProgram(timer: unknown): void {
  if (isNodeTimer(timer)) timer.unref();
}

function isNodeTimer(timer: unknown): timer is { unref(): void } {
  return typeof timer === "object" && timer !== null && "unref" in timer;
}
