import { useCallback, useId, type HTMLAttributes, type ReactNode, type RefCallback } from "react";
import type { DocumentProvider } from "../document.js";
import type { Person } from "../people.js";
import { Avatar } from "./Avatar.js";
import { nameOf, useAvatarStack } from "./hooks.js";

/** The properties of `AvatarStack`; others are passed to its outer element. */
export interface AvatarStackProps extends HTMLAttributes<HTMLDivElement> {
  provider: DocumentProvider | undefined;
  /** How many avatars there are at most, the number of the people without one included. Default: 4. */
  max?: number;
  /** Called with the person whose avatar or name was pressed, to go to that person's caret. Without it, the names are only shown. */
  onFollow?: ((person: Person) => void) | undefined;
  /** The id of the person who is followed. */
  followed?: string | undefined;
}

/**
 * The people in a document: an avatar for each of the first ones, and a list of all names, which one's own avatar and the number of
 * the others open. It draws nothing while nobody is known to be there. Its styles are in `kit.css`.
 */
export function AvatarStack({ provider, max = 4, onFollow, followed, className, ...rest }: AvatarStackProps) {
  const { people, shown, hidden, words } = useAvatarStack(provider, max);
  const listId = useId();
  if (people.length === 0) return null;
  return (
    <div {...rest} role="group" aria-label={words} className={["realtime-people", className].filter(Boolean).join(" ")}>
      {shown.map((person) =>
        person.isSelf || !onFollow ? (
          <ListButton key={person.id} listId={listId} label={nameOf(person)} tooltip={nameOf(person)}>
            <Face person={person} />
          </ListButton>
        ) : (
          <FollowButton
            key={person.id}
            className="realtime-person"
            person={person}
            isFollowed={person.id === followed}
            onPress={() => onFollow(person)}
          >
            <Face person={person} />
          </FollowButton>
        ),
      )}
      {hidden.length > 0 && (
        <ListButton listId={listId} label={`${hidden.length} more`} tooltip={hidden.map(nameOf).join(", ")}>
          <span className="realtime-face">
            <span className="realtime-avatar realtime-more">+{hidden.length}</span>
          </span>
        </ListButton>
      )}
      <PeopleList id={listId} people={people} followed={followed} onFollow={onFollow} />
    </div>
  );
}

function Face({ person }: { person: Person }) {
  return (
    <span className="realtime-face" data-self={person.isSelf}>
      <Avatar name={person.name} color={person.color} />
    </span>
  );
}

interface ListButtonProps {
  listId: string;
  label: string;
  tooltip: string;
  children: ReactNode;
}

/** Opens the list of all names. */
function ListButton({ listId, label, tooltip, children }: ListButtonProps) {
  // React 18 does not know the attribute.
  const opens = useCallback((button: HTMLElement | null) => button?.setAttribute("popovertarget", listId), [listId]);
  return (
    <button
      ref={opens}
      type="button"
      className="realtime-person"
      aria-label={`${label}. Show everyone here`}
      data-tooltip={tooltip}
    >
      {children}
    </button>
  );
}

interface FollowButtonProps {
  className?: string;
  person: Person;
  isFollowed: boolean;
  onPress: () => void;
  children: ReactNode;
}

function FollowButton({ className, person: { name }, isFollowed, onPress, children }: FollowButtonProps) {
  return (
    <button
      type="button"
      className={className}
      aria-label={`Follow ${name}`}
      aria-pressed={isFollowed}
      data-tooltip={`${isFollowed ? "Stop following" : "Follow"} ${name}`}
      onClick={onPress}
    >
      {children}
    </button>
  );
}

interface PeopleListProps extends Pick<AvatarStackProps, "followed" | "onFollow"> {
  id: string;
  people: readonly Person[];
}

/** The names of all people, in a popover below the stack. */
function PeopleList({ id, people, followed, onFollow }: PeopleListProps) {
  return (
    // React 18 does not know the attribute.
    <div ref={placeBelow} id={id} className="realtime-people-list" {...{ popover: "auto" }}>
      <h2>Here now</h2>
      <ul>
        {people.map((person) => (
          <li key={person.id}>
            <Avatar name={person.name} color={person.color} />
            <span className="realtime-name">{nameOf(person)}</span>
            {onFollow && !person.isSelf && (
              <FollowButton
                person={person}
                isFollowed={person.id === followed}
                onPress={() => {
                  document.getElementById(id)?.hidePopover();
                  onFollow(person);
                }}
              >
                {person.id === followed ? "Stop" : "Follow"}
              </FollowButton>
            )}
          </li>
        ))}
      </ul>
    </div>
  );
}

/** A popover is in the browser's top layer, so its position is computed from that of its parent whenever it opens. */
const placeBelow: RefCallback<HTMLElement> = (list) => {
  list?.addEventListener("beforetoggle", (event) => {
    const stack = list.parentElement?.getBoundingClientRect();
    if (!stack || event.newState !== "open") return;
    list.style.top = `${stack.bottom + 8}px`;
    list.style.right = `${document.documentElement.clientWidth - stack.right}px`;
  });
};
