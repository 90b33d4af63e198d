// Several people who keep editing one document, and a record of what the server acknowledged to them.

import { Client } from "./client.mjs";
import { pause, until } from "@realtime-server/harness/until";

/** How many updates of a writer may await their acknowledgement: enough to keep a group commit busy. */
const WINDOW = 20;

/** Writers, each setting key after key of the document's map: `writer:number`. */
export class Load {
  /** Keys whose updates the server acknowledged: it may never lose one of them again. */
  acknowledged = new Set();
  /** Keys that were set at all. */
  written = new Set();
  rooms = [];

  #clients = [];
  #running = [];
  #stopped = true;

  /** Connects `writers` people and lets them join `room`; nobody writes yet. */
  static async join(server, room, { writers = 3, options } = {}) {
    const load = new Load();
    for (let writer = 1; writer <= writers; writer += 1) {
      const client = await Client.connect(server, { person: { user: `writer-${writer}` }, ...options });
      load.#clients.push(client);
      load.rooms.push(await client.join(room));
    }
    return load;
  }

  /** Everybody writes, until {@link stop}. */
  start() {
    this.#stopped = false;
    this.#running = this.rooms.map((room, writer) => this.#write(room, writer));
  }

  /** Everybody stops writing; what is under way goes on. */
  async stop() {
    this.#stopped = true;
    await Promise.all(this.#running);
  }

  /** Takes everybody off the network, with what they have not got rid of. */
  disconnect() {
    for (const { socket } of this.#clients) socket.disconnect();
  }

  /** Brings everybody back: their rooms join again and hand in what is missing. */
  async reconnect() {
    for (const { socket } of this.#clients) socket.connect();
    await until("everybody is back", () => this.#clients.every(({ socket }) => socket.connected));
    await this.settled();
  }

  /** Waits until everybody is connected and everything is acknowledged. */
  async settled(timeout_ms) {
    await until(
      "everything is acknowledged",
      () => this.#clients.every(({ socket }) => socket.connected) && this.rooms.every((room) => room.settled),
      timeout_ms,
    );
  }

  /** Why the connections ended so far. */
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
