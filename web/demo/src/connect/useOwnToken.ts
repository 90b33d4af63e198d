import { RealtimeError } from "@realtime-server/client";
import { reasonOf } from "@realtime-server/client/kit";
import { useEffect, useState } from "react";
import type { Identity } from "../session/identity";
import { fetchToken } from "../session/token";

/** A token of this window's user, for an hour; until it is fetched neither field is set, and `problem` if that failed. */
export function useOwnToken(identity: Identity): { readonly token?: string; readonly problem?: string } {
  const [fetched, setFetched] = useState<{ token?: string; problem?: string }>({});
  useEffect(() => {
    let isCurrent = true;
    fetchToken({ ...identity, ttlSeconds: undefined })
      .then((token) => isCurrent && setFetched({ token }))
      .catch((error: unknown) => {
        const problem = error instanceof RealtimeError ? reasonOf(error) : "the server does not answer.";
        if (isCurrent) setFetched({ problem });
      });
    return () => {
      isCurrent = false;
    };
  }, [identity]);
  return fetched;
}
