import type { DocumentInfo } from "@realtime-server/client";
import { ConnectionBanner, timeAgo, useConnectionStatus, useNow } from "@realtime-server/client/kit";
import { useConnection, useRealtime } from "@realtime-server/client/react";
import { mayDelete, titleOf } from "../list/documents";
import { Link } from "../navigation/Link";
import { useArrival } from "../navigation/useArrival";
import { mayWrite } from "../session/identity";
import { useSession } from "../session/session";
import { listStatus } from "../status/listStatus";
import { useUnsavedDocuments } from "../status/unsaved";
import { Header } from "../ui/Header";
import { Icon } from "../ui/Icon";
import { Notice } from "../ui/Notice";
import { ActionButton } from "./ActionButton";
import type { Asked } from "./useDocumentInfo";

interface AbsentDocumentProps {
  room: string;
  asked: Exclude<Asked, { kind: "found" }>;
  onInfo: (info: DocumentInfo) => void;
}

/** The view of a document that is not opened: why there is no text, and what this user can do. */
export function AbsentDocument({ room, asked, onInfo }: AbsentDocumentProps) {
  const status = listStatus(useConnectionStatus(), useUnsavedDocuments());
  const main = useArrival();
  const back = (
    <Link to={{ view: "list" }} className="icon-button" label="All documents" tooltip="All documents">
      <Icon name="back" />
    </Link>
  );
  const title = asked.kind === "asking" ? "Opening…" : asked.kind === "deleted" ? titleOf(asked.info) : "No document";
  return (
    <>
      <header className="top">
        <Header title={title} status={status} before={back} />
        <ConnectionBanner status={status} data-testid="banner" />
      </header>
      <main ref={main} className="column" id="content" aria-label={title} tabIndex={-1}>
        {asked.kind === "not begun" && <NotBegun room={room} onInfo={onInfo} />}
        {asked.kind === "no access" && <NoAccess />}
        {asked.kind === "deleted" && <Deleted info={asked.info} onInfo={onInfo} />}
      </main>
    </>
  );
}

function NotBegun({ room, onInfo }: Pick<AbsentDocumentProps, "room" | "onInfo">) {
  const { identity } = useSession();
  const { connection } = useConnection();
  const { documents } = useRealtime();
  const isWriter = connection ? connection.rights.includes("edit") : mayWrite(identity.role);
  return (
    <Notice title="Nobody has begun this document yet">
      {isWriter ? (
        <p>
          The link may be mistyped, or be meant for a new document. You can begin it, and others find it by the same
          link.
        </p>
      ) : (
        <p>
          You are here as a {identity.role}, and only people who may write can begin a document. As soon as one of them
          does, it shows up here by itself.
        </p>
      )}
      <div className="notice-actions">
        {isWriter && (
          <ActionButton
            label="Begin this document"
            failure="The document was not created"
            run={() => documents.create(room)}
            onDone={onInfo}
          />
        )}
        <AllDocuments />
      </div>
    </Notice>
  );
}

function NoAccess() {
  return (
    <Notice title="You have no access to this document" icon="eye">
      <p>
        Ask the person who sent you the link. If you have another identity that may see it, change who you are above.
      </p>
      <AllDocuments />
    </Notice>
  );
}

function Deleted({ info, onInfo }: { info: DocumentInfo; onInfo: (info: DocumentInfo) => void }) {
  const { identity } = useSession();
  const now = useNow();
  const { documents } = useRealtime();
  const isAllowed = mayDelete(info, identity);
  const moment = Date.parse(info.deleted_at ?? info.updated_at);
  return (
    <Notice title="This document was deleted" icon="bin">
      <p>
        “{titleOf(info)}” was moved to the trash {timeAgo(moment, now)}, and stays there for 30 days.{" "}
        {!isAllowed && "Whoever created or deleted it, or an admin, can restore it."}
      </p>
      <div className="notice-actions">
        {isAllowed && (
          <ActionButton
            label="Restore"
            failure="The document was not restored"
            run={() => documents.restore(info.room, { documentId: info.document_id })}
            onDone={onInfo}
          />
        )}
        <AllDocuments />
      </div>
    </Notice>
  );
}

function AllDocuments() {
  return (
    <Link to={{ view: "list" }} className="button">
      All documents
    </Link>
  );
}
