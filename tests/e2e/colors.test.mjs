// The colours of people in a room. Section "Awareness" of the protocol.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { suiteServer } from "@realtime-server/harness/suite";
import { until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";

/** How many colours the server has. */
const PALETTE = 24;

// On SQLite alone: colours are held in memory and never stored.
describe("colours", () => {
  const server = suiteServer();
  afterEach(closeClients);

  const enter = async (room, user) => {
    const client = await Client.connect(server, { person: { user } });
    const replica = await client.join(room);
    return { client, replica, id: replica.doc.clientID, color: replica.joined.color };
  };
  const show = ({ replica }, state) => replica.awareness.setLocalState(state);
  /** The user in a state, as `viewer` sees it. */
  const user = (viewer, { id }) => viewer.replica.awareness.getStates().get(id)?.user;
  const sees = (viewer, shown, color) => until(`${color} is seen`, () => user(viewer, shown)?.color === color);

  it("the preferred colour of a person is free in an empty room, and the same everywhere", async () => {
    for (const name of ["ana", "ben", "cai"]) {
      const one = await enter(`alone: ${name}`, name);
      assert.match(one.color, /^#[0-9a-f]{6}$/);
      assert.equal(one.color, one.client.welcome.user.color);
      assert.equal((await enter(`also alone: ${name}`, name)).color, one.color);
    }
  });

  it("ten people in a room have ten colours, which all of them see", async () => {
    const names = ["ana", "ben", "cai", "dan", "eve", "fay", "gus", "hal", "ida", "joe"];
    const people = await Promise.all(names.map((name) => enter("ten", name)));
    const preferred = new Set(people.map(({ client }) => client.welcome.user.color));
    assert.ok(preferred.size < 10, "some of them prefer the same one");
    assert.equal(new Set(people.map(({ color }) => color)).size, 10);
    for (const person of people) show(person, { user: { name: "x" }, cursor: 1 });
    for (const viewer of people) {
      for (const shown of people) if (viewer !== shown) await sees(viewer, shown, shown.color);
    }
  });

  it("when all colours are in use, they are shared evenly", async () => {
    const people = await Promise.all(Array.from({ length: 30 }, (_, number) => enter("thirty", `user ${number}`)));
    const uses = new Map();
    for (const { color } of people) uses.set(color, (uses.get(color) ?? 0) + 1);
    assert.equal(uses.size, PALETTE);
    assert.deepEqual(new Set(uses.values()), new Set([1, 2]));
  });

  it("three tabs of a person have one colour", async () => {
    const tabs = [await enter("tabs", "ana"), await enter("tabs", "ana"), await enter("tabs", "ana")];
    const ben = await enter("tabs", "ben");
    assert.equal(new Set(tabs.map(({ color }) => color)).size, 1);
    assert.notEqual(ben.color, tabs[0].color);
    for (const tab of tabs) show(tab, { tab: true });
    for (const tab of tabs) await sees(ben, tab, tab.color);
  });

  it("who poses with the colour of another is shown in the own one, and colorLight follows it", async () => {
    const [ana, eve, ben] = [await enter("posing", "ana"), await enter("posing", "eve"), await enter("posing", "ben")];
    const pose = { name: "ana's name", color: ana.color, colorLight: `${ana.color}33` };
    show(eve, { user: pose });
    await sees(ben, eve, eve.color);
    assert.deepEqual(user(ben, eve), { id: "eve", name: "eve's name", color: eve.color, colorLight: `${eve.color}33` });
    show(eve, { user: { ...pose, color: ana.color.toUpperCase() }, again: true });
    await until("the next state is seen", () => ben.replica.awareness.getStates().get(eve.id).again);
    assert.equal(user(ben, eve).color, eve.color);
    // What the client holds of itself is never changed by the server, so that its clock stays ahead.
    assert.equal(eve.replica.awareness.getLocalState().user.color, ana.color.toUpperCase());
  });

  it("an own colour is kept where it clashes with nobody, and stock clients see each change of it", async () => {
    const [ana, eve, ben] = [await enter("own", "ana"), await enter("own", "eve"), await enter("own", "ben")];
    show(ana, { user: { color: "#123456" } });
    await sees(ben, ana, "#123456");
    show(eve, { user: { color: "#123457" } });
    await sees(ben, eve, eve.color);
    show(ana, { user: { color: "#ffee00" } });
    await sees(ben, ana, "#ffee00");
    show(eve, { user: { color: "#123457" }, again: true });
    await sees(ben, eve, "#123457");
    const late = await enter("own", "late");
    await sees(late, ana, "#ffee00");
    await sees(late, eve, "#123457");
  });

  it("a person who comes back soon has the same colour, although it was not the preferred one", async () => {
    const all = Array.from({ length: PALETTE - 4 }, (_, number) => `user ${number}`);
    const people = await Promise.all(all.map((name) => enter("back", name)));
    const moved = people.find(({ client, color }) => client.welcome.user.color !== color);
    assert.ok(moved, "some preferences clash");
    const name = all[people.indexOf(moved)];
    const holder = people.find(({ color }) => color === moved.client.welcome.user.color);
    for (const gone of [moved, holder]) await gone.replica.leave();
    const stranger = await enter("back", "a stranger");
    assert.notEqual(stranger.color, moved.color);
    assert.equal((await enter("back", name)).color, moved.color);
  });
});
