import type { Awareness } from "y-protocols/awareness";
import type { Live } from "./live.js";
import { personOf, type Person } from "./people.js";

/** A window in which a document is open, with what it shows to the others. An object never changes. */
export interface Participant {
  /** The Yjs client id of the window. */
  readonly clientId: number;
  /** The user of the window. `isSelf` is true for the window of this client only. */
  readonly person: Person;
  /** The fields of its awareness state besides `user`: the cursor of an editor, and what the application has set. */
  readonly presence: Readonly<Record<string, unknown>>;
}

/** The windows in which a document is open: that of this client, if it shows itself, and the others. */
export interface Participants {
  readonly self: Participant | undefined;
  readonly others: readonly Participant[];
}

interface Change {
  added: number[];
  updated: number[];
  removed: number[];
}

const known = new WeakMap<Awareness, Live<Participants>>();

/**
 * The participants of a document as a live value. The objects of participants that did not change stay the same, and so does the
 * value if nothing changed.
 */
export function participantsOf(awareness: Awareness): Live<Participants> {
  const live = known.get(awareness) ?? follow(awareness);
  known.set(awareness, live);
  return live;
}

function follow(awareness: Awareness): Live<Participants> {
  const subscribers = new Set<() => void>();
  const byClient = new Map<number, Participant>();
  let value: Participants | undefined;
  // The listener lasts as long as the awareness.
  awareness.on("change", ({ added, updated, removed }: Change) => {
    for (const client of [...added, ...updated, ...removed]) byClient.delete(client);
    value = undefined;
    for (const changed of [...subscribers]) changed();
  });
  const participant = (client: number, state: Record<string, unknown>) => {
    const found = byClient.get(client) ?? read(client, state, awareness);
    byClient.set(client, found);
    return found;
  };
  const getSnapshot = () => {
    // The own client id may be another one than before.
    if (value && (value.self?.clientId ?? awareness.clientID) === awareness.clientID) return value;
    const all = [...awareness.getStates()].map(([client, state]) => participant(client, state));
    const others = all.filter(({ clientId }) => clientId !== awareness.clientID);
    value = { self: all.find(({ clientId }) => clientId === awareness.clientID), others };
    return value;
  };
  const subscribe = (changed: () => void) => {
    const subscriber = () => changed();
    subscribers.add(subscriber);
    return () => subscribers.delete(subscriber);
  };
  return { subscribe, getSnapshot };
}

function read(clientId: number, { user, ...presence }: Record<string, unknown>, awareness: Awareness): Participant {
  return { clientId, person: personOf(user, clientId, clientId === awareness.clientID), presence };
}
