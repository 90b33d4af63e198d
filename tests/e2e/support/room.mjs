// A replica of a room's document: a Y.Doc kept in step with the server as section 3 of the protocol asks.

import assert from "node:assert/strict";
import * as Y from "yjs";
import { Awareness, applyAwarenessUpdate, encodeAwarenessUpdate, removeAwarenessStates } from "y-protocols/awareness";
import { until } from "@realtime-server/harness/until";

/** An update without blocks and deletions: two counts of zero. */
const EMPTY_UPDATE_BYTES = 2;
/** The shortest and the longest time until a room synchronises again whose edits are still pending. */
const COMPLETE_MIN_MS = 500;
const COMPLETE_MAX_MS = 30_000;

/** A refusal as an exception. */
export class Refused extends Error {
  constructor(event, error) {
    super(`${event} was refused: ${JSON.stringify(error)}`);
    Object.assign(this, error);
  }
}

/** One room on one client. Local changes of `doc` are sent, the others' applied. */
export class Room {
  /** The join's acknowledgement, the latest one. */
  joined;
  /** The number of updates that are not acknowledged yet. */
  unacknowledged = 0;
  /** Errors of refused updates. After the first one no update is sent until {@link sync}. */
  refusals = [];
  /** The sequence number of each acknowledgement, in their order. */
  seqs = [];
  /** The number of acks that said `pending`: the room is synchronised after each of them. */
  pending = 0;
  /** The number of `document_update` events received. */
  received = 0;
  /** Payloads of `document_resync`, `document_storage` and `room_closed` events, in their order. */
  resyncs = [];
  storage = [];
  closed = [];
  /** Exceptions of Yjs at messages of the server: there must be none. */
  faults = [];
  /** How often an update arrived before one that it builds upon: never, if the server keeps the order. */
  gaps = 0;
  /** The number of `awareness_update` events received. */
  awarenessReceived = 0;

  #client;
  #live = false;
  #completing = false;
  #later;
  #wait_ms = COMPLETE_MIN_MS;
  #sent;
  #awareness;

