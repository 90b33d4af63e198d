// Signing keys: PEM files and published key sets (JWKS), their rotation, issuer and audience. Section 2 of the protocol.

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { sqlite } from "@realtime-server/harness/databases";
import { KeySet } from "@realtime-server/harness/key-set";
import { temporaryFolder } from "@realtime-server/harness/process";
import { Server } from "@realtime-server/harness/server";
import { claims, sign } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";

describe("signing keys", () => {
  const NAMES = { RS256: "rsa", ES256: "ec", EdDSA: "ed25519" };
  const pairs = Object.entries(NAMES).map(([algorithm, kind]) => ({ algorithm, ...keyPair(kind) }));
  let keySet;
  let published;
  before(async () => {
    keySet = await KeySet.serve();
    for (const pair of pairs) keySet.publish(pair.algorithm, pair.publicKey, pair.algorithm);
    published = await Server.start({
      database: sqlite,
      env: {
        JWT_SECRET: undefined,
        JWT_JWKS_URL: keySet.url,
        JWT_ISSUER: "https://login.example.org",
        JWT_AUDIENCE: "realtime",
      },
    });
  });
  afterEach(closeClients);
  after(async () => {
    await published.stop();
    keySet.close();
  });

  const ISSUED = { iss: "https://login.example.org", aud: "realtime" };

  for (const { algorithm, privateKey, publicKey } of pairs) {
    it(`a PEM public key verifies ${algorithm}, and no other algorithm or key`, async () => {
      const file = join(temporaryFolder(), "key.pem");
      const pem = publicKey.export({ type: "spki", format: "pem" });
      writeFileSync(file, pem);
      const env = { JWT_SECRET: undefined, JWT_PUBLIC_KEY_FILE: file };
      const server = await Server.start({ database: sqlite, env });
      await Client.connect(server, { token: sign(claims(), privateKey, { algorithm }) });
      const confused = sign(claims(), pem, { algorithm: "HS256" });
      assert.equal(await Client.refused(server, { token: confused }), "unauthorized");
      const other = sign(claims(), keyPair(NAMES[algorithm]).privateKey, { algorithm });
      assert.equal(await Client.refused(server, { token: other }), "unauthorized");
      await server.stop();
    });

    it(`a published key (JWKS) verifies ${algorithm}`, async () => {
      const good = sign(claims(ISSUED), privateKey, { algorithm, kid: algorithm });
      await Client.connect(published, { token: good });
      const otherKey = sign(claims(ISSUED), privateKey, { algorithm, kid: algorithm === "RS256" ? "ES256" : "RS256" });
      assert.equal(await Client.refused(published, { token: otherKey }), "unauthorized");
    });
  }

  for (const [mismatch, wrong] of [
    ["another issuer", { ...ISSUED, iss: "https://evil.example.org" }],
    ["no issuer", { ...ISSUED, iss: undefined }],
    ["another audience", { ...ISSUED, aud: "billing" }],
    ["no audience", { ...ISSUED, aud: undefined }],
  ]) {
    it(`a token with ${mismatch} is refused where one is configured`, async () => {
      const [{ algorithm, privateKey }] = pairs;
      const refused = sign(claims(wrong), privateKey, { algorithm, kid: algorithm });
      assert.equal(await Client.refused(published, { token: refused }), "unauthorized");
    });
  }

  it("a token with several audiences needs only one that matches", async () => {
    const [{ algorithm, privateKey }] = pairs;
    const several = sign(claims({ ...ISSUED, aud: ["billing", "realtime"] }), privateKey, {
      algorithm,
      kid: algorithm,
    });
    await Client.connect(published, { token: several });
  });

  it("keys are fetched rarely, whatever kid a token names, and stay valid while the address is down", async () => {
    const [{ algorithm, privateKey }] = pairs;
    const fetches = keySet.fetches;
    keySet.down = true;
    for (let number = 0; number < 20; number += 1) {
      const unknown = sign(claims(ISSUED), privateKey, { algorithm, kid: `unknown ${number}` });
      assert.equal(await Client.refused(published, { token: unknown }), "unauthorized");
    }
    assert.ok(keySet.fetches <= fetches + 1, `${keySet.fetches - fetches} fetches for 20 unknown kids`);
    await Client.connect(published, { token: sign(claims(ISSUED), privateKey, { algorithm, kid: algorithm }) });
    keySet.down = false;
  });

  it("keys rotate by kid: a new one is accepted within two minutes, and a withdrawn one is refused", async () => {
    const { publicKey, privateKey } = keyPair("ec");
    const [{ algorithm: withdrawn, privateKey: old }] = pairs;
    keySet.publish("next", publicKey, "ES256");
    keySet.withdraw(withdrawn);
    const fresh = sign(claims(ISSUED), privateKey, { algorithm: "ES256", kid: "next" });
    // The server fetches at most once a minute.
    await until("the new key is known", () => Client.connect(published, { token: fresh }), 75_000, 1_000);
    const refused = sign(claims(ISSUED), old, { algorithm: withdrawn, kid: withdrawn });
    assert.equal(await Client.refused(published, { token: refused }), "unauthorized");
  });
});

function keyPair(kind) {
  return generateKeyPairSync(kind, { modulusLength: 2048, namedCurve: "P-256" });
}
