// A client program: socket.io-client, as published. Error codes and shapes are checked against the protocol.

import assert from "node:assert/strict";
import { io } from "socket.io-client";
import { Room } from "./room.mjs";
import { token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";

const RETRYABLE = {
  unauthorized: false,
  token_expired: true,
  session_revoked: false,
  forbidden: false,
  not_found: false,
  conflict: false,
  invalid: false,
  too_large: false,
  rate_limited: true,
  too_many_rooms: false,
  too_many_connections: true,
  storage_unavailable: true,
  overloaded: true,
  draining: true,
  internal: false,
};

const open = new Set();

/** Closes every client that is still open; for `afterEach`. */
export function closeClients() {
  for (const client of open) client.close();
}

/** One client. It reconnects by itself, and its rooms join again by themselves, as in an application. */
export class Client {
  /** @type {Room[]} */
  rooms = [];
  /** Reasons of disconnects so far. */
  disconnects = [];

  /**
   * @param options `token` (a string, or a function that makes one for each attempt), or `person` (see tokens.mjs);
   *   `transports`, and further options of socket.io-client.
   */
  constructor(server, { person, token: given, ...options } = {}) {
    this.token = given ?? token(person);
    this.socket = io(server.url, {
      auth: (answer) => answer({ token: typeof this.token === "function" ? this.token() : this.token }),
      transports: ["websocket"],
      forceNew: true,
      reconnectionDelay: 20,
      reconnectionDelayMax: 200,
      ...options,
    });
    open.add(this);
    this.socket.on("disconnect", (reason) => this.disconnects.push(reason));
    this.socket.on("connection", (welcome) => (this.welcome = welcome));
  }

  /** Connects and waits for the server's `connection` event, kept as `welcome`. */
  static async connect(server, options) {
    const client = new Client(server, options);
    client.socket.once("connect_error", (error) => (client.connectError = error));
    await until("the client is connected", () => {
      if (client.connectError) return true;
      return client.welcome;
    });
    if (!client.connectError) return client;
    client.close();
    throw client.connectError;
  }

  /** Tries to connect. Returns the code of the refusal, or `accepted`. */
  static async refused(server, options) {
    const client = new Client(server, { reconnection: false, ...options });
    let outcome;
    client.socket.once("connect_error", ({ message }) => (outcome = message));
    client.socket.once("connect", () => (outcome = "accepted"));
    await until("the server has decided", () => outcome);
    client.close();
    return outcome;
  }

  /** Sends a request and returns its ack. */
  request(event, ...payload) {
    return this.socket.timeout(60_000).emitWithAck(event, ...payload);
  }

  /** Sends a request that has to succeed. */
  async ok(event, ...payload) {
    const ack = await this.request(event, ...payload);
    assert.equal(ack.ok, true, `${event} was refused: ${JSON.stringify(ack.error)}`);
    return ack;
  }

  /** Sends a request that has to be refused, and returns the error, whose shape is checked. */
  async refusal(event, ...payload) {
    const ack = await this.request(event, ...payload);
    assert.equal(ack.ok, false, `${event} was not refused: ${JSON.stringify(ack)}`);
    return checkError(ack.error);
  }

  /** Joins a room with a document (a new one, unless given), and stays in it over reconnects. */
  async join(name, doc) {
    const room = new Room(this, name, doc);
    await room.join();
    return room;
  }

  /** Breaks the connection without a close packet, as a lost network does; the client reconnects by itself. */
  breakTransport() {
    this.socket.io.engine.close();
  }

  close() {
    open.delete(this);
    this.socket.disconnect();
    for (const room of this.rooms) room.close();
  }
}

/** Checks an error object against section 9 of the protocol, and returns it. */
export function checkError(error) {
  assert.equal(typeof error, "object", "there is no error object");
  assert.ok(error.code in RETRYABLE, `${error.code} is no code of the protocol`);
  assert.equal(error.retryable, RETRYABLE[error.code], `${error.code}: retryable`);
  assert.equal(typeof error.message, "string");
  assert.notEqual(error.message, "");
  if (error.code === "invalid") assert.equal(typeof error.field, "string", "invalid names the field");
  if (error.code === "rate_limited") assert.ok(error.retry_after_ms > 0, "rate_limited says when");
  return error;
}