  constructor(client, name, doc = new Y.Doc()) {
    this.#client = client;
    this.name = name;
    this.doc = doc;
    client.rooms.push(this);
    doc.on("update", (update, origin) => {
      if (origin !== this && this.#live) this.#send(update);
    });
    const { socket } = client;
    socket.on("disconnect", () => (this.#live = false));
    socket.on("connect", () => this.joined && this.join().catch((error) => this.faults.push(error)));
    this.#on("document_update", ({ update }) => {
      this.received += 1;
      this.#apply(update);
      if (this.doc.store.pendingStructs !== null) this.gaps += 1;
    });
    this.#on("document_resync", (payload) => {
      this.resyncs.push(payload);
      this.sync().catch((error) => this.faults.push(error));
    });
    this.#on("document_storage", ({ status }) => this.storage.push(status));
    this.#on("room_closed", (payload) => {
      this.#live = false;
      this.joined = undefined;
      this.closed.push(payload);
    });
    this.#on("awareness_update", ({ update }) => {
      this.awarenessReceived += 1;
      if (this.#awareness) applyAwarenessUpdate(this.#awareness, new Uint8Array(update), this);
    });
  }

  #on(event, heard) {
    this.#client.socket.on(event, (payload) => payload.room === this.name && heard(payload));
  }

  /** The text of the document. */
  get text() {
    return this.doc.getText("text");
  }

  /** The text as a string. */
  get content() {
    return this.text.toString();
  }

  /** The map of the document. */
  get map() {
    return this.doc.getMap("map");
  }

  /** Joins, or joins again: in one round trip either side gets what it lacks. */
  async join() {
    this.#live = false;
    const asked = { room: this.name, state_vector: Y.encodeStateVector(this.doc) };
    const ack = await this.#client.request("join_room", asked);
    if (!ack.ok) throw new Refused("join_room", ack.error);
    this.joined = ack;
    this.#live = true;
    this.#meet(ack);
    if (!this.#awareness) return;
    if (ack.awareness) applyAwarenessUpdate(this.#awareness, new Uint8Array(ack.awareness), this);
    if (this.#awareness.getLocalState()) this.#awareness.setLocalState(this.#awareness.getLocalState());
  }

  /** Synchronises both ways, as after a resync or a refusal. */
  async sync() {
    const asked = { room: this.name, state_vector: Y.encodeStateVector(this.doc) };
    const ack = await this.#client.request("document_sync", asked);
    if (!ack.ok) throw new Refused("document_sync", ack.error);
    this.#live = true;
    this.#meet(ack);
    return ack;
  }

  #meet({ update, state_vector }) {
    if (update) this.#apply(update);
    if (!this.joined.rights.includes("edit")) return;
    const missing = Y.encodeStateAsUpdate(this.doc, new Uint8Array(state_vector));
    // If this is pending although all of it is sent, another client has what it builds upon. Until that has come, the server
    // keeps no deletions of it.
    if (missing.length > EMPTY_UPDATE_BYTES) this.#send(missing, () => this.#completeLater());
  }

  async leave() {
    this.#live = false;
    this.joined = undefined;
    return this.#client.ok("leave_room", { room: this.name });
  }

  /** Makes a change and resolves with the acknowledgement of its update; rejects where the connection broke before. */
  edit(change) {
    this.#sent = undefined;
    this.doc.transact(() => change(this));
    return this.#sent ?? Promise.reject(new Error("the change was not sent"));
  }

  /** Types at the end of the text, one update a character. */
  type(characters) {
    for (const character of characters) this.text.insert(this.text.length, character);
  }

  /** Whether the room is joined, and all its updates are acknowledged. */
  get settled() {
    return this.#live && this.unacknowledged === 0;
  }

  /** Waits until all updates that were sent are acknowledged. */
  async saved(timeout_ms) {
    await until("all updates are acknowledged", () => this.unacknowledged === 0, timeout_ms);
    assert.deepEqual(this.refusals, [], "updates were refused");
  }

  /** The y-protocols awareness of this replica, made at the first use (early enough to hear the others: right after joining). */
  get awareness() {
    if (!this.#awareness) {
      const awareness = new Awareness(this.doc);
      awareness.setLocalState(null);
      awareness.on("update", ({ added, updated, removed }, origin) => {
        if (origin === this || !this.#live) return;
        this.#client.socket.emit("awareness_update", {
          room: this.name,
          update: encodeAwarenessUpdate(awareness, [...added, ...updated, ...removed]),
        });
      });
      if (this.joined?.awareness) applyAwarenessUpdate(awareness, new Uint8Array(this.joined.awareness), this);
      this.#awareness = awareness;
    }
    return this.#awareness;
  }

  close() {
    clearTimeout(this.#later);
    this.#live = false;
    if (!this.#awareness) return;
    removeAwarenessStates(this.#awareness, [this.doc.clientID], this);
    this.#awareness.destroy();
  }

  #apply(update) {
    try {
      Y.applyUpdate(this.doc, new Uint8Array(update), this);
    } catch (error) {
      this.faults.push(error);
    }
  }

  /** Sends what pending updates build upon, by one synchronisation for all of them. */
  #complete() {
    if (!this.#live || this.#completing) return;
    this.#completing = true;
    this.sync()
      .catch((error) => this.faults.push(error))
      .finally(() => (this.#completing = false));
  }

  /** Synchronises again after a while, less and less often. */
  #completeLater() {
    clearTimeout(this.#later);
    this.#later = setTimeout(() => this.#complete(), this.#wait_ms).unref();
    this.#wait_ms = Math.min(this.#wait_ms * 2, COMPLETE_MAX_MS);
  }

  #send(update, complete = () => this.#complete()) {
    this.unacknowledged += 1;
    this.#sent = new Promise((resolve, reject) => {
      const request = { room: this.name, update };
      this.#client.socket.timeout(120_000).emit("document_update", request, (error, ack) => {
        this.unacknowledged -= 1;
        if (error) return reject(error);
        if (ack.ok) {
          this.seqs.push(ack.seq);
          if (ack.pending) {
            this.pending += 1;
            complete();
          }
          return resolve(ack);
        }
        this.#live = false;
        this.refusals.push(ack.error);
        reject(new Refused("document_update", ack.error));
      });
    });
    this.#sent.catch(() => {});
  }
}

/** Waits until all replicas have the same blocks, text and map. */
export async function converged(rooms, timeout_ms) {
  await until(
    `${rooms.length} replicas are alike`,
    () => rooms.every((room) => room.unacknowledged === 0) && new Set(rooms.map(shown)).size === 1,
    timeout_ms,
  );
  for (const room of rooms) assert.deepEqual(room.faults, [], "Yjs threw at a message of the server");
}

/** The content of a replica as text. The keys of objects are sorted, since the server may write them in another order. */
function shown({ doc, content, map }) {
  const clocks = [...Y.decodeStateVector(Y.encodeStateVector(doc))].sort(([a], [b]) => a - b);
  return JSON.stringify([clocks, content, map.toJSON()], (_, value) => {
    if (typeof value === "bigint") return `${value}n`;
    if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
