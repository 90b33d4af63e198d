import { ActivityButton } from "../activity/ActivityButton";
import { StatusFilter } from "./StatusFilter";
import { useEffect, useState } from "react";
import { Icon } from "../ui/Icon";
import type { ShownQuery, Sort } from "./documents";

const SORTS: Record<Sort, string> = { updated: "Last edited", created: "Newest", title: "By title" };

/** How long typing has to pause before the list is searched. */
const PAUSE_MS = 250;

interface ListToolsProps {
  query: ShownQuery;
  onChange: (query: ShownQuery) => void;
}

/** The search, the status, the order and the trash of the list, and the activity of the team. */
export function ListTools({ query, onChange }: ListToolsProps) {
  const [typed, setTyped] = useState(query.q);
  useEffect(() => {
    if (typed === query.q) return;
    const timer = setTimeout(() => onChange({ ...query, q: typed }), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [typed, query, onChange]);
  return (
    <div className="list-tools" role="search">
      <input
        type="search"
        aria-label={query.trash ? "Search the trash" : "Search the documents"}
        placeholder="Search"
        autoComplete="off"
        value={typed}
        onChange={({ target }) => setTyped(target.value)}
      />
      {!query.trash && <StatusFilter status={query.status} onChange={(status) => onChange({ ...query, status })} />}
      {!query.trash && (
        <select
          aria-label="Order"
          value={query.sort}
          onChange={({ target }) => onChange({ ...query, sort: isSort(target.value) ? target.value : "updated" })}
        >
          {Object.entries(SORTS).map(([sort, label]) => (
            <option key={sort} value={sort}>
              {label}
            </option>
          ))}
        </select>
      )}
      <button
        type="button"
        className="button"
        aria-pressed={query.trash}
        onClick={() => onChange({ ...query, trash: !query.trash, status: undefined })}
      >
        <Icon name="bin" />
        Trash
      </button>
      <ActivityButton />
    </div>
  );
}

function isSort(value: string): value is Sort {
  return Object.hasOwn(SORTS, value);
}
