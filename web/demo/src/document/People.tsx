import type { DocumentProvider, Person } from "@realtime-server/client";
import { usePeople } from "@realtime-server/client/react";
import { useId, useRef, type ToggleEvent } from "react";
import { Avatar } from "../ui/Avatar";
import { useNarrow } from "../ui/useNarrow";

/** How many people are shown beside the title; the number of the others is shown after them. */
const SHOWN_MAX = { wide: 4, narrow: 2 };

/** The people in the document: a button with some initials, and the list of all names that it opens. */
export function People({ provider }: { provider: DocumentProvider | undefined }) {
  const people = usePeople(provider);
  const max = useNarrow() ? SHOWN_MAX.narrow : SHOWN_MAX.wide;
  const listId = useId();
  const button = useRef<HTMLButtonElement>(null);
  if (people.length === 0) return null;
  const shown = people.length > max ? people.slice(0, max - 1) : people;
  const hidden = people.length - shown.length;
  const names = people.map(nameOf).join(", ");
  // The list is in the browser's top layer, so its position has to be computed from that of the button.
  const place = ({ newState, currentTarget }: ToggleEvent<HTMLElement>) => {
    const under = button.current?.getBoundingClientRect();
    if (newState !== "open" || !under) return;
    currentTarget.style.top = `${under.bottom + 8}px`;
    currentTarget.style.right = `${document.documentElement.clientWidth - under.right}px`;
  };
  return (
    <>
      <button
        ref={button}
        type="button"
        className="people"
        popoverTarget={listId}
        aria-label={`${people.length === 1 ? "1 person" : `${people.length} people`} here: ${names}`}
        data-testid="people"
      >
        {shown.map((person) => (
          <span key={person.id} className="person" data-tooltip={nameOf(person)} data-self={person.isSelf}>
            <Avatar name={person.name} color={person.color} />
          </span>
        ))}
        {hidden > 0 && (
          <span className="person" data-tooltip={people.slice(-hidden).map(nameOf).join(", ")}>
            <span className="avatar people-more">+{hidden}</span>
          </span>
        )}
      </button>
      <div id={listId} popover="auto" className="people-list" onToggle={place}>
        <h2>Here now</h2>
        <ul>
          {people.map((person) => (
            <li key={person.id}>
              <Avatar name={person.name} color={person.color} />
              {nameOf(person)}
            </li>
          ))}
        </ul>
      </div>
    </>
  );
}

function nameOf({ name, isSelf }: Person): string {
  return isSelf ? `${name} (you)` : name;
}
