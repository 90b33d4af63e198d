// Stock Yjs clients: the providers of y-websocket and of Hocuspocus, as published, over the WebSocket of Node's `ws`.

import * as hocuspocus3 from "hocuspocus-3";
import * as hocuspocus4 from "hocuspocus-4";
import { WebSocket } from "ws";
import { WebsocketProvider as Provider2 } from "y-websocket-2";
import { WebsocketProvider as Provider3 } from "y-websocket-3";
import * as Y from "yjs";
import { token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";

/** The majors of y-websocket that the server supports. */
export const MAJORS = [2, 3];
const PROVIDERS = { 2: Provider2, 3: Provider3 };

/**
 * The WebSocket of the providers. They remove their listeners before they give up a connection that is not open yet, and then `ws`
 * tells of that by an error, which without a listener would end the test; a browser's WebSocket does not.
 */
class QuietWebSocket extends WebSocket {
  constructor(...parameters) {
    super(...parameters);
    this.on("error", () => {});
  }
}

const open = new Set();

/** Closes every stock client and every raw one that is still open; for `afterEach`. */
export function closeStock() {
  for (const client of open) client.close();
}

/** The address of this door, for y-websocket. */
function address(server, path = "yjs") {
  return `${server.url.replace(/^http/, "ws")}/${path}`;
}

/** One document, opened by y-websocket. It reconnects by itself, as in an application. */
export class Stock {
  /** The codes and reasons with which connections were closed, in their order; `null` where the client closed one. */
  closes = [];
  /** How many connections were opened. */
  connects = 0;

  /**
   * @param options `major` of y-websocket; `person` (see tokens.mjs) or `token`, `null` for none; `doc`, if it has content
   *   already; and further options of the provider.
   */
  constructor(server, room, { major = 3, person, token: given = token(person), doc = new Y.Doc(), ...options } = {}) {
    this.doc = doc;
    const params = given === null ? {} : { token: given };
    this.provider = new PROVIDERS[major](address(server), room, doc, {
      WebSocketPolyfill: QuietWebSocket,
      disableBc: true,
      params,
      ...options,
    });
    open.add(this);
    this.provider.on("connection-close", (event) => this.closes.push(event && [event.code, event.reason]));
    this.provider.on("status", ({ status }) => (this.connects += status === "connected" ? 1 : 0));
  }

  /** A document as by the constructor, once it is synchronised. */
  static async open(server, room, options) {
    const stock = new Stock(server, room, options);
    await stock.synced();
    return stock;
  }

  synced() {
    return until("the document is synchronised", () => this.provider.synced);
  }

  /** The first close with a code. */
  closed() {
    return until("the server has closed the connection", () => this.closes.find((close) => close !== null));
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

  close() {
    open.delete(this);
    this.provider.destroy();
    this.doc.destroy();
  }
}

/** A connection to the door whose frames a test writes itself. */
export class Raw {
  /** The frames that arrived, and when. */
  frames = [];
  times = [];
  pings = 0;

  constructor(server, path, { protocols = [], door = "yjs", ...options } = {}) {
    this.socket = new WebSocket([address(server, door), path].filter(Boolean).join("/"), protocols, options);
    open.add(this);
    this.socket.on("message", (data, isBinary) => {
      this.frames.push(isBinary ? new Uint8Array(data) : String(data));
      this.times.push(performance.now());
    });
    this.socket.on("ping", () => (this.pings += 1));
    this.socket.on("close", (code, reason) => (this.ended = [code, String(reason)]));
    this.socket.on("unexpected-response", (_, response) => (this.ended = [response.statusCode, "refused"]));
    this.socket.on("error", (error) => (this.error = error));
  }

  /** A connection to `room` with a token of `person`, once it is open. */
  static async open(server, room, person) {
    const raw = new Raw(server, `${room}?token=${token(person)}`);
    await until("it is open", () => raw.socket.readyState === WebSocket.OPEN);
    return raw;
  }

  send(...bytes) {
    this.socket.send(Uint8Array.from(bytes.flat()));
  }

  /** The code and the reason of the close. */
  closed(timeout_ms) {
    return until("the server has closed the connection", () => this.ended, timeout_ms);
  }

  close() {
    open.delete(this);
    this.socket.terminate();
  }
}

/** The majors of the provider of Hocuspocus that the server supports. */
export const HOCUSPOCUS_MAJORS = [3, 4];
const HOCUSPOCUS = { 3: hocuspocus3, 4: hocuspocus4 };

/** A connection of Hocuspocus, on which several documents can be opened. */
export class Socket {
  connects = 0;
  closes = [];

  constructor(server, { major = 4, ...options } = {}) {
    this.major = major;
    this.provider = new HOCUSPOCUS[major].HocuspocusProviderWebsocket({
      url: address(server, "hocuspocus"),
      WebSocketPolyfill: QuietWebSocket,
      delay: 50,
      minDelay: 50,
      maxDelay: 200,
      ...options,
    });
    open.add(this);
    this.provider.on("open", () => (this.connects += 1));
    this.provider.on("close", ({ event }) => this.closes.push([event.code, String(event.reason)]));
  }

  close() {
    open.delete(this);
    this.provider.destroy();
  }
}

/** One document, opened by the provider of Hocuspocus, on a connection of its own unless `socket` is given. */
export class Hocuspocus {
  /** The reasons of denials, in their order. */
  denials = [];

  constructor(
    server,
    room,
    { major = 4, person, token: given = token(person), socket, doc = new Y.Doc(), ...more } = {},
  ) {
    this.doc = doc;
    this.socket = socket ?? new Socket(server, { major });
    this.provider = new HOCUSPOCUS[this.socket.major].HocuspocusProvider({
      websocketProvider: this.socket.provider,
      name: room,
      document: doc,
      token: given,
      ...more,
    });
    open.add(this);
    this.provider.on("authenticationFailed", ({ reason }) => this.denials.push(reason));
    this.provider.attach();
  }

  /** A document as by the constructor, once it is synchronised. */
  static async open(server, room, options) {
    const one = new Hocuspocus(server, room, options);
    await until("the document is synchronised", () => one.provider.isAuthenticated && one.provider.synced);
    return one;
  }

  /** Waits until everything that was written here is durable, as the provider counts it. */
  saved() {
    return until("all is durable", () => !this.provider.hasUnsyncedChanges);
  }

  denied() {
    return until("it is denied", () => this.denials[0]);
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

  close() {
    open.delete(this);
    this.provider.destroy();
    this.doc.destroy();
    if (!this.socket.isShared) this.socket.close();
  }
}
