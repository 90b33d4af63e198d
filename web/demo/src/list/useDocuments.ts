import { Backoff, RealtimeError } from "@realtime-server/client";
import { useConnection } from "@realtime-server/client/react";
import { useCallback, useEffect, useMemo, useReducer, useRef } from "react";
import type { Identity } from "../session/identity";
import { Documents, titleOf, type DocumentInfo, type DocumentMetadata, type DocumentQuery } from "./documents";
import { useDocumentEvents, type DocumentEvent } from "./useDocumentEvents";

/** The part of the list of documents that was fetched. */
export interface Listing {
  /** Undefined until the first answer. */
  readonly documents: readonly DocumentInfo[] | undefined;
  readonly hasMore: boolean;
  readonly isLoadingMore: boolean;
  /** Why the last attempt failed. */
  readonly error: RealtimeError | undefined;
  readonly retryAt: number | undefined;
}

/** The list, and the actions on it. */
export interface LiveDocuments extends Listing {
  refresh: () => void;
  showMore: () => void;
  /** Puts in what an own request has answered, without waiting for the event. */
  apply: (document: DocumentInfo) => void;
}

type State = Listing & { readonly pages: number };

const NOT_FETCHED: State = {
  documents: undefined,
  hasMore: false,
  isLoadingMore: false,
  error: undefined,
  retryAt: undefined,
  pages: 1,
};

/** The shortest time between two fetches that events cause. */
const INTERVAL_MS = 2_000;

/**
 * The documents of a query. They follow the events of the server; besides, they are fetched again when the window gets the focus
 * and when the connection is back. After a change of the query the
 * documents of the earlier one are shown until the new ones are there.
 */
export function useDocuments(identity: Identity, query: DocumentQuery): LiveDocuments {
  const api = useMemo(() => new Documents(identity), [identity]);
  const [state, change] = useReducer(
    (before: State, now: Partial<State> | ((before: State) => Partial<State>)) => ({
      ...before,
      ...(typeof now === "function" ? now(before) : now),
    }),
    NOT_FETCHED,
  );
  const fetching = useRef<AbortController>(undefined);
  const retries = useRef(new Backoff({ firstMs: 2_000, maxMs: 15_000 }));
  const { pages } = state;
  const { q, sort, trash } = query;

  /** Fetches all pages that are shown, from the first on, because the order may have changed everywhere. */
  const refresh = useCallback(() => {
    fetching.current?.abort();
    fetching.current = new AbortController();
    const { signal } = fetching.current;
    fetchPages(api, { q, sort, trash }, pages, signal)
      .then((fetched) => {
        if (signal.aborted) return;
        retries.current.reset();
        change({ ...fetched, isLoadingMore: false, error: undefined, retryAt: undefined });
      })
      .catch((cause: unknown) => {
        if (signal.aborted) return;
        const error = cause instanceof RealtimeError ? cause : new RealtimeError("internal", undefined, { cause });
        const retryAt = error.retryable ? Date.now() + retries.current.next() : undefined;
        change({ isLoadingMore: false, error, retryAt });
      });
  }, [api, q, sort, trash, pages]);

  const refreshSoon = usePaced(refresh);
  const put = (document: DocumentMetadata) =>
    change(({ documents }) => ({ documents: changed(documents, document, query) }));
  useDocumentEvents((event, document) => {
    put(document);
    if (isNews(event, document, state.documents, query)) refreshSoon();
  });
  useRefreshing(refresh, state.retryAt);
  const showMore = () => change({ pages: pages + 1, isLoadingMore: true });
  return { ...state, refresh, showMore, apply: put };
}

/** The documents with the newest metadata of one of them, which may remove it from the query. */
function changed(documents: readonly DocumentInfo[] | undefined, now: DocumentMetadata, query: DocumentQuery) {
  if (!documents?.some(({ document_id }) => document_id === now.document_id)) return documents;
  const belongs = (now.deleted_at !== undefined) === query.trash;
  const kept = belongs ? documents : documents.filter(({ document_id }) => document_id !== now.document_id);
  const merged = kept.map((known) =>
    known.document_id === now.document_id ? { ...now, permission: known.permission } : known,
  );
  return query.trash ? merged : merged.sort(orderOf(query.sort));
}

/** Whether an event is about a document that the list lacks and that may belong to it. */
function isNews(
  event: DocumentEvent,
  document: DocumentMetadata,
  known: readonly DocumentInfo[] | undefined,
  { q, sort, trash }: DocumentQuery,
): boolean {
  if (known?.some(({ document_id }) => document_id === document.document_id)) return false;
  if ((document.deleted_at !== undefined) !== trash) return false;
  const matches = titleOf(document).toLowerCase().includes(q.trim().toLowerCase());
  // An edit brings a document of a later page to the front only in the order of edits.
  return matches && (event !== "document_changed" || sort !== "created");
}

function orderOf(sort: DocumentQuery["sort"]): (a: DocumentInfo, b: DocumentInfo) => number {
  if (sort === "title") return (a, b) => titleOf(a).toLowerCase().localeCompare(titleOf(b).toLowerCase());
  const key = sort === "created" ? "created_at" : "updated_at";
  return (a, b) => Date.parse(b[key]) - Date.parse(a[key]);
}

/** Calls `work` at once, but again only after `INTERVAL_MS`, however often it is asked for. */
function usePaced(work: () => void): () => void {
  const latest = useRef(work);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const isDue = useRef(false);
  useEffect(() => {
    latest.current = work;
  });
  useEffect(() => () => clearTimeout(timer.current), []);
  return useCallback(() => {
    const run = () => {
      isDue.current = false;
      latest.current();
      timer.current = setTimeout(() => {
        timer.current = undefined;
        if (isDue.current) run();
      }, INTERVAL_MS);
    };
    if (timer.current === undefined) run();
    else isDue.current = true;
  }, []);
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

async function fetchPages(api: Documents, query: DocumentQuery, wanted: number, signal: AbortSignal) {
  const found = new Map<string, DocumentInfo>();
  let cursor: string | undefined;
  for (let page = 0; page < wanted; page += 1) {
    const { documents, next_cursor } = await api.list(query, cursor, signal);
    for (const document of documents) found.set(document.document_id, document);
    cursor = next_cursor;
    if (cursor === undefined) break;
  }
  return { documents: [...found.values()], hasMore: cursor !== undefined };
}
