import { RealtimeError, type DocumentInfo } from "@realtime-server/client";
import { reasonOf, statusLabel, useNow } from "@realtime-server/client/kit";
import { useRealtime, type UsedDocuments } from "@realtime-server/client/react";
import { useState } from "react";
import type { Identity } from "../session/identity";
import { announce } from "../status/announcer";
import { Icon } from "../ui/Icon";
import { Notice } from "../ui/Notice";
import { titleOf, type ShownQuery } from "./documents";
import { DocumentRow, TrashRow, type RowContext } from "./DocumentRow";
import { useHeldOrder } from "./useHeldOrder";
import { useListing, type Listing } from "./useListing";
import { useWhereabouts } from "./useWhereabouts";

interface DocumentListProps {
  identity: Identity;
  query: ShownQuery;
  isWriter: boolean;
  /** Whether the banner already reports the connection and offers another attempt, so that the list does not. */
  isAway: boolean;
}

/** The documents of a query, or the reason why none are shown. */
export function DocumentList({ identity, query, isWriter, isAway }: DocumentListProps) {
  const listing = useListing(query);
  const { documents, error } = listing;
  if (!documents && isAway) return <p className="failure">Documents show up here as soon as the connection is back.</p>;
  if (!documents) return error ? <Failure listing={listing} /> : <Loading />;
  return (
    <section aria-label={query.trash ? "Trash" : "Documents"}>
      {error && !isAway && <Failure listing={listing} />}
      <Rows documents={documents} {...{ listing, identity, query }} />
      {documents.length === 0 && !listing.hasMore && <Empty team={identity.team} query={query} isWriter={isWriter} />}
    </section>
  );
}

interface RowsProps {
  documents: readonly DocumentInfo[];
  listing: Listing;
  identity: Identity;
  query: ShownQuery;
}

function Rows({ documents, listing, identity, query: { trash } }: RowsProps) {
  const { hasMore, isLoadingMore, loadMore, key } = listing;
  const now = useNow();
  const people = useWhereabouts();
  const [isPointed, setPointed] = useState(false);
  const [isHeld, hold] = useState(false);
  const shown = useHeldOrder(documents, isPointed || isHeld, key);
  const { moved, problem, remove, restore, forget } = useTrash();
  const context: RowContext = { identity, now, remove, restore, hold };
  const Row = trash ? TrashRow : DocumentRow;
  return (
    <>
      {moved && !trash && (
        <p className="moved">
          <span>“{titleOf(moved)}” is in the trash, for 30 days.</span>
          <button type="button" className="button" onClick={() => restore(moved)}>
            Undo
          </button>
          <button type="button" className="icon-button" aria-label="Close" onClick={forget}>
            <Icon name="close" />
          </button>
        </p>
      )}
      {problem !== undefined && (
        <p className="failure" role="alert">
          {problem}
        </p>
      )}
      <ul className="documents" onPointerEnter={() => setPointed(true)} onPointerLeave={() => setPointed(false)}>
        {shown.map((document) => (
          <Row
            key={document.document.document_id}
            shown={document}
            people={people.get(document.document.room) ?? []}
            {...context}
          />
        ))}
      </ul>
      {hasMore && (
        <button type="button" className="button more" aria-disabled={isLoadingMore} onClick={loadMore}>
          {isLoadingMore ? "Loading…" : "Show more"}
        </button>
      )}
    </>
  );
}

/** Moves documents to the trash and back. `moved` is the last one that was moved there. */
function useTrash() {
  const { documents } = useRealtime();
  const [moved, setMoved] = useState<DocumentInfo>();
  const [problem, setProblem] = useState<string>();
  const run = (request: Promise<DocumentInfo>, title: string, isRestored: boolean) => {
    setProblem(undefined);
    request
      .then((document) => {
        setMoved(isRestored ? undefined : document);
        announce(isRestored ? `“${title}” is restored` : `“${title}” is in the trash`);
      })
      .catch((error: unknown) => {
        const reason = error instanceof RealtimeError ? reasonOf(error) : "it failed.";
        const what = isRestored ? "restored" : "moved to the trash";
        const taken = "another document has its address now.";
        const isTaken = isRestored && error instanceof RealtimeError && error.code === "conflict";
        setProblem(`“${title}” was not ${what}: ${isTaken ? taken : reason}`);
      });
  };
  return {
    moved,
    problem,
    forget: () => setMoved(undefined),
    remove: (document: DocumentInfo) => run(documents.remove(document.room), titleOf(document), false),
    restore: (document: DocumentInfo) =>
      run(documents.restore(document.room, { documentId: document.document_id }), titleOf(document), true),
  };
}

function Empty({ team, query, isWriter }: { team: string; query: ShownQuery; isWriter: boolean }) {
  if (query.status !== undefined) {
    return (
      <Notice title="Nothing found">
        <p>No document that matches your search is “{statusLabel(query.status)}”.</p>
      </Notice>
    );
  }
  if (query.q.trim() !== "") {
    return (
      <Notice title="Nothing found">
        <p>
          No {query.trash ? "deleted document" : "document"} has “{query.q.trim()}” in its title.
        </p>
      </Notice>
    );
  }
  if (query.trash) {
    return (
      <Notice title="The trash is empty" icon="bin">
        <p>Deleted documents are kept here for 30 days, for those who may restore them.</p>
      </Notice>
    );
  }
  return (
    <Notice title="Nothing here yet">
      {isWriter ? (
        <p>Give your first document a title above. Whoever has its link writes with you, live.</p>
      ) : (
        <p>As soon as someone in the team “{team}” makes a document, you find it here.</p>
      )}
    </Notice>
  );
}

function Failure({ listing: { documents, error, refresh } }: { listing: UsedDocuments }) {
  if (!error) return null;
  return (
    <div className="failure" data-testid="list-problem">
      <p>
        {documents ? "This list may be out of date: " : "The documents cannot be listed: "}
        {error.code === "disconnected" ? "the server is away." : reasonOf(error)}
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
