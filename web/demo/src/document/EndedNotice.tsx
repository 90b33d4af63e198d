import type { DocumentInfo } from "@realtime-server/client";
import { useRealtime } from "@realtime-server/client/react";
import { mayDelete } from "../list/documents";
import { Link } from "../navigation/Link";
import { useSession } from "../session/session";
import { ActionButton } from "./ActionButton";

interface EndedNoticeProps {
  ended: "deleted" | "replaced";
  /** The newest metadata: of a deleted document with `deleted_at`. */
  info: DocumentInfo | undefined;
  onInfo: (info: DocumentInfo) => void;
  onReopen: () => void;
}

/** Explains that the document has ended and only its old text is shown, and how to continue. */
export function EndedNotice({ ended, info, onInfo, onReopen }: EndedNoticeProps) {
  const { identity } = useSession();
  const { documents } = useRealtime();
  const isDeleted = ended === "deleted";
  // Someone may have restored it, or made a new one, meanwhile.
  const isThere = !isDeleted || (info !== undefined && info.deleted_at === undefined);
  return (
    <section className="ended" aria-label="This document has ended">
      <h2>{isDeleted ? "This document was deleted" : "This document was replaced"}</h2>
      <p>
        {isDeleted
          ? "Below is what this browser still has of it. You can copy from it, and nothing of it is sent any more."
          : "It was deleted, and someone has made a new one with the same name. Below is the old text, to copy from."}{" "}
        {isDeleted && isThere && "It is in the list again."}
      </p>
      <div className="form-actions">
        <Link to={{ view: "list" }} className="button">
          All documents
        </Link>
        {isThere && (
          <button type="button" className="button primary" onClick={onReopen}>
            {isDeleted ? "Open it again" : "Open the new one"}
          </button>
        )}
        {!isThere && info && mayDelete(info, identity) && (
          <ActionButton
            label="Restore"
            failure="The document was not restored"
            run={() => documents.restore(info.room, { documentId: info.document_id })}
            onDone={(restored) => {
              onInfo(restored);
              onReopen();
            }}
          />
        )}
      </div>
    </section>
  );
}
