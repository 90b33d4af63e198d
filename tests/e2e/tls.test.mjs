// TLS of the server's own: every door, and certificates that are exchanged while clients are connected. SQLite only: nothing
// of it is in the database.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { afterEach, describe, it } from "node:test";
import { connect as connectTls } from "node:tls";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import WebSocket from "ws";
import { certificate } from "@realtime-server/harness/certificate";
import { sqlite } from "@realtime-server/harness/databases";
import { run } from "@realtime-server/harness/server";
import { suiteServer } from "@realtime-server/harness/suite";
import { SECRET } from "@realtime-server/harness/tokens";
import { next, until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";
import { KINDS } from "./support/doors.mjs";
import { converged } from "./support/room.mjs";

const EVERY_DOOR = fileURLToPath(new URL("support/every-door.mjs", import.meta.url));

describe("TLS", () => {
  const first = certificate();
  const env = {
    TLS_CERT_FILE: first.cert,
    TLS_KEY_FILE: first.key,
    REALTIME_ENV: "production",
    REALTIME_SERVER_HOST: "127.0.0.1",
    CORS_ALLOWED_ORIGINS: "https://app.example.org",
    HTTP_HEADER_TIMEOUT_MS: 1_000,
  };
  const server = suiteServer({ database: sqlite, env });
  afterEach(closeClients);

  /** The certificate of a new connection, and its protocol; `options` are those of node:tls. */
  async function handshake(options = {}) {
    const socket = connectTls({ host: "127.0.0.1", port: server.port, rejectUnauthorized: false, ...options });
    try {
      await new Promise((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
      const { fingerprint256 } = socket.getPeerCertificate();
      return { fingerprint: fingerprint256, protocol: socket.getProtocol(), alpn: socket.alpnProtocol };
    } finally {
      socket.destroy();
    }
  }

  it("socket.io-client connects by wss and by https polling, and edits reach the others", async () => {
    const rooms = [];
    for (const transports of [["websocket"], ["polling"], ["polling", "websocket"]]) {
      const person = { user: transports.join("-") };
      rooms.push(await (await Client.connect(server, { person, transports, ca: first.ca })).join("encrypted"));
    }
    for (const [place, room] of rooms.entries()) await room.edit(({ map }) => map.set(`${place}`, "x".repeat(200_000)));
    await converged(rooms);
    assert.equal([...rooms[0].map.keys()].length, 3);
  });

  it("every kind of client edits one document by wss, with the authority's certificate in NODE_EXTRA_CA_CERTS", async () => {
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: first.cert };
    const { stdout } = await promisify(execFile)("node", [EVERY_DOOR, server.url], { env, timeout: 60_000 });
    assert.equal(stdout, `${KINDS.length}\n`);
  });

  it("a WebSocket of its own is served at /, and curl reads the health", async () => {
    const socket = new WebSocket(`wss://127.0.0.1:${server.port}/`, { ca: first.ca });
    const opened = await next(socket, "message");
    assert.match(String(opened), /^0\{"sid":/);
    socket.close();
    const { stdout } = await promisify(execFile)("curl", ["-sS", "--cacert", first.cert, `${server.url}/health/ready`]);
    assert.equal(stdout, "ready");
  });

  it("TLS 1.2 and 1.3 are served with HTTP/1.1, and nothing older", async () => {
    for (const version of ["TLSv1.2", "TLSv1.3"]) {
      const ALPNProtocols = ["h2", "http/1.1"];
      const { protocol, alpn } = await handshake({ minVersion: version, maxVersion: version, ALPNProtocols });
      assert.deepEqual([protocol, alpn], [version, "http/1.1"]);
    }
    await assert.rejects(handshake({ minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "ALL@SECLEVEL=0" }));
  });

  it("a client that begins no handshake, or speaks plain HTTP, is disconnected", async () => {
    const silent = connect(server.port, "127.0.0.1");
    const plain = connect(server.port, "127.0.0.1");
    const ends = [silent, plain].map((socket) => next(socket.on("error", () => {}).resume(), "close"));
    plain.write("GET /health HTTP/1.1\r\nhost: x\r\n\r\n");
    await Promise.all(ends);
    assert.equal((await server.get("/health")).status, 200);
  });

  it("browsers are told to use TLS only, and not to guess types, send referrers or show answers in frames", async () => {
    for (const path of ["/health", "/api/v1/documents", "/nowhere"]) {
      const { headers } = await server.get(path);
      assert.equal(headers.get("strict-transport-security"), "max-age=31536000", path);
      assert.equal(headers.get("x-content-type-options"), "nosniff", path);
      assert.equal(headers.get("referrer-policy"), "no-referrer", path);
      assert.match(headers.get("content-security-policy"), /frame-ancestors 'none'/, path);
    }
  });

  it("a new certificate is used for new connections, without a restart and without ending those that exist", async () => {
    const client = await Client.connect(server, { person: { user: "ana" }, ca: first.ca });
    const room = await client.join("exchanged");
    assert.equal((await handshake()).fingerprint, first.fingerprint);
    const second = certificate();
    // One after the other, as an operator copies them.
    copyFileSync(second.cert, first.cert);
    copyFileSync(second.key, first.key);
    await until("the new one is used", async () => (await handshake()).fingerprint === second.fingerprint);
    await room.edit(({ text }) => text.insert(0, "still connected"));
    assert.deepEqual(client.disconnects, []);

    writeFileSync(first.key, "-----BEGIN PRIVATE KEY-----\nnot a key\n-----END PRIVATE KEY-----\n");
    await until("it is logged", () => server.log.includes("the present one stays in use"));
    assert.equal((await handshake()).fingerprint, second.fingerprint);
    copyFileSync(second.key, first.key);
    const third = certificate();
    copyFileSync(third.key, first.key);
    copyFileSync(third.cert, first.cert);
    process.kill(server.pid, "SIGHUP");
    await until("the third one is used", async () => (await handshake()).fingerprint === third.fingerprint);
    await room.edit(({ text }) => text.insert(0, "and "));
    assert.deepEqual(client.disconnects, []);
  });

  it("a certificate without its key, or of another key, ends the start", async () => {
    const [one, other] = [certificate(), certificate()];
    const base = { JWT_SECRET: SECRET, DATABASE_URL: "sqlite://realtime.db" };
    for (const files of [{ TLS_CERT_FILE: one.cert }, { TLS_CERT_FILE: one.cert, TLS_KEY_FILE: other.cert }]) {
      const { code, stderr } = await run([], { ...base, ...files });
      assert.equal(code, 78, stderr);
      assert.match(stderr, /TLS_KEY_FILE/);
    }
    const mismatched = await run([], { ...base, TLS_CERT_FILE: one.cert, TLS_KEY_FILE: other.key });
    assert.equal(mismatched.code, 78, mismatched.stderr);
    assert.match(mismatched.stderr, /TLS_CERT_FILE/);
  });
});
