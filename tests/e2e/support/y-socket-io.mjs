// Stock clients of y-socket.io: its SocketIOProvider, as published, with a document of its own.

import { io } from "socket.io-client";
import { SocketIOProvider } from "y-socket.io";
import * as Y from "yjs";
import { token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";

const open = new Set();

// Each provider listens for the end of the process.
process.setMaxListeners(0);

/** Closes every client that is still open; for `afterEach`. */
export function closeStock() {
  for (const client of open) client.close();
}

/** A replica that a SocketIOProvider keeps in step with the server. It has what `converged` of `room.mjs` compares. */
export class Stock {
  unacknowledged = 0;
  faults = [];
  /** Reasons of disconnects, messages of connection errors, and the server's own events, in their order. */
  disconnects = [];
  refusals = [];
  told = [];

  /**
   * @param options `person` or `token` (a string or a function, as `auth`); `doc`; and further options of socket.io-client.
   */
  constructor(server, room, { person, token: given, doc = new Y.Doc(), ...options } = {}) {
    this.doc = doc;
    const own = given ?? token(person);
    const auth = typeof own === "function" ? (send) => send({ token: own() }) : { token: own };
    const reconnection = { reconnectionDelay: 20, reconnectionDelayMax: 200 };
    // Without the channel between the tabs of a browser, by which the replicas of one process would meet.
    const configuration = { auth, disableBc: true, autoConnect: false };
    this.provider = new SocketIOProvider(server.url, room, doc, configuration, { ...reconnection, ...options });
    open.add(this);
    this.provider.on("connection-error", ({ message }) => this.refusals.push(message));
    this.socket.on("disconnect", (reason) => this.disconnects.push(reason));
    for (const event of ["session_ended", "room_closed", "request_error", "token_expiring"]) {
      this.socket.on(event, (payload) => this.told.push([event, payload]));
    }
    this.provider.connect();
  }

  /** Connects, and waits until the provider says that it is synchronised. */
  static async open(server, room, options) {
    const client = new Stock(server, room, options);
    await until(`${room} is synchronised`, () => client.provider.synced || client.refusals.length > 0);
    if (client.refusals.length === 0) return client;
    client.close();
    throw new Error(client.refusals[0]);
  }

  /** The code of the refusal of a connection, or `accepted`. */
  static async refused(server, room, options) {
    const client = new Stock(server, room, { reconnection: false, ...options });
    const outcome = await until(
      "the server has decided",
      () => client.refusals[0] ?? (client.socket.connected && "accepted"),
    );
    client.close();
    return outcome;
  }

  get socket() {
    return this.provider.socket;
  }

  get awareness() {
    return this.provider.awareness;
  }

  get text() {
    return this.doc.getText("text");
  }

  get content() {
    return this.text.toString();
  }

  get map() {
    return this.doc.getMap("map");
  }

  /** Types at the end of the text, one update a character. */
  type(characters) {
    for (const character of characters) this.text.insert(this.text.length, character);
  }

  /** Breaks the connection without a close packet, as a lost network does; the client reconnects by itself. */
  breakTransport() {
    this.socket.io.engine.close();
  }

  close() {
    open.delete(this);
    // First, since a connected provider opens a channel to other tabs at its end, which keeps the process running.
    this.socket.disconnect();
    this.provider.destroy();
  }
}

/** A bare client in the namespace of a room, for what the provider would not send. */
export class Bare {
  /** The answers that the server asked for and did not get: functions that answer. */
  asked = [];
  disconnects = [];
  told = [];

  constructor(server, room, { person, ...options } = {}) {
    this.socket = io(`${server.url}/yjs|${room}`, {
      auth: { token: token(person) },
      transports: ["websocket"],
      forceNew: true,
      reconnectionDelay: 20,
      ...options,
    });
    open.add(this);
    this.socket.on("disconnect", (reason) => this.disconnects.push(reason));
    this.socket.on("sync-step-1", (stateVector, answer) => this.asked.push({ stateVector, answer }));
    for (const event of ["session_ended", "room_closed", "request_error"]) {
      this.socket.on(event, (payload) => this.told.push([event, payload]));
    }
  }

  static async connect(server, room, options) {
    const client = new Bare(server, room, options);
    await until("the client is connected", () => client.socket.connected);
    return client;
  }

  /** The whole document, by a step 1. */
  async sync(doc = new Y.Doc()) {
    const update = await this.socket.timeout(60_000).emitWithAck("sync-step-1", Y.encodeStateVector(doc));
    Y.applyUpdate(doc, new Uint8Array(update));
    return doc;
  }

  close() {
    open.delete(this);
    this.socket.disconnect();
  }
}
