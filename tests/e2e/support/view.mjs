// The content of a document as a stock Yjs client sees it.

import assert from "node:assert/strict";
import { Client, closeClients } from "./client.mjs";
import { until } from "@realtime-server/harness/until";

/** The content of the roots that the tests use. Keys have no order, so they are sorted. */
export function seen(doc) {
  const content = {
    map: doc.getMap("map").toJSON(),
    array: doc.getArray("array").toJSON(),
    text: doc.getText("text").toDelta(),
    xml: doc.getXmlFragment("xml").toString(),
  };
  return JSON.stringify(content, (_, value) => {
    if (typeof value === "bigint") return `${value}n`;
    if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

/** The characters that a client wrote into texts, by clock; where they are deleted, or something else, there is a space. */
export function written(doc, client) {
  let characters = "";
  for (const { id, length, deleted, content } of doc.store.clients.get(client) ?? []) {
    const string = deleted ? undefined : content?.str;
    characters = characters.padEnd(id.clock) + (string ?? " ".repeat(length));
  }
  return characters;
}

/** A new replica of the document, of a viewer who has disconnected again. */
export async function newcomer(server, name) {
  const client = await Client.connect(server, { person: { user: "newcomer", role: "viewer" } });
  const room = await client.join(name);
  client.close();
  assert.deepEqual(room.faults, [], "Yjs threw at the document");
  return room;
}

/**
 * Fails unless those present, a newcomer, and a newcomer after a kill and a restart (who gets what the log holds) see the
 * same. All clients are disconnected before the kill, so that none of them sends anything again. Returns the last newcomer.
 */
export async function sameForAll(server, name, present) {
  await until("all updates are acknowledged", () => present.every((room) => room.unacknowledged === 0));
  const first = await newcomer(server, name);
  await until("those present see what a newcomer sees", () => {
    for (const room of present) assert.equal(seen(room.doc), seen(first.doc));
    return true;
  });
  for (const room of present) assert.deepEqual(room.faults, [], "Yjs threw at a message of the server");
  closeClients();
  await server.kill9();
  await server.launch();
  const last = await newcomer(server, name);
  assert.equal(seen(last.doc), seen(first.doc), "the log holds something else than the memory");
  return last;
}
