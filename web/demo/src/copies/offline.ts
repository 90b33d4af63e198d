import type { DocumentState } from "@realtime-server/client";
import type { Status } from "@realtime-server/client/kit";
import { useEffect, useState } from "react";
import type { CopyState } from "./DocumentCopy";

/** When the connection was lost, in milliseconds since 1970; undefined while it is there. */
export function useAwaySince(isAway: boolean): number | undefined {
  const [since, setSince] = useState<number>();
  useEffect(() => {
    if (!isAway) return;
    const began = Date.now();
    const timer = setTimeout(() => setSince(began));
    return () => {
      clearTimeout(timer);
      setSince(undefined);
    };
  }, [isAway]);
  return since;
}

/**
 * The status of a document without a connection: since when, and how many words are kept on this device. The number is that of the
 * words whose writing the browser has confirmed. With a connection the status is returned as it is.
 */
export function offlineStatus(
  status: Status,
  isAway: boolean,
  since: number | undefined,
  { saved, permission, readOnly, ended }: DocumentState,
  copy: CopyState | undefined,
): Status {
  // Other problems of the connection, such as too many open windows, have words of their own.
  if (!isAway || ended || !status.label.startsWith("Offline")) return status;
  const label = since === undefined ? "Offline" : `Offline since ${timeOf(since)}`;
  if (permission === undefined || readOnly) {
    return { ...status, label, sentence: "Offline: new changes show up when the connection is back." };
  }
  if (!copy || copy.isFailing) {
    const unkept =
      "Offline: this browser cannot keep what you write. Keep this window open until the connection is back.";
    return { ...status, tone: "problem", label: saved ? label : `${label}, not kept on this device`, sentence: unkept };
  }
  const { kept } = copy;
  if (!kept) return { ...status, label, sentence: "Offline: you can go on writing." };
  return {
    ...status,
    label: `${label}, ${amount(kept.words)} not sent yet`,
    sentence: `Offline: ${amount(kept.words)} ${kept.words === 1 ? "is" : "are"} kept on this device until the connection is back.`,
  };
}

function timeOf(time: number): string {
  return new Date(time).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
}

function amount(words: number): string {
  if (words === 0) return "changes";
  return words === 1 ? "1 word" : `${words.toLocaleString()} words`;
}
