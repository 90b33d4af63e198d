import type { HTMLAttributes } from "react";
import { useConnection, useRealtime } from "../react.js";
import { useBanner, useCountdown } from "./hooks.js";
import type { Status } from "./status.js";

/** The properties of `ConnectionBanner`; others are passed to its element. */
export interface ConnectionBannerProps extends HTMLAttributes<HTMLDivElement> {
  /** The status, as `useDocumentStatus` or `useConnectionStatus` returns it. */
  status: Status;
}

/**
 * Shows a problem across the page, with a button that tries again, and for 5 s that the connection is back. Otherwise it draws
 * nothing. Its styles are in `kit.css`. `SaveStatus` announces problems to screen readers, and this component their end.
 */
export function ConnectionBanner({ status, className, ...rest }: ConnectionBannerProps) {
  const banner = useBanner(status);
  const tone = banner?.kind === "problem" ? banner.status.tone : "good";
  return (
    <>
      <span role="status" className="realtime-hidden">
        {banner?.kind === "back" && banner.sentence}
      </span>
      {banner && (
        <div {...rest} className={["realtime-banner", className].filter(Boolean).join(" ")} data-tone={tone}>
          <Sign kind={banner.kind} />
          {banner.kind === "back" ? <p>{banner.sentence}</p> : <Problem status={banner.status} />}
        </div>
      )}
    </>
  );
}

function Problem({ status: { sentence, action } }: { status: Status }) {
  const client = useRealtime();
  return (
    <>
      <p>
        {sentence} {action === "Try now" && <RetryTime />}
      </p>
      {action && (
        <button type="button" className="realtime-button" onClick={() => client.connect()}>
          {action}
        </button>
      )}
    </>
  );
}

function RetryTime() {
  const seconds = useCountdown(useConnection().retryAt);
  const words = seconds === undefined ? "Trying now…" : `Trying again in ${seconds} s.`;
  return <span className="realtime-retry-time">{words}</span>;
}

function Sign({ kind }: { kind: "problem" | "back" }) {
  return (
    <svg viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      <path d={kind === "back" ? "m4.5 10.5 3.5 3.5 7.5-8" : "M10 3.5 17.2 16H2.8zM10 8.3v3.4M10 13.8h.01"} />
    </svg>
  );
}
