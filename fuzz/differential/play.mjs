// One document from its first update to its last: the server's replica, and stock Yjs clients beside it.

import * as Y from "yjs";
import { perform } from "./operations.mjs";
import { missing, opened, shown, state, view } from "./view.mjs";

/** The longest time that an update may take, in microseconds. */
const MICROS_MAX = 100_000;

/** The client ids of the members; no editor and no forger has them by chance. */
const PRESENT = 4_000_000_001;
const LATE = 4_000_000_002;

const EMPTY = new Uint8Array([0]);

/** A difference or a fault that was found. */
export class Difference extends Error {
  constructor(kind, message) {
    super(`${kind}: ${message}`);
    this.kind = kind;
  }
}

/** A member of the room: a page that observes its types, and receives only the messages of the room. */
class Member {
  /** Updates that it makes by itself: Yjs cleans up formatting after the edits of others. */
  ownUpdates = [];

  constructor(name, client) {
    this.name = name;
    this.doc = new Y.Doc({ guid: name });
    this.doc.clientID = client;
    const types = [this.doc.getText("text"), this.doc.getArray("array"), this.doc.getMap("map")];
    types.push(this.doc.getXmlFragment("xml"));
    for (const type of types) type.observeDeep((events) => events.forEach(({ changes }) => changes.keys.size));
    this.doc.on("update", (update, origin) => origin !== this && this.ownUpdates.push(update));
  }

  apply(update) {
    try {
      Y.applyUpdate(this.doc, update, this);
    } catch (error) {
      throw new Difference("throws", `${this.name}: ${error.message}`);
    }
    const lacks = missing(this.doc);
    if (lacks !== null) throw new Difference("pending", `${this.name} lacks ${lacks}`);
  }
}

/** A document whose history is being played. */
export class Game {
  #room;
  #figures;
  present = new Member("a member from the beginning", PRESENT);
  late = null;
  /** The steps so far, to be played again. */
  steps = [];
  /** Every update that was sent, with its outcome. */
  sent = [];
  relayed = [];
  /** Earlier states of the document, to return to. */
  saved = [];
  /** Whether there is no forger: then nothing may be refused. */
  honest = false;

  constructor(room, figures) {
    this.#room = room;
    this.#figures = figures;
  }

