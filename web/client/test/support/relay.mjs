// A server of one document, in this process: it answers as the real one does, or as a test wants.

import { RealtimeError } from "@realtime-server/client";
import * as Y from "yjs";

/** Takes the place of a `RealtimeClient` and of the server behind it. */
export class Relay {
  /** The document of the server. */
  doc = new Y.Doc();
  /** The requests that were made: `[event, payload]`. */
  requests = [];
  /** Answers in the server's stead where it returns something: an object of the ack, or an error. */
  instead = () => undefined;
  permission = "edit";
  storage = "ok";
  /** The colour of the user in the room. */
  color = undefined;

  #listener;
  connection = {
    user: { id: "ana", name: "Ana", color: "#123456" },
    rights: ["view", "edit"],
    limits: { update_bytes: 2 * 1024 * 1024 },
  };

  get state() {
    return { status: "connected", connection: this.connection, error: undefined, retryAt: undefined };
  }

  get status() {
    return "connected";
  }

  emit() {}

  attach(_room, listener) {
    this.#listener = listener;
    return () => (this.#listener = undefined);
  }

  /** Answers in a task of its own, as a network does, and in order. */
  send(event, payload, answered) {
    this.requests.push([event, payload]);
    setImmediate(() => answered(this.instead(event, payload) ?? this.#answer(event, payload)));
  }

  /** The requests of one kind. */
  of(event) {
    return this.requests.filter(([name]) => name === event).map(([, payload]) => payload);
  }

  /** Tells the client something. */
  tell(event, payload) {
    this.#listener?.received(event, { room: "room", ...payload });
  }

  /** Breaks the connection, and brings another. */
  reconnect() {
    this.#listener.disconnected();
    this.#listener.connected();
  }

  #answer(event, { state_vector, update }) {
    if (event === "document_update") {
      Y.applyUpdate(this.doc, update);
      return { ok: true, seq: 1, ...(this.isPending && { pending: true }) };
    }
    if (event !== "join_room" && event !== "document_sync") return { ok: true };
    // A pending update is held beside the document, and not part of an answer.
    const whole = new Y.Doc();
    Y.applyUpdate(whole, Y.encodeStateAsUpdate(this.doc));
    whole.store.pendingStructs = null;
    whole.store.pendingDs = null;
    const synced = {
      update: Y.encodeStateAsUpdate(whole, state_vector),
      state_vector: Y.encodeStateVector(whole),
      seq: 1,
    };
    if (event === "document_sync") return synced;
    const { permission, storage, color } = this;
    const rights = permission === "view" ? ["view"] : ["view", "edit"];
    return { ...synced, room: "room", document_id: "1", permission, rights, members: [], storage, color };
  }

  /** Whether an update is pending. */
  get isPending() {
    return this.doc.store.pendingStructs !== null || this.doc.store.pendingDs !== null;
  }

  /** A refusal. */
  static refusal(code, message) {
    return new RealtimeError(code, message);
  }
}
