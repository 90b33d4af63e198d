// Two users who edit in a room, and an attacker in the same room.

import assert from "node:assert/strict";
import * as Y from "yjs";
import { Client } from "./client.mjs";
import { replica } from "./crafted.mjs";
import { converged } from "./room.mjs";
import { until } from "@realtime-server/harness/until";

/** The number of rooms made so far: each scene has its own. */
let rooms = 0;

/** Ana and Ben edit a document; Eve, the attacker, has joined it with all rights of an editor. */
export class Scene {
  /** The room's name. */
  room = `scene ${(rooms += 1)}`;

  #server;

  /** Connects all three to `server`. */
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

  /** Fails unless Ana and Ben can edit, and a client that joins now sees the same. */
  async unharmed() {
    const { ana, ben, room } = this;
    const mark = `mark ${Math.random()}`;
    // An update of Eve that is accepted but has not reached Ana would be concurrent to the mark, and might win.
    await ana.sync();
    await ana.edit(({ map }) => map.set("mark", mark));
    await until("Ben has the mark", () => ben.map.get("mark") === mark);
    const visitor = await Client.connect(this.#server, { person: { user: "late" } });
    const late = await visitor.join(room);
    await converged([ana, ben, late]);
    visitor.close();
    assert.deepEqual([...ana.refusals, ...ben.refusals], []);
    assert.equal(this.#server.alive, true);
  }

  /** Eve sends an update, which has to be refused. Returns the error. */
  attack(update) {
    return this.eve.refusal("document_update", { room: this.room, update });
  }

  /** Eve sends an update, which has to be refused as invalid, change nothing, and not be relayed. */
  async isRefused(update) {
    const [before, received] = [await this.#held(), this.ana.received];
    assert.equal((await this.attack(update)).code, "invalid");
    assert.deepEqual(await this.#held(), before, "the document has changed");
    assert.equal(this.ana.received, received, "an update was relayed");
  }

  /** The state of the server's document, in a form that can be compared. */
  async #held() {
    const state_vector = Y.encodeStateVector(new Y.Doc());
    const ack = await this.eve.ok("document_sync", { room: this.room, state_vector });
    return [ack.seq, ack.state_vector.toString("hex"), ack.update.toString("hex")];
  }
}
