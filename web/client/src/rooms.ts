import type { ConnectionStatus } from "./connection.js";
import { RealtimeError } from "./error.js";
import type { ServerEvents } from "./protocol.js";

/** What a client calls to inform the provider of a room. */
export interface RoomListener {
  /** Whether anybody listens to the errors of the provider. */
  readonly isHeard: boolean;
  connected(): void;
  disconnected(): void;
  /** The token was renewed, and rights may have changed. */
  renewed(): void;
  statusChanged(status: ConnectionStatus): void;
  /** Receives an event whose payload names the room. */
  received(event: string, payload: RoomPayload): void;
}

/** The payload of an event of a room. */
export interface RoomPayload {
  room: string;
}

/** The events of a room. */
export type RoomEvents = {
  [E in keyof ServerEvents as ServerEvents[E] extends RoomPayload ? E : never]: ServerEvents[E];
};

/** The rooms that are open on a client: at most one listener for each. */
export class Rooms {
  readonly #listeners = new Map<string, RoomListener>();

  /**
   * Passes the events of a room to a listener until the returned function is called.
   *
   * @throws {RealtimeError} `conflict`, if the room already has a listener.
   */
  attach(room: string, listener: RoomListener): () => void {
    const listeners = this.#listeners;
    if (listeners.has(room)) throw new RealtimeError("conflict", `the document ${room} is already open on this client`);
    listeners.set(room, listener);
    return () => {
      if (listeners.get(room) === listener) listeners.delete(room);
    };
  }

  /** Whether anybody listens to the errors of one of the documents. */
  get isHeard(): boolean {
    return [...this.#listeners.values()].some(({ isHeard }) => isHeard);
  }

  connected(): void {
    this.#tell((room) => room.connected());
  }

  disconnected(): void {
    this.#tell((room) => room.disconnected());
  }

  renewed(): void {
    this.#tell((room) => room.renewed());
  }

  statusChanged(status: ConnectionStatus): void {
    this.#tell((room) => room.statusChanged(status));
  }

  /** Passes an event of the server to the room that its payload names, if there is one. */
  received(event: string, payload: unknown): void {
    if (!isRoomPayload(payload)) return;
    this.#listeners.get(payload.room)?.received(event, payload);
  }

  /** A listener may attach or detach rooms meanwhile. */
  #tell(what: (room: RoomListener) => void): void {
    for (const room of [...this.#listeners.values()]) what(room);
  }
}

function isRoomPayload(payload: unknown): payload is RoomPayload {
  return typeof payload === "object" && payload !== null && "room" in payload && typeof payload.room === "string";
}
