import type { User } from "@realtime-server/client";
import { usePresence } from "@realtime-server/client/react";
import { useMemo } from "react";

/** Who is in which document, by the names of rooms. */
export function useWhereabouts(): ReadonlyMap<string, readonly User[]> {
  const { users } = usePresence();
  return useMemo(() => {
    const people = new Map<string, User[]>();
    for (const { user, rooms } of users) {
      for (const room of rooms) people.set(room, [...(people.get(room) ?? []), user]);
    }
    return people;
  }, [users]);
}
