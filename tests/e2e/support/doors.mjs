// One client of each kind that the server knows, as published, in one room: whatever holds at one door has to hold at all.

import { token } from "@realtime-server/harness/tokens";
import { Client, closeClients } from "./client.mjs";
import { Hocuspocus, Stock as YWebsocket, closeStock } from "./stock.mjs";
import { Stock as YSocketIo, closeStock as closeYSocketIo } from "./y-socket-io.mjs";

/** Closes every client of every kind that is still open; for `afterEach`. */
export function closeAll() {
  closeStock();
  closeYSocketIo();
  closeClients();
}

/** How each kind opens `room` with a token: it has the document, its `text` and its `content`. */
const OPEN = {
  native: async (server, room, own) => {
    const client = await Client.connect(server, { token: own });
    client.ends = [];
    client.socket.on("session_ended", ({ code }) => client.ends.push(code));
    return Object.assign(await client.join(room), { client });
  },
  "y-websocket 2": (server, room, own) => YWebsocket.open(server, room, { major: 2, token: own }),
  "y-websocket 3": (server, room, own) => YWebsocket.open(server, room, { major: 3, token: own }),
  "Hocuspocus 3": (server, room, own) => Hocuspocus.open(server, room, { major: 3, token: own }),
  "Hocuspocus 4": (server, room, own) => Hocuspocus.open(server, room, { major: 4, token: own }),
  "y-socket.io": async (server, room, own) => {
    // A function, since the provider reads the token for each connection.
    const tokens = { own };
    return Object.assign(await YSocketIo.open(server, room, { token: () => tokens.own }), { tokens });
  },
};

/** The names of all kinds. */
export const KINDS = Object.keys(OPEN);

/** One client of each kind in `room`, by kind. `personOf` says who each one is: without it, another person each. */
export async function everyKind(server, room, personOf = (kind) => ({ user: userOf(kind) })) {
  const kinds = {};
  for (const kind of KINDS) kinds[kind] = await OPEN[kind](server, room, token(personOf(kind)));
  return kinds;
}

/** The user of a kind, unless a test has others. */
export function userOf(kind) {
  return kind.toLowerCase().replaceAll(/[ .]/g, "-");
}

/** Shows another token with which each client goes on, in the way that its protocol has. */
export async function showToken(kind, one, own) {
  if (kind === "native") await one.client.ok("token_refresh", { token: own });
  else if (kind.startsWith("y-websocket")) {
    one.provider.params.token = own;
    one.provider.disconnect();
    one.provider.connect();
  } else if (kind.startsWith("Hocuspocus")) {
    one.provider.configuration.token = own;
    await one.provider.sendToken();
  } else {
    one.tokens.own = own;
    one.socket.disconnect().connect();
  }
}

/** What the server has said to a client that it sent away: a code, in the way that its protocol has. */
export function farewell(kind, one) {
  if (kind === "native") return one.client.ends[0] ?? one.closed[0]?.code;
  if (kind.startsWith("y-websocket")) return one.closes.find((close) => close !== null)?.join(" ");
  if (kind.startsWith("Hocuspocus")) return one.denials[0];
  // A client that was sent away without a word would be refused when it connects again.
  const ended = one.told.find(([event]) => event === "session_ended");
  return ended ? ended[1].code : one.refusals[0] && `refused: ${one.refusals[0]}`;
}

/** Whether all clients have the same text. */
export function alike(kinds) {
  return new Set(Object.values(kinds).map(({ content }) => content)).size === 1;
}

/** Whether each client has a connection: one that is just being opened fails when its client is closed. */
export function isConnected(kinds) {
  const { native, ...others } = kinds;
  const connected = ({ provider, socket }) =>
    provider.wsconnected ?? socket?.connected ?? socket.provider.status === "connected";
  return native.settled && Object.values(others).every(connected);
}
