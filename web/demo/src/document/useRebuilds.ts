import type { DocumentProvider } from "@realtime-server/client";
import { useEffect, useState } from "react";

/** How often the document's content was removed and inserted again. After that the undo history of an editor is invalid. */
export function useRebuilds(provider: DocumentProvider | undefined): number {
  const [rebuilds, setRebuilds] = useState(0);
  useEffect(() => {
    if (!provider) return;
    const note = () => setRebuilds((count) => count + 1);
    provider.on("rebuilt", note);
    return () => provider.off("rebuilt", note);
  }, [provider]);
  return rebuilds;
}
