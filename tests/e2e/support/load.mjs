// Several users who keep editing one document, and a record of the updates that were acknowledged.

import { Client } from "./client.mjs";
import { pause, until } from "@realtime-server/harness/until";

/** How many updates of a writer may await their acknowledgement: enough to keep a group commit busy. */
const WINDOW = 20;

/** Writers, each setting key after key of the document's map: `writer:number`. */
export class Load {
  /** Keys whose updates were acknowledged: none of them may be lost afterwards. */
  acknowledged = new Set();
  /** All keys that were set. */
  written = new Set();
  rooms = [];

  #clients = [];
  #running = [];
  #stopped = true;

  /** Connects `writers` users, who join `room` and do not write yet. */
  static async join(server, room, { writers = 3, options } = {}) {
    const load = new Load();
    for (let writer = 1; writer <= writers; writer += 1) {
      const client = await Client.connect(server, { person: { user: `writer-${writer}` }, ...options });
      load.#clients.push(client);
      load.rooms.push(await client.join(room));
    }
    return load;
  }

  /** All writers write, until {@link stop}. */
  start() {
    this.#stopped = false;
    this.#running = this.rooms.map((room, writer) => this.#write(room, writer));
  }

  /** All writers stop; updates that were sent may still be answered. */
  async stop() {
    this.#stopped = true;
    await Promise.all(this.#running);
  }

  /** Disconnects all writers. */
  disconnect() {
    for (const { socket } of this.#clients) socket.disconnect();
  }

  /** Connects all writers again: their rooms join again and send what the server lacks. */
  async reconnect() {
    for (const { socket } of this.#clients) socket.connect();
    await until("all writers are connected", () => this.#clients.every(({ socket }) => socket.connected));
    await this.settled();
  }

  /** Waits until all writers are connected and all updates acknowledged. */
  async settled(timeout_ms) {
    await until(
      "all updates are acknowledged",
      () => this.#clients.every(({ socket }) => socket.connected) && this.rooms.every((room) => room.settled),
      timeout_ms,
    );
  }

  /** The reasons of all disconnects so far. */
  get disconnects() {
    return this.#clients.flatMap((client) => client.disconnects);
  }

  async #write(room, writer) {
    let number = room.written ?? 0;
    while (!this.#stopped) {
      const key = `${writer}:${number}`;
      number += 1;
      this.written.add(key);
      room
        .edit(({ map }) => map.set(key, number))
        .then(
          () => this.acknowledged.add(key),
          () => {},
        );
      do await pause(1);
      while (!this.#stopped && room.unacknowledged >= WINDOW);
    }
    room.written = number;
  }
}
