// Users who write together, each with the package as an application uses it.

import { DocumentProvider, RealtimeClient } from "@realtime-server/client";
import { token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";

const clients = new Set();
const providers = new Set();

/** Short waits, so that the tests are short. */
export const BACKOFF = { firstMs: 40, maxMs: 400 };

/** A client that connects to `server` (anything with a `url`) as `person` (see tokens.mjs). */
export function client(server, { person, ...options } = {}) {
  const made = new RealtimeClient({ url: server.url, token: () => token(person), backoff: BACKOFF, ...options });
  clients.add(made);
  return made;
}

/** A provider of `room`. */
export function open(client, room, options) {
  const provider = new DocumentProvider(client, room, options);
  providers.add(provider);
  return provider;
}

/** A person with a client of their own, in `room`, once it is synchronised. */
export async function join(server, room, options = {}) {
  const provider = open(client(server, options), room, options);
  await provider.whenSynced;
  return provider;
}

/** The text of a provider's document. */
export function text(provider) {
  return provider.doc.getText("text");
}

/** Waits until all documents are synchronised, saved and equal. */
export function converged(all) {
  return until("all are saved and have the same content", () => {
    const [first, ...others] = all.map(({ doc }) => {
      const entries = Object.entries(doc.getMap("map").toJSON()).sort();
      return JSON.stringify([doc.getText("text").toDelta(), entries]);
    });
    return all.every(({ saved, synced }) => saved && synced) && others.every((other) => other === first);
  });
}

/** Ends all providers and clients; for `afterEach`. */
export function closeAll() {
  for (const provider of providers) {
    provider.destroy();
    provider.doc.destroy();
  }
  for (const client of clients) client.destroy();
  providers.clear();
  clients.clear();
}
