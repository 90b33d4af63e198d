import { useConnection, useRealtime } from "@realtime-server/client/react";
import { useEffect, useMemo, useState } from "react";

/** A person of the team who is connected. */
export interface Present {
  readonly id: string;
  readonly name: string;
  readonly color?: string;
}

interface Entry {
  readonly user: Present;
  readonly rooms: readonly string[];
}

/** Who is in which document, by the names of rooms. Empty if the server does not tell it. */
export function useWhereabouts(): ReadonlyMap<string, readonly Present[]> {
  const client = useRealtime();
  const isConnected = useConnection().status === "connected";
  const [entries, setEntries] = useState<ReadonlyMap<string, Entry>>(new Map());
  useEffect(() => {
    if (!isConnected) return;
    const { socket } = client;
    const put = (changed: readonly unknown[], isWhole: boolean) =>
      setEntries((before) => {
        const after = new Map(isWhole ? [] : before);
        for (const entry of changed.filter(isEntry)) after.set(entry.user.id, entry);
        return after;
      });
    const heard = (entry: unknown) => put([entry], false);
    socket.on("presence_update", heard);
    socket.emit("presence_list", {}, (answer: unknown) => {
      // A server without presence answers that it does not know the request.
      if (hasUsers(answer)) put(answer.users, true);
    });
    return () => {
      socket.off("presence_update", heard);
      setEntries(new Map());
    };
  }, [client, isConnected]);
  return useMemo(() => {
    const rooms = new Map<string, Present[]>();
    for (const { user, rooms: present } of entries.values()) {
      for (const room of present) rooms.set(room, [...(rooms.get(room) ?? []), user]);
    }
    return rooms;
  }, [entries]);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function hasUsers(answer: unknown): answer is { users: unknown[] } {
  return isObject(answer) && answer.ok === true && Array.isArray(answer.users);
}

function isEntry(value: unknown): value is Entry {
  if (!isObject(value) || !isObject(value.user) || !Array.isArray(value.rooms)) return false;
  return [value.user.id, value.user.name, ...(value.rooms as unknown[])].every((text) => typeof text === "string");
}
