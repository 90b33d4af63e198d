import { preferredColor, type User } from "@realtime-server/client";
import { Avatar } from "@realtime-server/client/kit";

/** How many people are shown; the number of the others follows them. */
const SHOWN_MAX = 3;

interface WhereaboutsProps {
  people: readonly User[];
  team: string;
}

/** The people of the team who have a document open. */
export function Whereabouts({ people, team }: WhereaboutsProps) {
  if (people.length === 0) return null;
  const names = people.map(({ name }) => name).join(", ");
  const others = people.length - SHOWN_MAX;
  return (
    <span className="whereabouts" role="img" aria-label={`Here now: ${names}`} title={names}>
      {people.slice(0, SHOWN_MAX).map(({ id, name }) => (
        <Avatar key={id} name={name} color={preferredColor(team, id)} />
      ))}
      {others > 0 && <span className="realtime-avatar realtime-more">+{others}</span>}
    </span>
  );
}
