import { Avatar } from "@realtime-server/client/kit";
import type { Present } from "./useWhereabouts";

/** How many people are shown; the number of the others follows them. */
const SHOWN_MAX = 3;

/** The people who have a document open. */
export function Whereabouts({ people }: { people: readonly Present[] }) {
  if (people.length === 0) return null;
  const names = people.map(({ name }) => name).join(", ");
  const others = people.length - SHOWN_MAX;
  return (
    <span className="whereabouts" role="img" aria-label={`Here now: ${names}`} title={names}>
      {people.slice(0, SHOWN_MAX).map(({ id, name, color }) => (
        <Avatar key={id} name={name} color={color} />
      ))}
      {others > 0 && <span className="realtime-avatar realtime-more">+{others}</span>}
    </span>
  );
}
