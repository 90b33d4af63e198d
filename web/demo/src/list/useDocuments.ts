import { Backoff, RealtimeError } from "@realtime-server/client";
import { useConnection } from "@realtime-server/client/react";
import { useCallback, useEffect, useReducer, useRef } from "react";
import type { Identity } from "../session/identity";
import { fetchPage, type ListedDocument } from "./documents";

/** The part of the list of documents that was fetched. */
export interface Documents {
  /** Undefined until the first answer. */
  readonly documents: readonly ListedDocument[] | undefined;
  readonly hasMore: boolean;
  readonly isLoadingMore: boolean;
  /** Why the last attempt failed. */
  readonly error: RealtimeError | undefined;
  readonly retryAt: number | undefined;
}

/** The actions on the list. */
export interface DocumentActions {
  refresh: () => void;
  showMore: () => void;
}

type Listing = Documents & { readonly pages: number };

const NOT_FETCHED: Listing = {
  documents: undefined,
  hasMore: false,
  isLoadingMore: false,
  error: undefined,
  retryAt: undefined,
  pages: 1,
};

/** The documents of the team. They are fetched again when the window gets the focus and when the connection is back. */
export function useDocuments(identity: Identity): Documents & DocumentActions {
  const [listing, change] = useReducer(
    (before: Listing, now: Partial<Listing>) => ({ ...before, ...now }),
    NOT_FETCHED,
  );
  const fetching = useRef<AbortController>(undefined);
  const retries = useRef(new Backoff({ firstMs: 2_000, maxMs: 15_000 }));
  const { pages } = listing;

  /** Fetches all pages that are shown, from the first on, because the order may have changed everywhere. */
  const refresh = useCallback(() => {
    fetching.current?.abort();
    fetching.current = new AbortController();
    const { signal } = fetching.current;
    fetchPages(identity, pages, signal)
      .then(({ documents, cursor }) => {
        if (signal.aborted) return;
        retries.current.reset();
        change({
          documents,
          hasMore: cursor !== undefined,
          isLoadingMore: false,
          error: undefined,
          retryAt: undefined,
        });
      })
      .catch((cause: unknown) => {
        if (signal.aborted) return;
        const error = cause instanceof RealtimeError ? cause : new RealtimeError("internal", undefined, { cause });
        const retryAt = error.retryable ? Date.now() + retries.current.next() : undefined;
        change({ isLoadingMore: false, error, retryAt });
      });
  }, [identity, pages]);

  useRefreshing(refresh, listing.retryAt);
  const showMore = () => change({ pages: pages + 1, isLoadingMore: true });
  return { ...listing, refresh, showMore };
}

/** Fetches at first, on focus, when the connection is back, and when the next attempt after a failure is due. */
function useRefreshing(refresh: () => void, retryAt: number | undefined): void {
  const isConnected = useConnection().status === "connected";
  useEffect(() => {
    refresh();
    addEventListener("focus", refresh);
    return () => removeEventListener("focus", refresh);
  }, [refresh, isConnected]);
  useEffect(() => {
    if (retryAt === undefined) return;
    const timer = setTimeout(refresh, retryAt - Date.now());
    return () => clearTimeout(timer);
  }, [refresh, retryAt]);
}

async function fetchPages(identity: Identity, wanted: number, signal: AbortSignal) {
  const found = new Map<string, ListedDocument>();
  let cursor: string | undefined;
  for (let page = 0; page < wanted; page += 1) {
    const { documents, nextCursor } = await fetchPage(identity, cursor, signal);
    for (const document of documents) found.set(document.room, document);
    cursor = nextCursor;
    if (cursor === undefined) break;
  }
  return { documents: [...found.values()], cursor };
}
