// Several users type while the server is killed again and again, and a random half of them never returns.
//
// Each of them is a plain client that follows section 3 of the protocol: after every connect it sends the whole
// difference, and an ack with `pending` makes it synchronise. Some type right behind `join_room`, before the
// synchronisation, and may even disconnect before it: the edits that such an edit builds upon may have been lost with the
// server and their author.

import assert from "node:assert/strict";
import * as Y from "yjs";
import { Client } from "./client.mjs";
import { pause, until } from "@realtime-server/harness/until";
import { newcomer } from "./view.mjs";

/** Commits are rarer than usual: at each kill many relayed updates are not durable yet. */
export const ABSENCE_ENV = {
  UPDATES_PER_SECOND: 100_000,
  UPDATES_BURST: 1_000_000,
  COMMIT_INTERVAL_MS: 150,
  COMMIT_INTERVAL_MIN_MS: 150,
};

/** After so many kills a new document is begun, since the checks after each kill grow with the document. */
const KILLS_OF_A_DOCUMENT = 20;
const TYPISTS = 6;
const WINDOW = 20;
const LONGEST_SITTING_MS = 400;
const SYNC_EVERY_MS = 50;
const EMPTY_UPDATE_BYTES = 2;

/** How the edits of all typists were answered. An edit is named by its key in the map of the document `room`. */
class Ledger {
  /** The present document. */
  room;
  /** Edits that were acknowledged, and not as pending: they have to be visible from then on. */
  acknowledged = new Set();
  /** How many acks said `pending`. */
  pending = 0;
  /** How many edits there are, and how many of earlier documents were acknowledged. */
  edits = 0;
  past = 0;
  /** The number of refusals by code. */
  refusals = {};

  /** Begins a new document. */
  begin(room) {
    this.past += this.acknowledged.size;
    this.acknowledged.clear();
    this.room = room;
  }

  note(keys, ack) {
    if (!ack.ok) this.refusals[ack.error.code] = (this.refusals[ack.error.code] ?? 0) + 1;
    else if (ack.pending) this.pending += 1;
    else for (const key of keys) this.acknowledged.add(key);
  }
}

class Typist {
  doc = new Y.Doc();

  #client;
  #ledger;
  #random;
  #number = 0;
  #unacknowledged = 0;
  /** Whether an update was pending or refused since the last synchronisation. */
  #unsettled = false;
  #syncing = false;
  #synchronised = 0;
  #typing = Promise.resolve();
  #stopped = true;

