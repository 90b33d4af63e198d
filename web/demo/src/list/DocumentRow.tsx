import { Link } from "../navigation/Link";
import { Icon } from "../ui/Icon";
import type { ListedDocument } from "./documents";
import { timeAgo } from "./timeAgo";

const exact = new Intl.DateTimeFormat("en", { dateStyle: "full", timeStyle: "short" });

/** A document in the list. */
export function DocumentRow({ document, now }: { document: ListedDocument; now: number }) {
  const { room, permission, updatedAt } = document;
  const isViewOnly = permission !== "edit" && permission !== "manage";
  return (
    <li>
      <Link to={{ view: "document", room }} className="document-row">
        <Icon name="document" />
        <span className="document-name">{room}</span>
        {isViewOnly && (
          <span className="badge">
            <Icon name="eye" />
            View only
          </span>
        )}
        <time dateTime={new Date(updatedAt).toISOString()} title={exact.format(updatedAt)}>
          edited {timeAgo(updatedAt, now)}
        </time>
      </Link>
    </li>
  );
}
