import type { DocumentInfo } from "@realtime-server/client";
import { useDocuments, type UsedDocuments } from "@realtime-server/client/react";
import { useEffect, useState } from "react";
import type { ShownQuery } from "./documents";

/** A page of the server may have few documents of a query, or none, and still a next one: then that is fetched as well. */
const SHOWN_MIN = 20;

/** The documents of a query. After a change of the query those of the earlier one are shown until the new ones are there. */
export function useListing({ q, sort, trash }: ShownQuery): UsedDocuments {
  // The trash has an order of its own.
  const listing = useDocuments({ q: q.trim(), trash, sort: trash ? undefined : sort });
  const [last, setLast] = useState<readonly DocumentInfo[]>();
  if (listing.documents && listing.documents !== last) setLast(listing.documents);
  const { hasMore, isLoadingMore, loadMore } = listing;
  const isShort = hasMore && !isLoadingMore && (listing.documents?.length ?? SHOWN_MIN) < SHOWN_MIN;
  useEffect(() => {
    if (isShort) loadMore();
  }, [isShort, loadMore]);
  return { ...listing, documents: listing.documents ?? last };
}
