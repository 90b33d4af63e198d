import { useState, type ReactNode } from "react";
import { randomName } from "./names";
import { knownPeople } from "./people";
import { useSession } from "./session";

interface AnotherPersonProps {
  className?: string;
  label?: string;
  tooltip?: string;
  children: ReactNode;
}

/**
 * A link that opens this view in another window as another person, with a new name each time. The browser's own person stays that of
 * all other windows.
 */
export function AnotherPerson({ className, label, tooltip, children }: AnotherPersonProps) {
  const { team } = useSession().identity;
  const [name, setName] = useState(unusedName);
  const renew = () => setName(unusedName());
  // The address is made when it is needed: a document may have been opened or left since.
  const point = (link: HTMLAnchorElement) => {
    link.href = addressFor(name, team);
  };
  return (
    <a
      href={addressFor(name, team)}
      target="_blank"
      // Without it the window would begin with a copy of this window's storage, and with it this window's person.
      rel="noopener"
      className={className}
      aria-label={label}
      data-tooltip={tooltip}
      onPointerDown={({ currentTarget }) => point(currentTarget)}
      onFocus={({ currentTarget }) => point(currentTarget)}
      onClick={renew}
      onAuxClick={renew}
    >
      {children}
    </a>
  );
}

/** The address of this view, for a person of that name. */
function addressFor(name: string, team: string): string {
  const address = new URL(location.href);
  address.searchParams.set("name", name);
  // The team of a link to a document is part of the link.
  if (!address.searchParams.has("team")) address.searchParams.set("team", team);
  return address.href;
}

/** A name that nobody has who has used this browser: a name that somebody has would open a window as that person. */
function unusedName(): string {
  const used = new Set(knownPeople().map(({ name }) => name));
  const names = Array.from({ length: 20 }, randomName);
  return names.find((name) => !used.has(name)) ?? `${randomName()} ${used.size + 1}`;
}
