import type { RealtimeClient } from "./client.js";
import { RealtimeError } from "./error.js";
import { LiveValue, type Live } from "./live.js";
import { Pacer } from "./pacer.js";
import type { Activity, PresenceEntry, PresenceStatus, Requests } from "./protocol.js";

/** The people of the team who are present. Every change makes a new object; an object never changes. */
export interface PresenceState {
  /** One entry for each person, whatever the number of tabs, by name; at most 500. Empty until the first answer. */
  readonly users: readonly PresenceEntry[];
  /** How many people there are. */
  readonly total: number;
  /** Why they could not be fetched. They are fetched again after a reconnect. */
  readonly error: RealtimeError | undefined;
}

/** What the user of this client shows of themselves. What is left out stays as it is. */
export interface OwnPresence {
  /** Of several tabs `busy` wins, then `online`. */
  status?: PresenceStatus | undefined;
  /** Null ends the activity. */
  activity?: Activity | null | undefined;
}

/** Who is present, and in which documents. */
export class Presence {
  readonly #client: RealtimeClient;
  #own: OwnPresence | undefined;

  /** Use `client.presence`. */
  constructor(client: RealtimeClient) {
    this.#client = client;
  }

  /**
   * Shows the presence of this user to the team, now and after each reconnect.
   *
   * @throws {RealtimeError} `invalid` with `field`, if a text is too long; `forbidden`, if this user may not view the room of the
   * activity; `rate_limited`. Without a connection it is sent after the next connect, and nothing is thrown.
   */
  async set(own: OwnPresence): Promise<void> {
    if (!this.#own) this.#client.on("status", (status) => status === "connected" && this.#sendAgain());
    this.#own = { ...this.#own, ...own };
    if (!this.#client.connection) return;
    try {
      await this.#client.request("presence_update", wire(own));
    } catch (error) {
      if (!(error instanceof RealtimeError) || error.code !== "disconnected") throw error;
    }
  }

  /** The people in the team, or in a room, kept up to date. */
  watch({ room }: { room?: string | undefined } = {}): Live<PresenceState> {
    return new PresenceList(this.#client, room);
  }

  #sendAgain(): void {
    // An error was thrown when it was set.
    this.#client.send("presence_update", wire(this.#own ?? {}), () => {});
  }
}

function wire({ status, activity }: OwnPresence): Requests["presence_update"]["payload"] {
  return { ...(status && { status }), ...(activity !== undefined && { activity }) };
}

/** The shortest time between two lists in a large team, whose changes are not told one by one, in milliseconds. */
const INTERVAL_MS = 5_000;

/** The people in the team or in a room: fetched after each connect, and changed by each `presence_update`. */
class PresenceList extends LiveValue<PresenceState> {
  readonly #client: RealtimeClient;
  readonly #room: string | undefined;
  readonly #pacer = new Pacer(INTERVAL_MS, () => this.#list());
  /** The number of the present fetch, by which answers to earlier ones are recognised and ignored. */
  #fetch = 0;
  /** The updates since the present fetch was begun: its answer may not have them yet. */
  #updates: PresenceEntry[] = [];

  constructor(client: RealtimeClient, room: string | undefined) {
    super({ users: [], total: 0, error: undefined });
    this.#client = client;
    this.#room = room;
  }

  protected start(): () => void {
    const client = this.#client;
    const connected = (status: string) => {
      if (status === "connected") this.#list();
    };
    client.on("status", connected);
    const ends = [
      () => client.off("status", connected),
      client.subscribe("presence_update", (entry) => this.#updated(entry)),
      // The team is so large that not every entry is sent.
      client.subscribe("presence_changed", () => this.#pacer.request()),
    ];
    if (client.connection) this.#list();
    return () => {
      this.#fetch += 1;
      this.#pacer.cancel();
      for (const end of ends) end();
    };
  }

  #updated(entry: PresenceEntry): void {
    this.#updates.push(entry);
    const { users: before, total } = this.value;
    const users = this.#with(before, [entry]);
    this.change({ users, total: total + users.length - before.length });
  }

  #list(): void {
    const fetch = ++this.#fetch;
    this.#updates = [];
    const payload = this.#room === undefined ? {} : { room: this.#room };
    this.#client.send("presence_list", payload, (answer) => {
      if (fetch !== this.#fetch) return;
      if (answer instanceof RealtimeError) {
        this.change({ error: answer });
        return;
      }
      const listed = this.#with([], answer.users);
      const users = this.#with(listed, this.#updates);
      this.change({ users, total: answer.users_total + users.length - listed.length, error: undefined });
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
