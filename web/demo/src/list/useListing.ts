import type { DocumentInfo } from "@realtime-server/client";
import { useDocuments, type UsedDocuments } from "@realtime-server/client/react";
import { useEffect, useState } from "react";
import type { ShownQuery } from "./documents";

/** A page of the server may have few documents of a query, or none, and still a next one: then that is fetched as well. */
const SHOWN_MIN = 20;

/** The documents, and the query whose documents they are, as a text. */
export type Listing = UsedDocuments & { readonly key: string };

/** The documents of a query. After a change of the query those of the earlier one are shown until the new ones are there. */
export function useListing({ q, sort, trash, status }: ShownQuery): Listing {
  // The trash has an order of its own.
  const listing = useDocuments({ q: q.trim(), trash, sort: trash ? undefined : sort, status });
  const key = JSON.stringify([q, sort, trash, status]);
  const [last, setLast] = useState<{ documents: readonly DocumentInfo[]; key: string }>();
  if (listing.documents && listing.documents !== last?.documents) setLast({ documents: listing.documents, key });
  const { hasMore, isLoadingMore, loadMore } = listing;
  const isShort = hasMore && !isLoadingMore && (listing.documents?.length ?? SHOWN_MIN) < SHOWN_MIN;
  useEffect(() => {
    if (isShort) loadMore();
  }, [isShort, loadMore]);
  return listing.documents ? { ...listing, key } : { ...listing, documents: last?.documents, key: last?.key ?? key };
}
