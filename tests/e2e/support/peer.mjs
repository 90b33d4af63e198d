// The suites of stock clients can hold their cases with the clients' own server as well, to see that a case is understood
// and that each difference is one: `PEER_URL` names such a server (benches/peers). Without it they use this server.

import { Server } from "@realtime-server/harness/server";
import { suiteServer } from "@realtime-server/harness/suite";

/** The address of the other server by HTTP, or nothing. */
export const PEER_URL = process.env.PEER_URL;

/** A server for all tests of the suite: the other one, if there is one, on its port or the `offset`th behind it. */
export function suitePeer(env, offset = 0) {
  if (!PEER_URL) return suiteServer({ env });
  const url = new URL(PEER_URL);
  url.port = Number(url.port) + offset;
  const get = (path) => fetch(new URL(path, url));
  return { url: url.origin, get, metric: Server.prototype.metric };
}

/** What is expected where the two servers differ. docs/stock-clients.md says why they do. */
export function differs({ ours, theirs }) {
  return PEER_URL ? theirs : ours;
}

/** Options of tests that need what only this server has. */
export const oursAlone = { skip: PEER_URL && "the other server has no such thing" };
