import type { DocumentProvider } from "@realtime-server/client";
import { useEffect, useMemo } from "react";
import type { Identity } from "../session/identity";
import { useOwnColor } from "../session/useOwnColor";

/** What others see at one's caret. */
export interface CaretUser {
  readonly id: string;
  readonly name: string;
  readonly color: string;
}

/** How one looks to others. */
export function useCaretUser({ id, name }: Identity): CaretUser {
  const color = useOwnColor();
  return useMemo(() => ({ id, name, color }), [id, name, color]);
}

/** Shows oneself in the document, also while there is no text to be in. */
export function usePresence(provider: DocumentProvider | undefined, user: CaretUser): void {
  useEffect(() => {
    provider?.awareness.setLocalStateField("user", user);
  }, [provider, user]);
}
