import { useConnection, useRealtime } from "@realtime-server/client/react";
import { useEffect, useState } from "react";
import { Icon } from "../ui/Icon";
import { announce } from "./announcer";
import type { Status } from "./status";
import { useCountdown } from "./useCountdown";

/** How long the banner shows that the connection is back. */
const BACK_MS = 5_000;

/** Shows a problem across the page, and for a short time that the connection is back. */
export function Banner({ status, isAway }: { status: Status; isAway: boolean }) {
  const isBack = useIsBack(status, isAway);
  const { tone, sentence, action } = status;
  if (sentence !== undefined) {
    return (
      <div className="banner" data-tone={tone} data-testid="banner">
        <Icon name="warning" />
        <p>
          {sentence} {action === "Try now" && <RetryTime />}
        </p>
        {action && <RetryButton label={action} />}
      </div>
    );
  }
  if (!isBack) return null;
  return (
    <div className="banner" data-tone="good" data-testid="banner">
      <Icon name="check" />
      <p>{backText(status)}</p>
    </div>
  );
}

function RetryTime() {
  const { retryAt } = useConnection();
  const seconds = useCountdown(retryAt);
  return <span className="retry-time">{seconds === undefined ? "Trying now…" : `Trying again in ${seconds} s.`}</span>;
}

function RetryButton({ label }: { label: string }) {
  const client = useRealtime();
  return (
    <button type="button" className="button" onClick={() => client.connect()}>
      {label}
    </button>
  );
}

/** Whether the connection came back a moment ago and everything has worked since. */
function useIsBack({ tone, label }: Status, isAway: boolean): boolean {
  const [phase, setPhase] = useState<"well" | "away" | "back">("well");
  const isCalm = tone === "calm";
  if (isAway && phase !== "away") setPhase("away");
  if (!isAway && phase === "away" && isCalm) setPhase("back");
  if (phase === "back" && !isCalm) setPhase("well");
  useEffect(() => {
    if (phase !== "back") return;
    announce(backText({ label }));
    const timer = setTimeout(() => setPhase("well"), BACK_MS);
    return () => clearTimeout(timer);
  }, [phase, label]);
  return phase === "back";
}

function backText({ label }: Pick<Status, "label">): string {
  return label === "Saved" ? "Back online, everything is saved." : "Back online.";
}
