import type { HTMLAttributes } from "react";
import { useSettled } from "./hooks.js";
import type { Status } from "./status.js";

/** How long a status has to last before it is announced, in milliseconds, since typing changes it many times a second. */
const SETTLED_MS = 1_000;

/** The properties of `SaveStatus`; others are passed to its element. */
export interface SaveStatusProps extends HTMLAttributes<HTMLParagraphElement> {
  /** The status, as `useDocumentStatus` or `useConnectionStatus` returns it. */
  status: Status;
}

/**
 * A status in a few words, such as “Saved”. Screen readers read its changes, in whole sentences where it has one, once they have
 * lasted for a second. Its styles are in `kit.css`.
 */
export function SaveStatus({ status, className, ...rest }: SaveStatusProps) {
  const announced = useSettled(status.sentence ?? status.label, SETTLED_MS);
  return (
    <>
      <p {...rest} className={["realtime-status", className].filter(Boolean).join(" ")} data-tone={status.tone}>
        {status.label}
      </p>
      <span role="status" className="realtime-hidden">
        {announced}
      </span>
    </>
  );
}
