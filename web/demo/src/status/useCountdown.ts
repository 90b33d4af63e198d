import { useEffect, useState } from "react";

/** Whole seconds until a moment, at least 1; undefined where there is no moment. */
export function useCountdown(until: number | undefined): number | undefined {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (until === undefined) return;
    const tick = () => setNow(Date.now());
    const timer = setInterval(tick, 250);
    tick();
    return () => clearInterval(timer);
  }, [until]);
  return until === undefined ? undefined : Math.max(1, Math.ceil((until - now) / 1000));
}
