import type { DocumentProvider, Thread } from "@realtime-server/client";
import type { Mentionable } from "@realtime-server/client/kit";
import { usePeople, usePresence } from "@realtime-server/client/react";
import { useMemo } from "react";

/** The people who can be mentioned: those in the document, those of the team who are here, and the authors of comments. */
export function useMentionable(
  provider: DocumentProvider | undefined,
  threads: readonly Thread[] | undefined,
): readonly Mentionable[] {
  const present = usePeople(provider);
  const { users } = usePresence();
  return useMemo(() => {
    const people = new Map<string, Mentionable>();
    for (const { author } of (threads ?? []).flatMap(({ comments }) => comments)) people.set(author.id, author);
    for (const { user } of users) people.set(user.id, user);
    for (const { id, name, color } of present) people.set(id, { id, name, color });
    return [...people.values()].sort((a, b) => a.name.localeCompare(b.name));
  }, [present, users, threads]);
}
