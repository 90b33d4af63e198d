import type { DocumentInfo, User } from "@realtime-server/client";
import { exactTime, StatusBadge, timeAgo } from "@realtime-server/client/kit";
import { useEffect, useState } from "react";
import { Link } from "../navigation/Link";
import type { Identity } from "../session/identity";
import { Icon } from "../ui/Icon";
import { Menu, type MenuItem } from "../ui/Menu";
import { mayDelete, mayEdit, titleOf } from "./documents";
import { TitleField } from "./TitleField";
import type { ShownDocument } from "./useHeldOrder";
import { Whereabouts } from "./Whereabouts";

/** What the rows of the list need. */
export interface RowContext {
  readonly identity: Identity;
  readonly now: number;
  /** Moves a document to the trash. */
  readonly remove: (document: DocumentInfo) => void;
  /** Takes a document out of the trash. */
  readonly restore: (document: DocumentInfo) => void;
  /** Called when something in a row opens and closes for which the list has to keep still. */
  readonly hold: (isHeld: boolean) => void;
}

interface RowProps extends RowContext {
  shown: ShownDocument;
  people: readonly User[];
}

/** A document in the list. */
export function DocumentRow({ shown: { document, isGone }, people, ...context }: RowProps) {
  const [isRenaming, setRenaming] = useState(false);
  const { identity, now, remove, hold } = context;
  const title = titleOf(document);
  useEffect(() => {
    // The row's menu or field is gone with the document.
    if (isGone) hold(false);
  }, [isGone, hold]);
  if (isGone) return <GoneRow document={document} />;
  const rename = (isBegun: boolean) => {
    setRenaming(isBegun);
    hold(isBegun);
  };
  const items: MenuItem[] = [];
  if (mayEdit(document)) items.push({ label: "Rename", run: () => rename(true) });
  if (mayDelete(document, identity)) items.push({ label: "Move to the trash", run: () => remove(document) });
  return (
    <li className="document-row">
      <Icon name="document" />
      {isRenaming ? (
        <div className="document-name">
          <TitleField document={document} isFocused onEnd={() => rename(false)} />
        </div>
      ) : (
        <Link to={{ view: "document", room: document.room, team: identity.team }} className="document-name">
          {title}
        </Link>
      )}
      {!mayEdit(document) && (
        <span className="badge">
          <Icon name="eye" />
          View only
        </span>
      )}
      <Whereabouts people={people} team={identity.team} />
      <span className="document-facts">
        <StatusBadge status={document.status} />
        <Time at={document.updated_at} now={now} what="edited" />
      </span>
      {items.length > 0 && <Menu label={`Actions for ${title}`} items={items} onToggle={hold} />}
    </li>
  );
}

/** A document in the trash. */
export function TrashRow({ shown: { document, isGone }, now, restore }: RowProps) {
  if (isGone) return <GoneRow document={document} />;
  const title = titleOf(document);
  return (
    <li className="document-row">
      <Icon name="bin" />
      <span className="document-name">{title}</span>
      <Time at={document.deleted_at ?? document.updated_at} now={now} what="deleted" />
      <button type="button" className="button" aria-label={`Restore ${title}`} onClick={() => restore(document)}>
        Restore
      </button>
    </li>
  );
}

/** The place of a document that has left the list while the pointer was on the list. */
function GoneRow({ document }: { document: DocumentInfo }) {
  return (
    <li className="document-row" data-gone="true">
      <Icon name={document.deleted_at === undefined ? "bin" : "document"} />
      <span className="document-name">{titleOf(document)}</span>
      <span className="gone">no longer here</span>
    </li>
  );
}

function Time({ at, now, what }: { at: string; now: number; what: string }) {
  const moment = Date.parse(at);
  return (
    <time dateTime={at} title={exactTime(moment)}>
      {what} {timeAgo(moment, now)}
    </time>
  );
}
