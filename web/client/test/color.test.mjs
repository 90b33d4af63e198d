// The colour of a person, which this package and the server compute alike.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { preferredColor } from "@realtime-server/client";
import { Random } from "@realtime-server/harness/random";
import { suiteServer } from "@realtime-server/harness/suite";
import { client, closeAll } from "./support/scene.mjs";

const TEAMS = ["demo", "acme", "équipe du nord", "チーム"];
const SIGNS = [..."abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-_.@+:/ ", "ä", "ß", "Ω", "日", "本", "👩‍🚀", "́"];

/** People of several teams, with ids of 1 to 40 signs of any kind. */
function peopleOf(count) {
  const random = new Random(20_261_128);
  const id = () => Array.from({ length: 1 + random.below(40) }, () => random.of(SIGNS)).join("");
  return Array.from({ length: count }, (_, number) => ({ user: `${id()}${number}`, team: random.of(TEAMS) }));
}

describe("the preferred colour", () => {
  const server = suiteServer();
  afterEach(closeAll);

  it("of a thousand people is the one that the server tells each of them", { timeout: 120_000 }, async () => {
    const people = peopleOf(1_000);
    const colors = new Set();
    while (people.length > 0) {
      const group = people.splice(0, 50);
      await Promise.all(
        group.map(async (person) => {
          const one = client(server, { person });
          const { user, team } = await one.whenConnected({ timeoutMs: 60_000 });
          assert.equal(preferredColor(team, user.id), user.color, `${team} / ${user.id}`);
          colors.add(user.color);
          one.destroy();
        }),
      );
    }
    assert.equal(colors.size, 24, "every colour occurs");
  });
});