  /** Plays a step. The members' own updates are sent with the next turn. */
  async step(step) {
    this.steps.push(step);
    if (step.turn) await this.#turn([...step.turn, ...this.#takeOwnUpdates()]);
    if (step.restart) await this.#room.restart();
    if (step.compact) await this.#room.compact();
    if (step.save) this.saved.push(await this.#room.encode());
    if (step.edit) await this.#edit(step.edit);
    if (step.replace) await this.#replace(step.replace);
    if (step.join) {
      this.late = new Member("a later member", LATE);
      this.late.apply(await this.#room.diff(EMPTY));
    }
  }

  /** Sends the members' own updates, and compares everything. */
  async check() {
    for (let round = 0; round < 8; round++) {
      const own = this.#takeOwnUpdates();
      if (own.length === 0) break;
      await this.#turn(own);
    }
    const [encoded, replayed] = await Promise.all([this.#room.encode(), this.#room.replay()]);
    const newcomer = this.#open("a newcomer", encoded);
    const seen = view(newcomer);
    this.#compareTexts("log", seen, () => view(this.#open("after a restart", replayed)));
    const truth = state(encoded);
    if (!encoded.equals(replayed)) this.#compareTexts("log", truth, () => state(replayed));
    for (const member of [this.present, this.late]) {
      if (!member) continue;
      this.#compareTexts("relay", seen, () => view(member.doc), member.name);
      this.#compareTexts("relay", truth, () => state(Y.encodeStateAsUpdate(member.doc)), member.name);
    }
    return seen;
  }

  /** Compares this client, which has received everything, with a newcomer. */
  async compare(name, doc) {
    const encoded = await this.#room.encode();
    // Where Yjs looks into the middle of a surrogate pair, it replaces both halves, in this client alone.
    const torn = (text) => text.replace(/[\ud800-\udfff]/g, "\ufffd");
    this.#compareTexts("author", torn(view(this.#open("a newcomer", encoded))), () => torn(view(doc)), name);
    this.#compareTexts("author", torn(state(encoded)), () => torn(state(Y.encodeStateAsUpdate(doc))), name);
  }

  /** Lets the server edit the document, and compares the result with that of the same operations in stock Yjs. */
  async #edit({ client, operations }) {
    const expected = this.#open("before an edit", await this.#room.encode());
    perform(expected, operations);
    const edited = await this.#made(() => this.#room.edit(client, operations));
    if (edited) this.#compareTexts("edit", shown(expected), () => shown(edited), "the edited document");
  }

  /** Lets the server return to a saved state, and compares the two. */
  async #replace({ client, saved }) {
    if (this.saved.length === 0) return;
    const state = this.saved[saved % this.saved.length];
    const replaced = await this.#made(() => this.#room.replaceWith(client, state));
    if (replaced) this.#compareTexts("replace", view(this.#open("a saved state", state)), () => view(replaced), "the document");
  }

  /** The document with an edit by the server, as a newcomer gets it; null if none was made, or if it released pending blocks. */
  async #made(make) {
    let update;
    try {
      update = await make();
    } catch (error) {
      this.#figures.edit(error.message);
      if (this.honest) throw new Difference("unmade", error.message);
      return null;
    }
    const before = this.relayed.length;
    const [{ what, reason }] = await this.#turn([update]);
    this.#figures.edit(what === "refused" ? reason : "made");
    if (what !== "accepted" && what !== "known") throw new Difference("unapplied", `an edit is ${what}: ${reason}`);
    // A forger may have sent blocks that depend on elements of this edit.
    if (this.relayed.slice(before).some((relayed) => !relayed.equals(update))) return null;
    return this.#open("after an edit", await this.#room.encode());
  }

  #takeOwnUpdates() {
    return [...this.present.ownUpdates.splice(0), ...(this.late?.ownUpdates.splice(0) ?? [])];
  }

  async #turn(updates) {
    const { outcomes, relayed } = await this.#room.turn(updates);
    this.#figures.add(outcomes);
    outcomes.forEach(({ what, micros, reason }, at) => {
      this.sent.push({ update: updates[at], what });
      // Once in thousands of histories, undo writes an element on which Yjs's own replicas do not agree.
      if (what === "refused" && reason.includes("no place")) this.honest = false;
      if (this.honest && what === "refused") throw new Difference("refused", `without a forger: ${reason}`);
      if (what === "broken") throw new Difference("broken", "the document broke");
      if (micros > MICROS_MAX) throw new Difference("slow", `${micros} µs`);
    });
    for (const update of relayed) {
      this.relayed.push(update);
      this.present.apply(update);
      this.late?.apply(update);
    }
    return outcomes;
  }

  #open(name, update) {
    let doc;
    try {
      doc = opened(update);
    } catch (error) {
      throw new Difference("throws", `${name}: ${error.message}`);
    }
    const lacks = missing(doc);
    if (lacks !== null) throw new Difference("pending", `${name} lacks ${lacks}`);
    return doc;
  }

  #compareTexts(kind, expected, found, name = "the log") {
    const other = found();
    if (other === expected) return;
    const [a, b] = [expected.split("\n"), other.split("\n")];
    const at = a.findIndex((line, index) => line !== b[index]);
    const [left, right] = at < 0 ? ["(nothing)", b[a.length]] : [a[at], b[at] ?? "(nothing)"];
    throw new Difference(kind, `a newcomer has\n  ${left}\n${name} has\n  ${right}`);
  }
}

/** Plays recorded steps, and returns the difference that is found, or null. */
export async function replay(replica, { honest, steps }, figures, { checks = "all" } = {}) {
  const room = replica.room();
  const game = new Game(room, figures);
  game.honest = honest;
  try {
    for (const step of steps) {
      await game.step(step);
      if (checks === "all") await game.check();
    }
    await game.check();
    return null;
  } catch (error) {
    return error instanceof Difference ? error : new Difference("error", error.message);
  } finally {
    await room.forget().catch(() => {});
  }
}
