import type { RealtimeClient } from "./client.js";
import { RealtimeError } from "./error.js";
import { LiveValue, type Live } from "./live.js";
import type { PresenceEntry, PresenceStatus } from "./protocol.js";

/** The people of the team who are present. Every change makes a new object; an object never changes. */
export interface PresenceState {
  /** One entry for each person, whatever the number of tabs, by name. Empty until the first answer. */
  readonly users: readonly PresenceEntry[];
  /** Why they could not be fetched. They are fetched again after a reconnect. */
  readonly error: RealtimeError | undefined;
}

/** What the user of this client shows of themselves. */
export interface OwnPresence {
  /** Default: `online`. Of several tabs `busy` wins, then `online`. */
  status?: PresenceStatus | undefined;
  activity?: { kind: string; room?: string; label?: string } | undefined;
}

/** Who is present, and in which documents. */
export class Presence {
  readonly #client: RealtimeClient;
  #own: OwnPresence | undefined;

  /** Use `client.presence`. */
  constructor(client: RealtimeClient) {
    this.#client = client;
  }

  /** Shows the presence of this user to the team, now and after each reconnect. */
  set(own: OwnPresence): void {
    if (!this.#own) this.#client.on("status", (status) => status === "connected" && this.#send());
    this.#own = own;
    if (this.#client.connection) this.#send();
  }

  /** The people in the team, or in a room, kept up to date. */
  watch({ room }: { room?: string | undefined } = {}): Live<PresenceState> {
    return new PresenceList(this.#client, room);
  }

  #send(): void {
    const { status, activity } = this.#own ?? {};
    // An error is ignored: the next reconnect sends it again.
    this.#client.send("presence_update", { ...(status && { status }), ...(activity && { activity }) }, () => {});
  }
}

/** The people in the team or in a room: fetched after each connect, and changed by each `presence_update`. */
class PresenceList extends LiveValue<PresenceState> {
  readonly #client: RealtimeClient;
  readonly #room: string | undefined;
  /** The number of the present fetch, by which answers to earlier ones are recognised and ignored. */
  #fetch = 0;
  /** The updates since the present fetch was begun: its answer may not have them yet. */
  #updates: PresenceEntry[] = [];

  constructor(client: RealtimeClient, room: string | undefined) {
    super({ users: [], error: undefined });
    this.#client = client;
    this.#room = room;
  }

  protected start(): () => void {
    const client = this.#client;
    const connected = (status: string) => {
      if (status === "connected") this.#list();
    };
    client.on("status", connected);
    const unsubscribe = client.subscribe("presence_update", (entry) => {
      this.#updates.push(entry);
      this.change({ users: this.#with(this.value.users, [entry]) });
    });
    if (client.connection) this.#list();
    return () => {
      this.#fetch += 1;
      client.off("status", connected);
      unsubscribe();
    };
  }

  #list(): void {
    const fetch = ++this.#fetch;
    this.#updates = [];
    const payload = this.#room === undefined ? {} : { room: this.#room };
    this.#client.send("presence_list", payload, (answer) => {
      if (fetch !== this.#fetch) return;
      if (answer instanceof RealtimeError) this.change({ error: answer });
      else this.change({ users: this.#with([], [...answer.users, ...this.#updates]), error: undefined });
    });
  }

  /** The people, with newer entries, of which those who have gone are removed. */
  #with(users: readonly PresenceEntry[], entries: readonly PresenceEntry[]): PresenceEntry[] {
    const found = new Map(users.map((entry) => [entry.user.id, entry]));
    for (const entry of entries) {
      const isHere = this.#room === undefined ? entry.status !== "offline" : entry.rooms.includes(this.#room);
      if (isHere) found.set(entry.user.id, entry);
      else found.delete(entry.user.id);
    }
    return [...found.values()].sort((a, b) => a.user.name.localeCompare(b.user.name));
  }
}
