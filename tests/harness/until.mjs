// Waiting for conditions, so that no test relies on a fixed time.

/** Asking a page often costs the processor more than the page itself, so the interval grows from the first to the second. */
const POLL_INTERVAL_MS = 5;
const POLL_INTERVAL_MAX_MS = 50;
/**
 * Enough for a slow machine that runs other things as well, and less than the 30 s after which clients and server forget
 * somebody who does not renew a cursor: a condition about a cursor's end must not be met by that.
 */
const TIMEOUT_MS = 25_000;

/**
 * Waits until `condition` holds and returns what it returned.
 *
 * The condition may be asynchronous. It holds when it returns something truthy; an exception counts as "not yet",
 * so assertions can serve as conditions. It is asked every `interval_ms`; by default, less and less often.
 *
 * @throws after `timeout_ms`, with `expectation`, which names the condition, and the last result.
 */
export async function until(expectation, condition, timeout_ms = TIMEOUT_MS, interval_ms) {
  const deadline = performance.now() + timeout_ms;
  let wait_ms = interval_ms ?? POLL_INTERVAL_MS;
  for (;;) {
    let seen;
    try {
      seen = await condition();
      if (seen) return seen;
    } catch (error) {
      seen = error;
    }
    if (performance.now() > deadline) {
      const last = seen instanceof Error ? seen.message : JSON.stringify(seen);
      throw new Error(`waited ${timeout_ms} ms in vain until ${expectation}; last: ${last}`, {
        cause: seen instanceof Error ? seen : undefined,
      });
    }
    await pause(wait_ms);
    if (interval_ms === undefined) wait_ms = Math.min(wait_ms * 1.25, POLL_INTERVAL_MAX_MS);
  }
}

/** The next `event` of an emitter, as its first argument. Call it before the event is caused. */
export function next(emitter, event, timeout_ms = TIMEOUT_MS) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      emitter.off(event, happened);
      reject(new Error(`waited ${timeout_ms} ms in vain for the event ${event}`));
    }, timeout_ms);
    function happened(argument) {
      clearTimeout(timer);
      resolve(argument);
    }
    emitter.once(event, happened);
  });
}

/**
 * Lets `duration_ms` pass. Only where time itself is the subject: the pace of a load, a random moment, or that something
 * does *not* happen.
 */
export function pause(duration_ms) {
  return new Promise((resolve) => setTimeout(resolve, duration_ms));
}
