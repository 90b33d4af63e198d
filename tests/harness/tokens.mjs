// Tokens, as an authentication service issues them, and forged ones.

import { createHmac, sign as signWith } from "node:crypto";

/** The shared secret of servers under test. */
export const SECRET = "a-secret-of-the-tests-that-is-long-enough";

const DIGESTS = { HS256: "sha256", HS384: "sha384", HS512: "sha512" };

/** Signs `claims`: `key` is a secret (HS…) or a private KeyObject (RS256, ES256, EdDSA). */
export function sign(claims, key = SECRET, { algorithm = "HS256", kid } = {}) {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const message = `${encode({ alg: algorithm, typ: "JWT", kid })}.${encode(claims)}`;
  return `${message}.${signature(message, key, algorithm).toString("base64url")}`;
}

function signature(message, key, algorithm) {
  if (algorithm === "none") return Buffer.alloc(0);
  if (DIGESTS[algorithm]) return createHmac(DIGESTS[algorithm], key).update(message).digest();
  if (algorithm === "EdDSA") return signWith(null, Buffer.from(message), key);
  return signWith("sha256", Buffer.from(message), { key, dsaEncoding: "ieee-p1363" });
}

/**
 * The claims of a person: an editor of the team `acme` for an hour, unless told otherwise. Further claims are added as
 * they are; `undefined` removes one.
 */
export function claims({ user = "ana", role = "editor", roles = [role], team = "acme", ttl_s = 3600, ...more } = {}) {
  const now = Math.floor(Date.now() / 1000);
  return { sub: user, name: `${user}'s name`, team, roles, iat: now, exp: now + ttl_s, ...more };
}

/** A token with {@link claims}, signed with the tests' secret. */
export function token(person) {
  return sign(claims(person));
}
