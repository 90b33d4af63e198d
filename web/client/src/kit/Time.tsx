import { exactTime, timeAgo } from "./time.js";

/** How long ago something happened, with the exact time as a tooltip. `at` is in ISO 8601. */
export function Time({ at, now }: { at: string; now: number }) {
  const moment = Date.parse(at);
  return (
    <time dateTime={at} title={exactTime(moment)}>
      {timeAgo(moment, now)}
    </time>
  );
}
