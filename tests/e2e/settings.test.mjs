// Settings: valid ones are accepted, and an invalid one ends the start with the variable's name and the exit code 78.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import { freePort, temporaryFolder } from "@realtime-server/harness/process";
import { run } from "@realtime-server/harness/server";
import { SECRET } from "@realtime-server/harness/tokens";
import { next } from "@realtime-server/harness/until";

const ORIGIN = "https://app.example.org";

describe("settings", () => {
  const GOOD = { JWT_SECRET: SECRET, DATABASE_URL: "sqlite://realtime.db" };
  const PRODUCTION = { ...GOOD, REALTIME_ENV: "production", CORS_ALLOWED_ORIGINS: ORIGIN };

  it("check-config accepts valid settings and shows them without secrets", async () => {
    for (const env of [
      {},
      GOOD,
      PRODUCTION,
      { ...GOOD, METRICS_TOKEN: "a-metrics-token", CORS_ALLOWED_ORIGINS: "*" },
    ]) {
      const { code, stdout, stderr } = await run(["check-config"], env);
      assert.equal(code, 0, stderr);
      assert.ok(!(stdout + stderr).includes(SECRET), "the secret is shown");
      assert.ok(!(stdout + stderr).includes("a-metrics-token"), "the metrics token is shown");
    }
  });

  it("check-config shows each setting with its value and its source, and warns of unsafe ones", async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, ".env"), "ROOM_IDLE_MS=5000\nREALTIME_SERVER_HOST=0.0.0.0\nUPDATE_BYTE_MAX=1\n");
    const env = { ...GOOD, UPDATES_BURST: "77" };
    const { code, stdout, stderr } = await run(["check-config"], env, { cwd: folder });
    assert.equal(code, 0, stderr);
    const rows = new Map(stdout.split("\n").map((line) => [line.trim().split(/\s+/)[0], line.trim().split(/\s{2,}/)]));
    assert.deepEqual(rows.get("ROOM_IDLE_MS"), ["ROOM_IDLE_MS", "5000 (5 s)", ".env"]);
    assert.deepEqual(rows.get("UPDATES_BURST"), ["UPDATES_BURST", "77", "environment"]);
    assert.deepEqual(rows.get("REALTIME_SERVER_PORT"), ["REALTIME_SERVER_PORT", "3001", "default"]);
    assert.match(stderr, /^warning: UPDATE_BYTE_MAX is not a setting; did you mean UPDATE_BYTES_MAX\?$/m);
    assert.match(stderr, /^warning: REALTIME_DEV_DOORS is open/m);
  });

  it("check-config does not show a database's password", async () => {
    const { code, stdout, stderr } = await run(["check-config"], { DATABASE_URL: "postgres://me:hunter2@db/realtime" });
    assert.equal(code, 0, stderr);
    assert.ok(!(stdout + stderr).includes("hunter2"));
  });

  for (const [variable, value, more] of [
    ["UPDATE_BYTES_MAX", "ten"],
    ["UPDATE_BYTES_MAX", "-1"],
    ["UPDATE_BYTES_MAX", "1"],
    ["ROOMS_PER_SOCKET", "0"],
    ["DRAIN_TIMEOUT_MS", "20000"],
    ["JOURNAL_BYTES_MAX", "65536"],
    ["REALTIME_SERVER_PORT", "65536"],
    ["REALTIME_SERVER_HOST", "not an address"],
    ["REALTIME_ENV", "staging"],
    ["DATABASE_URL", "mysql://localhost/realtime"],
    ["DATABASE_URL", "sqlite::memory:"],
    ["LOG_FORMAT", "yaml"],
    ["JWT_ALGORITHM", "RS256"],
    ["JWT_ALGORITHM", "none"],
    ["JWT_LEEWAY_MS", "60000"],
    ["JWT_PUBLIC_KEY_FILE", "/no/such/file.pem", { JWT_SECRET: undefined }],
    ["JWT_JWKS_URL", "not an address", { JWT_SECRET: undefined }],
    ["JWT_JWKS_URL", "http://login.example.org/jwks.json", { JWT_SECRET: undefined }],
    ["JWT_JWKS_URL", "https://login.example.org/jwks.json"],
    ["CORS_ALLOWED_ORIGINS", "app.example.org"],
    ["REDIS_URL", "redis://localhost"],
    ["TLS_CERT_FILE", "cert.pem"],
  ]) {
    it(`${variable}=${value} ends the start with the exit code 78 and the variable's name`, async () => {
      for (const parameters of [["check-config"], []]) {
        const { code, stdout, stderr } = await run(parameters, { ...GOOD, ...more, [variable]: value });
        assert.equal(code, 78, stdout + stderr);
        assert.ok(stderr.includes(variable), stderr);
        assert.ok(!stderr.includes(SECRET));
      }
    });
  }

  for (const [need, variable, env] of [
    ["a signing key", "JWT_SECRET", { JWT_SECRET: undefined }],
    ["a secret of some length", "JWT_SECRET", { JWT_SECRET: "too short" }],
    ["allowed origins", "CORS_ALLOWED_ORIGINS", { CORS_ALLOWED_ORIGINS: undefined }],
    ["its development doors closed", "REALTIME_DEV_DOORS", { REALTIME_DEV_DOORS: "true" }],
  ]) {
    it(`production does not start without ${need}`, async () => {
      const { code, stderr } = await run([], { ...PRODUCTION, ...env });
      assert.equal(code, 78);
      assert.ok(stderr.includes(variable), stderr);
      assert.ok(!stderr.includes("too short"), "the secret is shown");
    });
  }

  it("a .env file is read, and the environment overrides it", async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, ".env"), "UPDATE_BYTES_MAX=ten\n");
    const parameters = ["check-config"];
    const fromFile = await run(parameters, GOOD, { cwd: folder });
    assert.equal(fromFile.code, 78);
    assert.ok(fromFile.stderr.includes("UPDATE_BYTES_MAX"));
    assert.equal((await run(parameters, { ...GOOD, UPDATE_BYTES_MAX: "2097152" }, { cwd: folder })).code, 0);
  });

  it("--help and --version are answered, and an unknown argument starts nothing", async () => {
    assert.match((await run(["--version"])).stdout, /^realtime-server \d+\.\d+\.\d+/);
    const help = await run(["--help"]);
    assert.equal(help.code, 0);
    for (const command of ["check-config", "migrate", "token"]) assert.ok(help.stdout.includes(command), command);
    assert.equal((await run(["--frobnicate"])).code, 2);
  });

  it("a port that is in use ends the start with an error that names it", async () => {
    const port = await freePort();
    const squatter = createServer().listen(port, "127.0.0.1");
    await next(squatter, "listening");
    const { code, stdout, stderr } = await run([], { ...GOOD, REALTIME_SERVER_PORT: port });
    squatter.close();
    assert.equal(code, 1);
    assert.match(stdout + stderr, new RegExp(`127\\.0\\.0\\.1:${port}: Address already in use`));
  });
});
