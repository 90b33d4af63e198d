// Random histories of a document.

import * as Y from "yjs";
import { Editor } from "./edits.mjs";
import { Forger } from "./forge.mjs";
import { operations } from "./operations.mjs";
import { Difference } from "./play.mjs";
import { opened } from "./view.mjs";

/** Small client ids and large ones: if two elements are inserted at one place, the one with the smaller id is on the left. */
const CLIENTS = [1, 2, 7, 300, 2 ** 31, 2 ** 53 - 1];

/** The client ids of the server's own edits. */
const SERVER = [3, 4_000_000_003, 2 ** 53 - 5];

/** Makes up a history step by step. The next step depends on the messages of the room so far. */
export class History {
  #random;
  #game;
  #editors;
  #forger;
  #left;
  #received = 0;

  constructor(random, game) {
    this.#random = random;
    this.#game = game;
    const ids = random.shuffled(CLIENTS);
    this.#editors = Array.from({ length: 1 + random.below(3) }, () => new Editor(random, ids.pop()));
    this.#forger = random.oneIn(4) ? null : new Forger(random, game.present.doc, ids.pop());
    game.honest = this.#forger === null;
    this.#left = 5 + random.below(40);
  }

  /** Checks that all clients, also the editors, have the same document in the end, unless there is a forger. */
  async end() {
    if (!this.#game.honest) return;
    for (let round = 0; round < 8; round++) {
      const relayed = this.#game.relayed.slice(this.#received);
      this.#received = this.#game.relayed.length;
      for (const editor of this.#editors) {
        editor.receive(relayed);
        editor.applyReceived();
      }
      const turn = this.#editors.flatMap((editor) => editor.rest());
      if (turn.length === 0 && relayed.length === 0) break;
      await this.#game.step({ turn });
    }
    for (const { doc, broken } of this.#editors) {
      if (broken) throw new Difference("throws", `an editor: ${broken.message}`);
      await this.#game.compare(`editor ${doc.clientID}`, doc);
    }
  }

  /** The next step, or null at the end. */
  next() {
    const random = this.#random;
    if (this.#left-- === 0) return null;
    if (random.oneIn(40)) return { restart: true };
    if (random.oneIn(40)) return { compact: true };
    if (!this.#game.late && random.oneIn(20)) return { join: true };
    if (random.oneIn(20)) return { save: true };
    const client = random.pick(SERVER);
    if (this.#game.saved.length > 0 && random.oneIn(15)) return { replace: { client, saved: random.word() } };
    if (random.oneIn(5)) {
      const doc = opened(Y.encodeStateAsUpdate(this.#game.present.doc));
      return { edit: { client, operations: operations(random, doc) } };
    }
    const relayed = this.#game.relayed.slice(this.#received);
    this.#received = this.#game.relayed.length;
    for (const editor of this.#editors) editor.receive(relayed);
    const turn = Array.from({ length: 1 + random.few(4) }, () => this.#updates()).flat();
    return { turn };
  }

  #updates() {
    const random = this.#random;
    const { sent } = this.#game;
    if (this.#forger && random.oneIn(2)) {
      const update = this.#forger.update(sent.slice(-12));
      return [random.oneIn(4) ? this.#forger.mutated(update) : update];
    }
    const editor = random.pick(this.#editors);
    if (!random.oneIn(3)) editor.applyReceived();
    editor.edit();
    const updates = editor.send();
    return this.#forger && random.oneIn(25) ? updates.map((update) => this.#forger.mutated(update)) : updates;
  }
}
