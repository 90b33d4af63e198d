// Certificates for servers on this machine, made by OpenSSL's own program.

import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "./process.mjs";

/** A certificate for 127.0.0.1 that signs itself, and its key: the paths of the files, and what clients have to trust. */
export function certificate() {
  const folder = temporaryFolder();
  const files = { cert: join(folder, "cert.pem"), key: join(folder, "key.pem") };
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  const names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
  const out = ["-keyout", files.key, "-out", files.cert];
  execFileSync("openssl", ["req", "-x509", ...kind, ...names, ...out], { stdio: "pipe" });
  const ca = readFileSync(files.cert, "utf8");
  return { ...files, ca, fingerprint: new X509Certificate(ca).fingerprint256 };
}