  constructor(client, ledger, random) {
    Object.assign(this, { name: client.name });
    [this.#client, this.#ledger, this.#random] = [client, ledger, random];
    client.socket.on("document_update", ({ update }) => Y.applyUpdate(this.doc, new Uint8Array(update), this));
    client.socket.on("document_resync", () => (this.#unsettled = true));
  }

  /**
   * Joins and sends the whole difference. Some typists type before that, and some of these disconnect for ever when that
   * is acknowledged. Returns whether the typist is still connected.
   */
  async join() {
    const asked = { room: this.#ledger.room, state_vector: Y.encodeStateVector(this.doc) };
    const joining = this.#client.ok("join_room", asked);
    const haste = this.#random.below(4);
    if (haste < 2) for (let edit = 0; edit < 3; edit += 1) this.#type();
    const answer = await joining;
    if (haste > 0) {
      this.#meet(answer);
      return true;
    }
    await until("the edits before the synchronisation are answered", () => this.#unacknowledged === 0);
    this.close();
    return false;
  }

  start() {
    this.#stopped = false;
    this.#typing = this.#run();
  }

  async stop() {
    this.#stopped = true;
    await this.#typing;
  }

  /** Disconnects; updates that were not acknowledged may or may not be saved. */
  async leave() {
    await this.stop();
    this.#client.socket.disconnect();
    await until("no answer is awaited", () => this.#unacknowledged === 0);
  }

  /** Connects again with its document. */
  async comeBack() {
    this.#client.socket.connect();
    await until("it is connected", () => this.#client.socket.connected);
    return this.join();
  }

  /** Whether all edits of its document are acknowledged and visible; synchronises again where they are not. */
  async settled() {
    if (this.#unacknowledged > 0 || this.#syncing) return false;
    const keys = [...this.doc.getMap("map").keys()];
    if (!this.#unsettled && keys.every((key) => this.#ledger.acknowledged.has(key))) return true;
    // The server may have all edits while an ack was lost in a kill: sending the whole document brings another ack.
    if (this.#unsettled) await this.#synchronise();
    else this.#send(Y.encodeStateAsUpdate(this.doc), keys);
    return false;
  }

  close() {
    this.#client.close();
  }

  async #run() {
    while (!this.#stopped) {
      if (this.#unsettled) this.#synchronise().catch(() => {});
      this.#type();
      do await pause(1 + this.#random.below(4));
      while (!this.#stopped && this.#unacknowledged >= WINDOW);
    }
  }

  /** One edit: a character somewhere in the text, and a key that names the edit. */
  #type() {
    const key = `${this.name}:${(this.#number += 1)}`;
    const before = Y.encodeStateVector(this.doc);
    this.#ledger.edits += 1;
    this.doc.transact(() => {
      const text = this.doc.getText("text");
      text.insert(this.#random.below(text.length + 1), "x");
      this.doc.getMap("map").set(key, true);
    }, this);
    this.#send(Y.encodeStateAsUpdate(this.doc, before), [key]);
  }

  /** Synchronises, at a pace that is not taken for a flood. */
  async #synchronise() {
    if (this.#syncing || performance.now() < this.#synchronised + SYNC_EVERY_MS) return;
    [this.#syncing, this.#synchronised] = [true, performance.now()];
    try {
      this.#meet(
        await this.#client.ok("document_sync", {
          room: this.#ledger.room,
          state_vector: Y.encodeStateVector(this.doc),
        }),
      );
    } finally {
      this.#syncing = false;
    }
  }

  #meet({ update, state_vector }) {
    if (update) Y.applyUpdate(this.doc, new Uint8Array(update), this);
    this.#unsettled = false;
    const missing = Y.encodeStateAsUpdate(this.doc, new Uint8Array(state_vector));
    if (missing.length > EMPTY_UPDATE_BYTES) this.#send(missing, [...this.doc.getMap("map").keys()]);
  }

  #send(update, keys) {
    // Without a connection the edit stays in the document: the next whole difference includes it.
    if (!this.#client.socket.connected) return;
    this.#unacknowledged += 1;
    this.#client.socket.timeout(30_000).emit("document_update", { room: this.#ledger.room, update }, (error, ack) => {
      this.#unacknowledged -= 1;
      if (error) return;
      this.#ledger.note(keys, ack);
      if (!ack.ok || ack.pending) this.#unsettled = true;
    });
  }
}

/**
 * Kills `server`, started with {@link ABSENCE_ENV}, `kills` times at random moments. Fails if a newcomer does not see an
 * acknowledged edit, or an edit stays pending although a client is connected that has everything it builds upon. Returns
 * figures; `report` is called with them after each kill.
 */
export async function playAbsence({ server, kills, random, report = () => {} }) {
  const ledger = new Ledger();
  const figures = { kills: 0, gone: 0, ledger };
  let people = 0;
  const arrive = async () => {
    const name = `typist-${(people += 1)}`;
    const client = await Client.connect(server, { person: { user: name }, reconnection: false });
    const typist = new Typist(Object.assign(client, { name }), ledger, random);
    if (await typist.join()) present.push(typist);
    else figures.gone += 1;
  };
  const fill = async () => {
    while (present.length < TYPISTS) await arrive();
  };
  let present = [];
  const begin = async () => {
    for (const typist of present) typist.close();
    present = [];
    ledger.begin(`absent ${figures.kills}`);
    await fill();
  };

  const check = async (when) => {
    const acknowledged = [...ledger.acknowledged];
    const { map } = await newcomer(server, ledger.room);
    const invisible = acknowledged.filter((key) => !map.has(key));
    assert.deepEqual(invisible.slice(0, 5), [], `${when}: ${invisible.length} of ${acknowledged.length} are invisible`);
  };
  const settle = async () => {
    for (const typist of present) await typist.stop();
    const all = async () => (await Promise.all(present.map((typist) => typist.settled()))).every(Boolean);
    await until("no edit of those present is pending", all, 60_000, 20);
    const { map } = await newcomer(server, ledger.room);
    for (const { doc, name } of present) {
      const invisible = [...doc.getMap("map").keys()].filter((key) => !map.has(key));
      assert.deepEqual(invisible.slice(0, 5), [], `${invisible.length} edits that ${name} has are invisible`);
    }
  };

  while (figures.kills < kills) {
    if (figures.kills % KILLS_OF_A_DOCUMENT === 0) await begin();
    for (const typist of present) typist.start();
    await pause(random.below(LONGEST_SITTING_MS));
    await server.kill9();
    figures.kills += 1;
    for (const typist of present) await typist.leave();
    const [gone, back] = [[], []];
    for (const typist of present) (random.below(2) === 0 ? gone : back).push(typist);
    for (const typist of gone) typist.close();
    figures.gone += gone.length;
    await server.launch();
    await check(`after kill ${figures.kills}`);
    const stayed = await Promise.all(back.map((typist) => typist.comeBack()));
    present = back.filter((_, at) => stayed[at]);
    figures.gone += back.length - present.length;
    await fill();
    const last = figures.kills === kills || figures.kills % KILLS_OF_A_DOCUMENT === 0;
    if (last || random.below(2) === 0) await settle();
    await check(`when some were back after kill ${figures.kills}`);
    report(figures);
  }
  for (const typist of present) typist.close();
  return figures;
}
