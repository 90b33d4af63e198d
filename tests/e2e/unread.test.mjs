// The number of unread notifications: the same on every tab, in the list, and for who was away, whatever happens at once.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { databases } from "@realtime-server/harness/databases";
import { Random } from "@realtime-server/harness/random";
import { suiteServer } from "@realtime-server/harness/suite";
import { token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";

const OPERATIONS = 1_000;
const AT_ONCE = 10;
const TEAM = "counting";

/** A tab: it counts only by what the server tells it. */
async function tab(server, user) {
  const client = await Client.connect(server, { person: { user, team: TEAM } });
  const { socket } = client;
  const state = { client, unread: client.welcome.unread, event_id: 0, told: 0, known: [] };
  for (const name of ["notification", "notification_read", "notification_deleted"]) {
    socket.on(name, (payload) => {
      assert.ok(payload.event_id > state.event_id, "the events come in order");
      Object.assign(state, { unread: payload.unread, event_id: payload.event_id });
      state.told++;
      if (name === "notification") state.known.push(payload.id);
    });
  }
  return state;
}

async function whole(client) {
  const notifications = [];
  let page;
  do {
    page = await client.ok("notification_list", { limit: 100, cursor: page?.next_cursor });
    notifications.push(...page.notifications);
  } while (page.next_cursor);
  return { unread: page.unread, counted: notifications.filter(({ read_at }) => !read_at).length, notifications };
}

for (const database of databases) {
  describe(`unread notifications on ${database.name}`, () => {
    const server = suiteServer({ database, env: { REQUESTS_PER_SECOND: "100000", REQUESTS_BURST: "100000" } });
    afterEach(closeClients);

    it(`are counted right on two tabs and for a person who is away, over ${OPERATIONS} random operations`, async (t) => {
      const seed = Number(process.env.SEED ?? Date.now() % 2 ** 32);
      const draw = new Random(seed);
      t.diagnostic(`SEED=${seed}`);
      const tabs = [await tab(server, "ana"), await tab(server, "ana")];
      // What the server refuses because it has too much to do is asked again, with the same key: it happens once.
      const publish = async (users) => {
        const body = { users, kind: draw.of(["a", "b", "c"]), title: `title ${draw.below(20)}` };
        const request = {
          method: "POST",
          headers: {
            authorization: `Bearer ${token({ user: "service", role: "service", team: TEAM })}`,
            "idempotency-key": `${draw.below(2 ** 32)}`,
          },
          body: JSON.stringify(body),
        };
        await until("it is published", async () => {
          const response = await fetch(`${server.url}/api/v1/notifications`, request);
          const answer = await response.json();
          assert.ok(response.status === 201 || answer.error.retryable, JSON.stringify(answer));
          return response.status === 201;
        });
      };
      const operations = [
        [6, () => publish(draw.of([["ana"], ["ben"], ["ana", "ben"]]))],
        [3, () => change("notification_read", { ids: ids() })],
        [2, () => change("notification_delete", { ids: ids() })],
        [0.2, () => change("notification_read", { all: true })],
        [0.1, () => change("notification_delete", { all: true })],
        [0.5, () => change("notification_preferences", { muted: draw.of([[], ["a"], ["a", "b"]]) })],
      ];
      const ids = () => Array.from({ length: 1 + draw.below(4) }, () => draw.of(tabs[0].known)).filter(Boolean);
      const change = (event, payload) => {
        const { client } = draw.of(tabs);
        return until("it is changed", async () => {
          const ack = await client.request(event, payload);
          assert.ok(ack.ok || ack.error.retryable, JSON.stringify(ack));
          return ack.ok;
        });
      };
      const weights = operations.reduce((sum, [weight]) => sum + weight, 0);
      const next = () => {
        let at = (draw.below(1_000) / 1_000) * weights;
        return operations.find(([weight]) => (at -= weight) < 0)[1]();
      };
      for (let done = 0; done < OPERATIONS; done += AT_ONCE) {
        await Promise.all(Array.from({ length: AT_ONCE }, next));
        if (done % 100) continue;
        await until("both tabs were told the same", () => tabs[0].event_id === tabs[1].event_id);
        const { unread, counted } = await whole(tabs[0].client);
        assert.equal(unread, counted);
        await until("the tabs agree with the list", () => tabs.every((tab) => tab.unread === unread));
      }
      assert.ok(tabs[0].told > 300, `${tabs[0].told} events`);
      for (const user of ["ana", "ben"]) {
        const late = await tab(server, user);
        const { unread, counted, notifications } = await whole(late.client);
        assert.deepEqual([late.unread, unread], [counted, counted], user);
        const subjects = notifications.filter(({ read_at }) => !read_at).map(({ kind, title }) => `${kind} ${title}`);
        assert.equal(new Set(subjects).size, subjects.length, "what is unread is folded");
      }
      assert.deepEqual(
        tabs.map((tab) => tab.unread),
        Array(2).fill((await whole(tabs[1].client)).counted),
      );
    });
  });
}
