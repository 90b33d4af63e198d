// The cases of the tests of y-websocket (`test/*.js` of yjs/y-websocket) and the promises of its README, on this server. Each
// test names the cases that it answers. Their tests close connections as they like; here the server does so for its reasons:
// a refused token, an end of the process, a broken network. docs/stock-clients.md lists the differences.
//
// They are about what a client sees, which is the same with every database, so they run on SQLite alone.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { Awareness } from "y-protocols/awareness";
import * as Y from "yjs";
import { sqlite } from "@realtime-server/harness/databases";
import { Network } from "@realtime-server/harness/network";
import { suiteDatabase, suiteServer } from "@realtime-server/harness/suite";
import { token } from "@realtime-server/harness/tokens";
import { pause, until } from "@realtime-server/harness/until";
import { MAJORS, Stock, closeStock } from "./support/stock.mjs";

/** Much less than the client waits otherwise. */
const BACKOFF_MS = 50;
/** After this time a client that still retries would have done so several times. */
const SEVERAL_MS = 6 * BACKOFF_MS;

/** What `stock` told about its closes for good, in their order. */
function ends(stock) {
  const ends = [];
  stock.provider.on("closed", ({ code, reason }) => ends.push([code, reason]));
  return ends;
}

/** How many connections `stock` has begun. */
function attempts(stock) {
  const counted = { begun: 0 };
  stock.provider.on("status", ({ status }) => (counted.begun += status === "connecting" ? 1 : 0));
  return counted;
}

/** A client that is refused as long as it shows no token. */
function refused(server, room, options) {
  const stock = new Stock(server, room, { token: null, maxBackoffTime: BACKOFF_MS, connect: false, ...options });
  const [ended, counted] = [ends(stock), attempts(stock)];
  stock.provider.connect();
  return { stock, provider: stock.provider, ended, counted };
}

