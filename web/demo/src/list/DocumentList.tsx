import { useEffect, useState } from "react";
import { reasonOf, useCountdown } from "@realtime-server/client/kit";
import { Notice } from "../ui/Notice";
import { NO_LIST } from "./documents";
import { DocumentRow } from "./DocumentRow";
import type { DocumentActions, Documents } from "./useDocuments";

interface DocumentListProps {
  listing: Documents & DocumentActions;
  team: string;
  isWriter: boolean;
  /** Whether the banner already reports the connection and offers another attempt, so that the list does not. */
  isAway: boolean;
}

/** The documents, or the reason why none are shown. */
export function DocumentList({ listing, team, isWriter, isAway }: DocumentListProps) {
  const { documents, hasMore, isLoadingMore, error, showMore } = listing;
  const now = useNow();
  if (error === NO_LIST) return <NoList />;
  if (!documents && isAway) return <p className="failure">Documents show up here as soon as the connection is back.</p>;
  if (!documents) return error ? <Failure listing={listing} /> : <Loading />;
  if (documents.length === 0 && !hasMore) return <Empty team={team} isWriter={isWriter} />;
  return (
    <section aria-label="Documents">
      {error && !isAway && <Failure listing={listing} />}
      <ul className="documents">
        {documents.map((document) => (
          <DocumentRow key={document.room} document={document} now={now} />
        ))}
      </ul>
      {hasMore && (
        <button type="button" className="button more" aria-disabled={isLoadingMore} onClick={showMore}>
          {isLoadingMore ? "Loading…" : "Show more"}
        </button>
      )}
    </section>
  );
}

function Empty({ team, isWriter }: { team: string; isWriter: boolean }) {
  return (
    <Notice title="Nothing here yet">
      {isWriter ? (
        <p>Give your first document a name above. Whoever has its link writes with you, live.</p>
      ) : (
        <p>As soon as someone in the team “{team}” makes a document, you find it here.</p>
      )}
    </Notice>
  );
}

function NoList() {
  return (
    <Notice title="This server cannot list documents">
      <p>It is an older one. Documents can still be opened by their name.</p>
    </Notice>
  );
}

function Failure({ listing: { documents, error, retryAt, refresh } }: Pick<DocumentListProps, "listing">) {
  const seconds = useCountdown(retryAt);
  if (!error) return null;
  return (
    <div className="failure" data-testid="list-problem">
      <p>
        {documents ? "This list may be out of date: " : "The documents cannot be listed: "}
        {error.code === "disconnected" ? "the server is away." : reasonOf(error)}
        {seconds !== undefined && ` Trying again in ${seconds} s.`}
      </p>
      <button type="button" className="button" onClick={refresh}>
        {documents ? "Refresh now" : "Try now"}
      </button>
    </div>
  );
}

function Loading() {
  return (
    <div className="documents" aria-busy="true" aria-label="Loading the documents" role="status">
      <div className="skeleton" />
      <div className="skeleton" />
      <div className="skeleton" />
    </div>
  );
}

/** The time, updated twice a minute. */
function useNow(): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 30_000);
    return () => clearInterval(timer);
  }, []);
  return now;
}
