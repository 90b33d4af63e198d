import { useEffect, useState } from "react";
import type { DocumentProvider } from "../document.js";
import type { Person } from "../people.js";
import type { Connection } from "../protocol.js";
import { useConnection, usePeople } from "../react.js";
import type { DocumentState } from "../state.js";
import { connectionStatus, documentStatus, type Status } from "./status.js";

/** How long it is said that the connection is back, in milliseconds. */
const BACK_MS = 5_000;

/** The status of the connection, in words; renders again when it changes. */
export function useConnectionStatus(): Status {
  return connectionStatus(useConnection(), useAway());
}

/** The status of a document, in words. `document` is its state, as `useDocument` and `useDocumentState` return it. */
export function useDocumentStatus(document: DocumentState): Status {
  return documentStatus(useConnection(), useAway(), document);
}

/** The session of the connection; the last one, while there is none. */
export function useKnownConnection(): Connection | undefined {
  const { connection } = useConnection();
  const [known, setKnown] = useState(connection);
  if (connection && connection !== known) setKnown(connection);
  return connection ?? known;
}

/** Whether the connection was lost, or was never made, and is not back yet. It stays true during new attempts. */
export function useAway(): boolean {
  const { status, error } = useConnection();
  const [isAway, setAway] = useState(false);
  const now = status !== "connected" && (isAway || error !== undefined);
  if (now !== isAway) setAway(now);
  return now;
}

/** What a banner across the page shows: a problem, the return of the connection, or nothing. */
export type BannerContent =
  | { readonly kind: "problem"; readonly status: Status & { readonly sentence: string } }
  | { readonly kind: "back"; readonly sentence: string }
  | undefined;

/** What a banner shows for a status. After a lost connection it says for 5 s that the connection is back. */
export function useBanner(status: Status): BannerContent {
  const isBack = useIsBack(status, useAway());
  const { sentence } = status;
  if (sentence !== undefined) return { kind: "problem", status: { ...status, sentence } };
  if (!isBack) return undefined;
  return { kind: "back", sentence: status.label === "Saved" ? "Back online, everything is saved." : "Back online." };
}

/** Whether the connection came back a moment ago and everything has worked since. */
function useIsBack({ tone }: Status, isAway: boolean): boolean {
  const [phase, setPhase] = useState<"well" | "away" | "back">("well");
  const isCalm = tone === "calm";
  if (isAway && phase !== "away") setPhase("away");
  if (!isAway && phase === "away" && isCalm) setPhase("back");
  if (phase === "back" && !isCalm) setPhase("well");
  useEffect(() => {
    if (phase !== "back") return;
    const timer = setTimeout(() => setPhase("well"), BACK_MS);
    return () => clearTimeout(timer);
  }, [phase]);
  return phase === "back";
}

/** The whole seconds until a time in milliseconds since 1970, at least 1; undefined if there is no time. */
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

/** The last value that stayed the same for `milliseconds`; at first undefined. */
export function useSettled<T>(value: T, milliseconds: number): T | undefined {
  const [settled, setSettled] = useState<T>();
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), milliseconds);
    return () => clearTimeout(timer);
  }, [value, milliseconds]);
  return settled;
}

/** The people in a document, divided into those that are shown as avatars and the others, and a sentence that names them all. */
export interface AvatarStackState {
  readonly people: readonly Person[];
  readonly shown: readonly Person[];
  readonly hidden: readonly Person[];
  /** For example “3 people here: Ana (you), Ben, Cleo”. */
  readonly words: string;
}

/**
 * The people in a document for a stack of at most `max` avatars. If there are more people, the last place is for their number. The
 * user of this window is first, once the session is known.
 */
export function useAvatarStack(provider: DocumentProvider | undefined, max: number): AvatarStackState {
  const isKnown = provider?.awareness.getLocalState()?.user !== undefined;
  const people = usePeople(provider).filter(({ isSelf }) => isKnown || !isSelf);
  const shown = people.length > max ? people.slice(0, Math.max(0, max - 1)) : people;
  const count = people.length === 1 ? "1 person" : `${people.length} people`;
  const words = `${count} here: ${people.map(nameOf).join(", ")}`;
  return { people, shown, hidden: people.slice(shown.length), words };
}

/** The name of a person, with “(you)” for the user of this window. */
export function nameOf({ name, isSelf }: Person): string {
  return isSelf ? `${name} (you)` : name;
}
