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
    const unknown = (number) => sign(claims(ISSUED), privateKey, { algorithm, kid: `unknown ${number}` });
    const numbers = Array.from({ length: 20 }, (_, number) => number);
    const refusals = () => Promise.all(numbers.map((number) => Client.refused(published, { token: unknown(number) })));
    for (const [down, code] of [
      // Nobody can say whether the key is published.
      [true, "overloaded"],
      [false, "unauthorized"],
    ]) {
      keySet.down = down;
      const [fetches, began] = [keySet.fetches, performance.now()];
      assert.deepEqual(await refusals(), Array(20).fill(code));
      const allowed = Math.ceil((performance.now() - began) / 3_000) + 1;
      assert.ok(keySet.fetches <= fetches + allowed, `${keySet.fetches - fetches} fetches, ${allowed} allowed`);
      await Client.connect(published, { token: sign(claims(ISSUED), privateKey, { algorithm, kid: algorithm }) });
    }
  });

  it("keys rotate by kid: a new one is accepted at once, whatever strangers name, and a withdrawn one is refused", async () => {
    const { publicKey, privateKey } = keyPair("ec");
    const [{ algorithm: withdrawn, privateKey: old }] = pairs;
    const guess = (kid) =>
      Client.refused(published, { token: sign(claims(ISSUED), old, { algorithm: withdrawn, kid }) });
    // A stranger has just caused a fetch, by the very name that the next key will have.
    assert.equal(await guess("next"), "unauthorized");
    keySet.publish("next", publicKey, "ES256");
    keySet.withdraw(withdrawn);
    const strangers = Promise.all(["a", "b", "c"].map(guess));
    const fresh = sign(claims(ISSUED), privateKey, { algorithm: "ES256", kid: "next" });
    await Client.connect(published, { token: fresh });
    assert.deepEqual(await strangers, Array(3).fill("unauthorized"));
    const refused = sign(claims(ISSUED), old, { algorithm: withdrawn, kid: withdrawn });
    assert.equal(await Client.refused(published, { token: refused }), "unauthorized");
  });
});

function keyPair(kind) {
  return generateKeyPairSync(kind, { modulusLength: 2048, namedCurve: "P-256" });
}
