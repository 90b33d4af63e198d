// While strangers attack the server in every way, those with a token are served, and newcomers get in. `floods.mjs` measures the
// same by hand, on a quiet machine; here is what does not depend on the machine's speed.

import assert from "node:assert/strict";
import { networkInterfaces } from "node:os";
import { after, before, describe, it } from "node:test";
import { suiteServer } from "@realtime-server/harness/suite";
import { closeClients } from "./support/client.mjs";
import { ATTACKS, Pair, observe, observeAttack, tokensOfStrangers } from "./support/floods.mjs";

const MIB = 2 ** 20;
const OPTIONS = { newcomers: 15, duration_ms: 1_500 };
/** What strangers may use of the processor: their share of half a core, and what the kernel does for them, which is not limited. */
const PROCESSOR_MAX = 0.9;

// On SQLite alone: strangers do not reach the database.
describe("an attack of strangers at the same address", () => {
  const server = suiteServer({ env: { RUST_LOG: "warn" } });
  const { all, slow, silent, opens, ...others } = ATTACKS;
  resist(server, others, "127.0.0.1");
});

describe("a flood of attempts to connect", () => {
  const server = suiteServer({ env: { RUST_LOG: "warn" } });
  after(() => closeClients());

  it("keeps nobody of its address out, while it is dropped", async (test) => {
    const tokens = await tokensOfStrangers(server);
    const pair = await Pair.join(server);
    const dropped = () => server.metric('realtime_limits_applied_total{limit="flooding_addresses"}');
    const refused = () => server.metric('realtime_limits_applied_total{limit="stranger_cpu_ms_per_second"}');
    assert.equal(await dropped(), 0);
    const seen = await observeAttack(server, pair, "silent", { tokens, newcomers: 15, duration_ms: 3_000 });
    test.diagnostic(
      `${await dropped()} times an address was found to flood; ${await refused()} connections waited or were refused`,
    );
    // On a slow machine the strangers do not open enough connections: src/front/syn_filter/tests.rs shows that the kernel drops them.
    if ((await dropped()) > 0) assert.match(server.log, /an address floods.*127\.0\.0\.1/);
    assert.ok(Number.isFinite(seen.slowest_ms), "a newcomer at the same address did not get in");
    assert.ok(Number.isFinite(seen.p99_ms), "an edit was not seen");
    assert.equal(pair.cuts, 0, "the pair was disconnected");
  });
});

// More connections are opened than strangers get served: other clients of the same address get in by luck (docs/transport.md).
// Each has a server of its own, since one that has been attacked drops what its attackers attempt next for some seconds.
for (const attack of ["all", "slow", "silent", "opens"]) {
  describe("a flood of connections from another address", { skip: !hasIpv6() && "there is no ::1" }, () => {
    const server = suiteServer({ env: { RUST_LOG: "warn", REALTIME_SERVER_HOST: "::" } });
    resist(server, { [attack]: ATTACKS[attack] }, "[::1]");
  });
}

function hasIpv6() {
  return Object.values(networkInterfaces())
    .flat()
    .some(({ address }) => address === "::1");
}

/** Tests of `attacks` by strangers who connect to and from `host`. */
function resist(server, attacks, host) {
  let pair, tokens, quiet;
  before(async () => {
    tokens = await tokensOfStrangers(server);
    assert.ok(tokens.revoked, "a token can be revoked");
    pair = await Pair.join(server);
    await observe(server, pair, OPTIONS);
    quiet = await observe(server, pair, OPTIONS);
  });
  after(() => closeClients());

  for (const [attack, title] of Object.entries(attacks)) {
    it(`keeps nobody out and costs little: ${title}`, async (test) => {
      const seen = await observeAttack(server, pair, attack, { tokens, host, ...OPTIONS });
      const processor = seen.processor_share - quiet.processor_share;
      const growth = seen.memory - quiet.memory;
      test.diagnostic(
        `p99 ${quiet.p99_ms.toFixed(1)} ms, then ${seen.p99_ms.toFixed(1)} ms; newcomers in ${seen.slowest_ms.toFixed(0)} ms; ` +
          `processor ${processor.toFixed(2)}; ${Math.round(growth / MIB)} MiB; ${Math.round(seen.opened_per_second)} connections/s`,
      );
      assert.ok(seen.opened_per_second > 0, "the strangers attack");
      assert.ok(Number.isFinite(seen.slowest_ms), "a newcomer did not get in");
      assert.ok(Number.isFinite(seen.p99_ms), "an edit was not seen");
      assert.equal(pair.cuts, 0, "the pair was disconnected");
      assert.ok(processor < PROCESSOR_MAX, `${processor} of a processor`);
      assert.ok(growth < 64 * MIB, `${Math.round(growth / MIB)} MiB`);
    });
  }
}
