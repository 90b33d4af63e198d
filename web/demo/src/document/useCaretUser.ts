import type { DocumentProvider } from "@realtime-server/client";
import { useEffect, useMemo } from "react";
import type { Identity } from "../session/identity";
import { useOwnColor } from "../session/useOwnColor";

/** What others see at the caret of this user. */
export interface CaretUser {
  readonly id: string;
  readonly name: string;
  readonly color: string;
}

/** The identity and colour that others see at the caret of this user. */
export function useCaretUser({ id, name }: Identity): CaretUser {
  const color = useOwnColor();
  return useMemo(() => ({ id, name, color }), [id, name, color]);
}

/** Shows this user to others in the document, also while no text is shown. */
export function usePresence(provider: DocumentProvider | undefined, user: CaretUser): void {
  useEffect(() => {
    provider?.awareness.setLocalStateField("user", user);
  }, [provider, user]);
}
