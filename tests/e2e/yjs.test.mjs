// Stock clients of y-websocket beside native ones: the same documents, rights, presence and durability.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { databases } from "@realtime-server/harness/databases";
import { suiteServer } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";
import { MAJORS, Stock, closeStock } from "./support/stock.mjs";

for (const database of databases) {
  describe(`y-websocket on ${database.name}`, () => {
    const server = suiteServer({ database });
    afterEach(closeClients);
    afterEach(closeStock);

    for (const major of MAJORS) {
      it(`a client of y-websocket ${major} and a native one converge, and see each other's cursors`, async () => {
        const room = `both-${major}`;
        const stock = await Stock.open(server, room, { major, person: { user: "ana" } });
        const native = await Client.connect(server, { person: { user: "ben" } });
        stock.text.insert(0, "from the stock client ");
        const replica = await native.join(room);
        await until("the native client has it", () => replica.content === "from the stock client ");
        await replica.edit(() => replica.text.insert(0, "native "));
        await until("the stock client has it", () => stock.content === "native from the stock client ");
        replica.awareness.setLocalState({ cursor: 3 });
        stock.awareness.setLocalStateField("cursor", 7);
        const seen = (awareness, { clientID }) => awareness.getStates().get(clientID);
        const bens = await until("Ben is seen", () => seen(stock.awareness, replica.doc));
        const anas = await until("Ana is seen", () => seen(replica.awareness, stock.doc)?.cursor && seen(replica.awareness, stock.doc));
        assert.deepEqual([bens.cursor, bens.user.name], [3, "ben's name"]);
        assert.deepEqual([anas.cursor, anas.user.id], [7, "ana"]);
      });
    }
  });
}
