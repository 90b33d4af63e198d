// One document from its first update to its last: the server's replica, and stock Yjs clients beside it.

import * as Y from "yjs";
import { perform } from "./operations.mjs";
import { opened, shown, state, view, waits } from "./view.mjs";

/** No update may take longer. */
const MICROS_MAX = 100_000;

/** The client ids of the members; no editor and no forger has them by chance. */
const PRESENT = 4_000_000_001;
const LATE = 4_000_000_002;

const EMPTY = new Uint8Array([0]);

/** Something that must not be. */
export class Difference extends Error {
  constructor(kind, message) {
    super(`${kind}: ${message}`);
    this.kind = kind;
  }
}

/** A member of the room: a page with its types defined and observed, and told nothing but what the room tells. */
class Member {
  /** What it says by itself: Yjs cleans up formatting after others. */
  said = [];

  constructor(name, client) {
    this.name = name;
    this.doc = new Y.Doc({ guid: name });
    this.doc.clientID = client;
    const types = [this.doc.getText("text"), this.doc.getArray("array"), this.doc.getMap("map")];
    types.push(this.doc.getXmlFragment("xml"));
    for (const type of types) type.observeDeep((events) => events.forEach(({ changes }) => changes.keys.size));
    this.doc.on("update", (update, origin) => origin !== this && this.said.push(update));
  }

  take(update) {
    try {
      Y.applyUpdate(this.doc, update, this);
    } catch (error) {
      throw new Difference("throws", `${this.name}: ${error.message}`);
    }
    const missing = waits(this.doc);
    if (missing !== null) throw new Difference("waits", `${this.name} waits ${missing}`);
  }
}

/** A document that is being played. */
export class Game {
  #room;
  #figures;
  present = new Member("who was present", PRESENT);
  late = null;
  /** What was done, to be done again. */
  steps = [];
  /** Every update that was sent, with what became of it. */
  sent = [];
  told = [];
  /** Earlier states of the document, to return to. */
  saved = [];
  /** Nobody forges anything: nothing may be refused then. */
  honest = false;

  constructor(room, figures) {
    this.#room = room;
    this.#figures = figures;
  }

  /** Takes a step. Members' own updates ride along with the next turn. */
  async step(step) {
    this.steps.push(step);
    if (step.turn) await this.#turn([...step.turn, ...this.#said()]);
    if (step.restart) await this.#room.restart();
    if (step.compact) await this.#room.compact();
    if (step.save) this.saved.push(await this.#room.encode());
    if (step.edit) await this.#edit(step.edit);
    if (step.replace) await this.#replace(step.replace);
    if (step.join) {
      this.late = new Member("who came later", LATE);
      this.late.take(await this.#room.diff(EMPTY));
    }
  }

  /** Lets members say what they have to say, and compares everything. */
  async check() {
    for (let round = 0; round < 8; round++) {
      const said = this.#said();
      if (said.length === 0) break;
      await this.#turn(said);
    }
    const [encoded, replayed] = await Promise.all([this.#room.encode(), this.#room.replay()]);
    const newcomer = this.#open("a newcomer", encoded);
    const seen = view(newcomer);
    this.#same("log", seen, () => view(this.#open("after a restart", replayed)));
    const truth = state(encoded);
    if (!encoded.equals(replayed)) this.#same("log", truth, () => state(replayed));
    for (const member of [this.present, this.late]) {
      if (!member) continue;
      this.#same("relay", seen, () => view(member.doc), member.name);
      this.#same("relay", truth, () => state(Y.encodeStateAsUpdate(member.doc)), member.name);
    }
    return seen;
  }

  /** Whether this client, who has heard everything, has what a newcomer has. */
  async compare(name, doc) {
    const encoded = await this.#room.encode();
    // Where Yjs looks into the middle of a pair of surrogates, it replaces both, in this client alone.
    const torn = (text) => text.replace(/[\ud800-\udfff]/g, "\ufffd");
    this.#same("author", torn(view(this.#open("a newcomer", encoded))), () => torn(view(doc)), name);
    this.#same("author", torn(state(encoded)), () => torn(state(Y.encodeStateAsUpdate(doc))), name);
  }

  /** Has the server edit the document, and compares that with what stock Yjs makes of the same operations. */
  async #edit({ client, operations }) {
    const expected = this.#open("before an edit", await this.#room.encode());
    perform(expected, operations);
    const edited = await this.#made(() => this.#room.edit(client, operations));
    if (edited) this.#same("edit", shown(expected), () => shown(edited), "the edited document");
  }

  /** Has the server return to a saved state, and compares the two. */
  async #replace({ client, saved }) {
    if (this.saved.length === 0) return;
    const state = this.saved[saved % this.saved.length];
    const replaced = await this.#made(() => this.#room.replaceWith(client, state));
    if (replaced) this.#same("replace", view(this.#open("a saved state", state)), () => view(replaced), "the document");
  }

  /** The document with an edit that the server makes, as a newcomer gets it; null if there is none, or more has come with it. */
  async #made(make) {
    let update;
    try {
      update = await make();
    } catch (error) {
      this.#figures.edit(error.message);
      if (this.honest) throw new Difference("unmade", error.message);
      return null;
    }
    const before = this.told.length;
    const [{ what, reason }] = await this.#turn([update]);
    this.#figures.edit(what === "refused" ? reason : "made");
    if (what !== "accepted" && what !== "known") throw new Difference("unapplied", `an edit is ${what}: ${reason}`);
    // A forger may have sent what was pending until there was this edit.
    if (this.told.slice(before).some((told) => !told.equals(update))) return null;
    return this.#open("after an edit", await this.#room.encode());
  }

  #said() {
    return [...this.present.said.splice(0), ...(this.late?.said.splice(0) ?? [])];
  }

  async #turn(updates) {
    const { outcomes, told } = await this.#room.turn(updates);
    this.#figures.add(outcomes);
    outcomes.forEach(({ what, micros, reason }, at) => {
      this.sent.push({ update: updates[at], what });
      // Undo writes what Yjs's own replicas do not agree on, once in thousands of histories.
      if (what === "refused" && reason.includes("no place")) this.honest = false;
      if (this.honest && what === "refused") throw new Difference("refused", `in good faith: ${reason}`);
      if (what === "broken") throw new Difference("broken", "the document broke");
      if (micros > MICROS_MAX) throw new Difference("slow", `${micros} µs`);
    });
    for (const update of told) {
      this.told.push(update);
      this.present.take(update);
      this.late?.take(update);
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
    const missing = waits(doc);
    if (missing !== null) throw new Difference("waits", `${name} waits ${missing}`);
    return doc;
  }

  #same(kind, expected, found, name = "the log") {
    const other = found();
    if (other === expected) return;
    const [a, b] = [expected.split("\n"), other.split("\n")];
    const at = a.findIndex((line, index) => line !== b[index]);
    const [left, right] = at < 0 ? ["(nothing)", b[a.length]] : [a[at], b[at] ?? "(nothing)"];
    throw new Difference(kind, `a newcomer has\n  ${left}\n${name} has\n  ${right}`);
  }
}

/** Plays recorded steps, and returns the difference that shows, or null. */
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
