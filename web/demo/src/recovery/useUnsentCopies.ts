import { useConnection } from "@realtime-server/client/react";
import { useCallback, useEffect, useState } from "react";
import { findUnsentCopies, type UnsentCopy } from "./unsentCopies";

/** The copies with unsent edits, read again whenever the connection is made; and the function that reads them again. */
export function useUnsentCopies(): [readonly UnsentCopy[], () => void] {
  const [copies, setCopies] = useState<readonly UnsentCopy[]>([]);
  const { status } = useConnection();
  const read = useCallback(() => {
    // Browsers that cannot list their databases offer nothing here. The edits are there when the document is opened.
    findUnsentCopies().then(setCopies, () => undefined);
  }, []);
  useEffect(read, [read, status]);
  return [copies, read];
}
