import type { Awareness } from "y-protocols/awareness";

/** A person who has a document open, in any number of tabs. */
export interface Person {
  readonly id: string;
  readonly name: string;
  readonly avatarUrl: string | undefined;
  /** A CSS colour. */
  readonly color: string;
  /** Whether it is the user of this client. */
  readonly isSelf: boolean;
}

/**
 * The people in a document: the user of this client first, the others by name. The identity of others is reliable, since the
 * server overwrites the one that they send.
 */
export function people(awareness: Awareness): Person[] {
  const found = new Map<string, Person>();
  for (const [client, state] of awareness.getStates()) {
    const isSelf = client === awareness.clientID;
    const person = personOf(state.user, client, isSelf);
    const known = found.get(person.id);
    if (!known || isSelf) found.set(person.id, person);
  }
  return [...found.values()].sort((a, b) => Number(b.isSelf) - Number(a.isSelf) || a.name.localeCompare(b.name));
}

/** The person that the field `user` of an awareness state describes. */
export function personOf(user: unknown, client: number, isSelf: boolean): Person {
  const fields: Record<string, unknown> = typeof user === "object" && user !== null ? { ...user } : {};
  const text = (value: unknown) => (typeof value === "string" && value !== "" ? value : undefined);
  return {
    id: text(fields.id) ?? `client-${client}`,
    name: text(fields.name) ?? "Someone",
    avatarUrl: text(fields.avatar_url),
    color: text(fields.color) ?? "#6b7280",
    isSelf,
  };
}