describe("the suite of y-websocket", () => {
  const server = suiteServer();
  afterEach(closeStock);

  // testTerminalCloseStopsReconnecting.
  it("a refusal ends the client: it is told once, with the code and the reason, and does not connect again", async () => {
    const { stock, provider, ended, counted } = refused(server, "ended");
    await until("it is told", () => ended.length);
    assert.deepEqual([provider.shouldConnect, provider.ws, provider.wsconnected], [false, null, false]);
    await pause(SEVERAL_MS);
    assert.deepEqual([ended, stock.closes], [[[4401, "unauthorized"]], [[4401, "unauthorized"]]]);
    assert.deepEqual([counted.begun, stock.connects], [1, 1]);
  });

  // testShouldReconnectTrueGrowsTheBackoff.
  it("a client that retries after a refusal waits longer each time", async () => {
    const { stock, provider, ended } = refused(server, "retries", { shouldReconnect: () => true, maxBackoffTime: 400 });
    const times = [];
    provider.on("status", ({ status }) => status === "connecting" && times.push(performance.now()));
    await until("it was refused five times", () => stock.closes.length >= 5);
    assert.ok(stock.closes.every((close) => close[0] === 4401));
    assert.ok(provider.wsUnsuccessfulReconnects >= 4, `${provider.wsUnsuccessfulReconnects}`);
    assert.deepEqual([ended, provider.shouldConnect], [[], true]);
    const gaps = times.slice(1).map((time, at) => time - times[at]);
    assert.ok(gaps.at(-1) >= 300, `${gaps}`);
  });

  for (const major of MAJORS) {
    // testSyncedSessionResetsTheBackoff, and of testOrdinaryClosesStillReconnect the one with 1006.
    it(`y-websocket ${major} connects again at once after each connection that was synchronised and broke`, async () => {
      const network = await Network.to(server);
      const stock = new Stock(network, `broken-${major}`, { major, maxBackoffTime: BACKOFF_MS });
      const ended = ends(stock);
      for (let round = 1; round <= 3; round += 1) {
        await until("it is synchronised", () => stock.provider.synced && stock.connects === round);
        assert.equal(stock.provider.wsUnsuccessfulReconnects, 0);
        network.cut();
        network.mend();
        await until("it has noticed", () => stock.closes.length === round);
      }
      assert.deepEqual([ended, stock.provider.shouldConnect], [[], true]);
      assert.ok(stock.closes.every(([code]) => code === 1006));
      network.close();
    });

    // README: wsconnected, wsconnecting, synced, the events "sync" and "status", disconnect(), connect(), `connect: false`;
    // testLocalClosesAreNeverTerminal, "explicit disconnect()".
    it(`y-websocket ${major} connects and disconnects when it is told to, and knows what it is`, async () => {
      const stock = new Stock(server, `told-${major}`, { major, connect: false, maxBackoffTime: BACKOFF_MS });
      const { provider } = stock;
      const [ended, events] = [ends(stock), []];
      provider.on("status", ({ status }) => events.push(status));
      provider.on("sync", (isSynced) => events.push(isSynced));
      assert.deepEqual([provider.shouldConnect, provider.wsconnected, provider.ws ?? null], [false, false, null]);
      for (const round of [1, 2]) {
        provider.connect();
        assert.deepEqual([provider.wsconnecting, provider.wsconnected, provider.synced], [true, false, false]);
        await stock.synced();
        assert.deepEqual([provider.wsconnecting, provider.wsconnected, provider.shouldConnect], [false, true, true]);
        provider.disconnect();
        await until("it has left", () => stock.closes.length === round);
        assert.deepEqual([provider.shouldConnect, provider.wsconnected, provider.synced], [false, false, false]);
      }
      await pause(SEVERAL_MS);
      assert.equal(stock.connects, 2);
      const one = ["connecting", "connected", true, "disconnected"];
      assert.deepEqual(
        events.filter((event) => event !== false),
        [...one, ...one],
      );
      assert.deepEqual(ended, []);
    });

    // README: "the changes will be synced to other clients via the connected server", awareness, `awareness`, destroy().
    it(`y-websocket ${major} shares changes and the awareness that it was given, until it is destroyed`, async () => {
      const doc = new Y.Doc();
      const awareness = new Awareness(doc);
      const one = await Stock.open(server, `shared-${major}`, { major, doc, awareness });
      const other = await Stock.open(server, `shared-${major}`, { major, person: { user: "ben" } });
      one.text.insert(0, "from one");
      awareness.setLocalStateField("cursor", 1);
      const shown = () => other.awareness.getStates().get(doc.clientID);
      await until("the other has both", () => other.content === "from one" && shown()?.cursor === 1);
      one.provider.destroy();
      await until("it is gone", () => !shown());
      one.text.insert(0, "not sent, ");
      other.text.insert(0, "still there, ");
      const later = await Stock.open(server, `shared-${major}`, { major });
      await until("the other goes on", () => later.content === "still there, from one");
    });

    // testDisconnectWhileConnecting.
    it(`y-websocket ${major} gives up a connection that it has begun, and can begin another`, async () => {
      const stock = new Stock(server, `given-up-${major}`, { major, maxBackoffTime: BACKOFF_MS });
      assert.equal(stock.provider.wsconnected, false);
      stock.provider.disconnect();
      await pause(SEVERAL_MS);
      assert.deepEqual([stock.provider.ws, stock.connects], [null, 0]);
      stock.provider.connect();
      await stock.synced();
      const destroyed = new Stock(server, `given-up-${major}`, { major });
      destroyed.close();
      await pause(SEVERAL_MS);
      assert.deepEqual([destroyed.provider.ws, destroyed.connects], [null, 0]);
    });
  }

  // testLocalClosesAreNeverTerminal, "socket timeout watchdog".
  it("a client that thinks the server silent reconnects, and asks nobody whether to", async () => {
    const asked = [];
    const shouldReconnect = (event) => asked.push(event);
    const stock = await Stock.open(server, "watchdog", { maxBackoffTime: BACKOFF_MS, shouldReconnect });
    const ended = ends(stock);
    stock.provider.wsLastMessageReceived = 0;
    await until("it has connected again", () => stock.connects === 2 && stock.provider.synced);
    assert.deepEqual([stock.closes, asked, ended], [[null], [], []]);
  });

  // testConnectAfterTerminalClose.
  it("a refused client gets in with a token when it is told to connect again", async () => {
    const { stock, provider, ended, counted } = refused(server, "second");
    await until("it is refused", () => ended.length);
    provider.params.token = token();
    provider.connect();
    assert.notEqual(provider.ws, null);
    await stock.synced();
    await pause(SEVERAL_MS);
    assert.deepEqual([ended.length, counted.begun, provider.wsconnected], [1, 2, true]);
  });

  // testConnectFromWithinTheClosedHandler.
  it("a refused client gets in with a token that it fetches when it is told of the refusal", async () => {
    const { stock, provider, ended, counted } = refused(server, "within");
    provider.on("closed", () => {
      provider.params.token = token();
      provider.connect();
    });
    await stock.synced();
    await pause(SEVERAL_MS);
    assert.deepEqual([ended.length, counted.begun, provider.wsconnected], [1, 2, true]);
  });
});

describe("the suite of y-websocket, with servers that stop", () => {
  const startServer = suiteDatabase(sqlite, closeStock);

  // testOrdinaryClosesStillReconnect; testCloseCodeBandBoundaries: each code of ours is on its side of their boundary.
  it("an end of the process is retried, and no other client is told to stay away", async () => {
    const server = await startServer();
    const stock = await Stock.open(server, "stopped", { maxBackoffTime: BACKOFF_MS });
    const ended = ends(stock);
    await server.stop();
    assert.deepEqual(await stock.closed(), [1012, "draining"]);
    await server.launch();
    await until("it is back", () => stock.connects === 2 && stock.provider.synced);
    assert.deepEqual([ended, stock.provider.shouldConnect], [[], true]);
    for (const [room, options, code] of [
      ["a,b", {}, 4400],
      ["stopped", { token: "no-token" }, 4401],
      ["stopped", { person: { role: "nobody" } }, 4403],
      ["absent", { person: { role: "viewer" } }, 4404],
    ]) {
      const one = new Stock(server, room, options);
      const told = ends(one);
      await until("it is told", () => told.length);
      assert.deepEqual([told[0][0], one.provider.shouldConnect], [code, false]);
    }
  });
});
