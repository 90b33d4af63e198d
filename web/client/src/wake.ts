const TICK_MS = 10_000;

/** Beyond a tick by this much the machine was asleep, or the tab was frozen. */
const SLEPT_MS = 5_000;

/**
 * Calls `listener` when it is worth looking at the connection again at once: the network is back, the page is shown, or the clock
 * jumped because the machine was asleep. Returns what ends it.
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
  // In Node a program may end although a client exists.
  if (isNodeTimer(timer)) timer.unref();
  return () => ended.abort();
}

function isNodeTimer(timer: unknown): timer is { unref(): void } {
  return typeof timer === "object" && timer !== null && "unref" in timer;
}
