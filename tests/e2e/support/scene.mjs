// Two people at work in a room, and a third one who means harm.

import assert from "node:assert/strict";
import * as Y from "yjs";
import { Client } from "./client.mjs";
import { replica } from "./crafted.mjs";
import { converged } from "./room.mjs";
import { until } from "@realtime-server/harness/until";

/** How many rooms were made so far: each scene has its own. */
let rooms = 0;

/** Ana and Ben edit a document; Eve, the attacker, has joined it with all rights of an editor. */
export class Scene {
  /** The room's name. */
  room = `scene ${(rooms += 1)}`;

  #server;

  /** Brings everybody together on `server`. */
  static async set(server) {
    const scene = new Scene();
    scene.#server = server;
    const connect = (user) => Client.connect(server, { person: { user } });
    scene.anasClient = await connect("ana");
    scene.ana = await scene.anasClient.join(scene.room, replica(1_001));
    scene.ben = await (await connect("ben")).join(scene.room, replica(1_002));
    scene.ana.type("work of ana");
    scene.ben.map.set("ben", "was here");
    await converged([scene.ana, scene.ben]);
    scene.eve = await connect("eve");
    await scene.eve.ok("join_room", scene.room);
    return scene;
  }

  /** Ana and Ben are not disturbed, and who joins now sees what they see. */
  async unharmed() {
    const { ana, ben, room } = this;
    const mark = `mark ${Math.random()}`;
    await ana.edit(({ map }) => map.set("mark", mark));
    await until("the mark has arrived", () => ben.map.get("mark") === mark);
    const visitor = await Client.connect(this.#server, { person: { user: "late" } });
    const late = await visitor.join(room);
    await converged([ana, ben, late]);
    visitor.close();
    assert.deepEqual([...ana.refusals, ...ben.refusals], []);
    assert.equal(this.#server.alive, true);
  }

  /** Eve sends an update, which has to be refused; the error. */
  attack(update) {
    return this.eve.refusal("document_update", { room: this.room, update });
  }

  /** Eve sends an update: it is refused as invalid, leaves the document as it was, and reaches nobody. */
  async isRefused(update) {
    const [before, received] = [await this.#held(), this.ana.received];
    assert.equal((await this.attack(update)).code, "invalid");
    assert.deepEqual(await this.#held(), before, "the document is as it was");
    assert.equal(this.ana.received, received, "nothing is relayed");
  }

  /** What the server holds, comparable. */
  async #held() {
    const state_vector = Y.encodeStateVector(new Y.Doc());
    const ack = await this.eve.ok("document_sync", { room: this.room, state_vector });
    return [ack.seq, ack.state_vector.toString("hex"), ack.update.toString("hex")];
  }
}
