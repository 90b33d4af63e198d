// The front door: limits of connections, headers, bodies and pauses, before a client has shown any token.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { afterEach, describe, it } from "node:test";
import { sqlite } from "@realtime-server/harness/databases";
import { suiteDatabase, suiteServer } from "@realtime-server/harness/suite";
import { token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";
import { RawSocket } from "./support/raw.mjs";
import { Tcp } from "./support/tcp.mjs";

const OPEN = "/socket.io/?EIO=4&transport=polling";
const UPGRADE = {
  upgrade: "websocket",
  connection: "Upgrade",
  "sec-websocket-version": "13",
  "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
};

/** The usual time after which a connection is closed on which nothing arrives. */
const HEADER_TIMEOUT_MS = 10_000;

const applied = (server, limit) => server.metric(`realtime_limits_applied_total{limit="${limit}"}`);

describe("the times of HTTP", () => {
  const server = suiteServer({
    env: {
      HTTP_HEADER_TIMEOUT_MS: 700,
      HTTP_IDLE_TIMEOUT_MS: 1_500,
      HTTP_BODY_TIMEOUT_MS: 700,
      HTTP_WRITE_TIMEOUT_MS: 700,
    },
  });
  afterEach(() => Tcp.closeAll());

  it("closes a connection on which no request begins", async () => {
    const silent = await Tcp.open(server);
    await silent.end();
    assert.equal(silent.text, "");
    assert.ok((await applied(server, "http_idle_timeout")) > 0);
  });

  it("answers headers that do not end with 408", async () => {
    const slow = await Tcp.open(server);
    slow.send("GET /health HTTP/1.1\r\nhost: x\r\nx-slow: ");
    const dripping = setInterval(() => slow.send("a"), 50);
    await slow.end();
    clearInterval(dripping);
    assert.match(slow.text, /^HTTP\/1.1 408 /);
    assert.match(slow.text, /"code":"invalid".*did not arrive in time/);
    assert.equal(await applied(server, "http_header_timeout"), 1);
  });

  it("answers headers that are too large with 431", async () => {
    const large = await Tcp.open(server);
    const answer = await large.get("/health", { "x-large": "a".repeat(33 * 1024) });
    assert.match(answer, /^HTTP\/1.1 431 /);
    const many = await Tcp.open(server);
    const headers = Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`x-${n}`, "a"]));
    assert.match(await many.get("/health", headers), /^HTTP\/1.1 431 /);
    await until("both are counted", async () => (await applied(server, "http_header_bytes_max")) === 2);
    const most = await Tcp.open(server);
    assert.match(await most.get("/health", { "x-large": "a".repeat(31 * 1024) }), /^HTTP\/1.1 200 /);
  });

  it("keeps a connection between requests, and closes one that stays idle", async () => {
    const kept = await Tcp.open(server);
    const began = performance.now();
    assert.match(await kept.get("/health"), /^HTTP\/1.1 200 /);
    await kept.end();
    assert.ok(performance.now() - began > 1_000, "longer than headers may take");
    assert.doesNotMatch(kept.text, /408/, "an answer to no request would be taken for that of the next one");
  });

  it("answers bodies that do not end with 408, and with invalid in the API", async () => {
    const opened = await Tcp.open(server);
    const [, sid] = (await opened.get(OPEN)).match(/"sid":"([^"]+)"/);
    const person = token({ user: "ana", role: "editor", team: "acme" });
    for (const [path, headers, status] of [
      [`${OPEN}&sid=${sid}`, "", 408],
      ["/api/v1/notifications/read", `authorization: Bearer ${person}\r\n`, 400],
    ]) {
      const slow = await Tcp.open(server);
      slow.send(`POST ${path} HTTP/1.1\r\nhost: x\r\n${headers}content-length: 1000\r\n\r\n4`);
      await slow.end();
      assert.ok(slow.text.startsWith(`HTTP/1.1 ${status} `), `${path}: ${slow.text}`);
    }
    await until("both are counted", async () => (await applied(server, "http_body_timeout")) === 2);
  });

  it("closes a connection whose client does not read the answers", async () => {
    const deaf = await Tcp.open(server, { reads: false });
    const page = await (await server.get("/")).text();
    const [script] = page.match(/\/assets\/[^"]+\.js/);
    deaf.send(`GET ${script} HTTP/1.1\r\nhost: x\r\n\r\n`.repeat(200));
    await until("it is closed", async () => (await applied(server, "http_write_timeout")) === 1, 30_000);
  });
});

describe("the places of connections", () => {
  const start = suiteDatabase(sqlite, () => {
    Tcp.closeAll();
    closeClients();
  });

  it("closes the stranger that was silent for the longest time for each newcomer", async () => {
    const server = await start({ STRANGERS_PER_ADDRESS_MAX: 20 });
    const client = await Client.connect(server, { person: { user: "ana", role: "editor" } });
    const strangers = [];
    for (let n = 0; n < 60; n++) strangers.push(await Tcp.open(server));
    await until("the first ones are closed", () => strangers.slice(0, 40).every((it) => it.closed));
    const began = performance.now();
    const late = await Client.connect(server, { person: { user: "ben", role: "editor" } });
    assert.ok(performance.now() - began < HEADER_TIMEOUT_MS, "a newcomer waits until a stranger's time is over");
    await late.join("tea");
    await client.join("tea");
    assert.ok(client.socket.connected && late.socket.connected, "those with a token keep their places");
    assert.ok((await applied(server, "strangers_per_address_max")) >= 40);
  });

  it("counts connections by polling, which need no TCP connection each", async () => {
    const server = await start({ STRANGERS_PER_ADDRESS_MAX: 20 });
    const tcp = await Tcp.open(server);
    const sids = [];
    for (let n = 0; n < 100; n++) sids.push((await tcp.get(OPEN)).match(/"sid":"([^"]+)"/)[1]);
    const first = await server.get(`${OPEN}&sid=${sids[0]}`);
    assert.equal(first.status, 400);
    const { connections } = await (await server.get("/health")).json();
    assert.ok(connections <= 20, `${connections} connections`);
    await Client.connect(server, { person: { user: "ana", role: "editor" }, transports: ["polling"] });
  });

  it("refuses newcomers where all places are taken by sessions", async () => {
    const server = await start({ CONNECTIONS_PER_ADDRESS_MAX: 5 });
    for (let n = 0; n < 5; n++) await RawSocket.connect(server, { user: `user-${n}`, role: "editor" });
    const newcomer = await Tcp.open(server);
    await newcomer.end();
    assert.match(newcomer.text, /^HTTP\/1.1 429 .*"code":"too_many_connections"/s);
  });

  it("believes trusted proxies on the addresses of clients", async () => {
    const server = await start({ STRANGERS_PER_ADDRESS_MAX: 2, TRUSTED_PROXIES: "127.0.0.0/8" });
    const upgrade = async (address, extra = {}) => {
      const tcp = await Tcp.open(server);
      assert.match(
        await tcp.get(OPEN.replace("polling", "websocket"), { ...UPGRADE, ...extra, "x-forwarded-for": address }),
        / 101 /,
      );
      return tcp;
    };
    const ana = [await upgrade("1.1.1.1"), await upgrade("9.9.9.9, 1.1.1.1")];
    const ben = [await upgrade("2001:db8::1"), await upgrade("2001:db8::2")];
    assert.ok(![...ana, ...ben].some((it) => it.closed), "each address has two places");
    await upgrade("1.1.1.1");
    await until("the oldest one of this address is closed", () => ana[0].closed);
    await upgrade("2001:db8::3");
    await until("the oldest one of this network is closed", () => ben[0].closed);
    assert.ok(!ana[1].closed && !ben[1].closed);
  });

  it("reads the PROXY protocol from trusted proxies, and from nobody else", async () => {
    const header = Buffer.from("0d0a0d0a000d0a515549540a2111000c01010101020202020f0f0c00", "hex");
    const trusting = await start({ STRANGERS_PER_ADDRESS_MAX: 1, TRUSTED_PROXIES: "127.0.0.1" });
    const first = await Tcp.open(trusting);
    first.send(header);
    assert.match(await first.get("/health"), / 200 /);
    const other = await Tcp.open(trusting);
    assert.match(await other.get("/health"), / 200 /, "the header is optional");
    const second = await Tcp.open(trusting);
    second.send(header);
    assert.match(await second.get("/health"), / 200 /);
    await until("the older one of this address is closed", () => first.closed);
    const server = await start({});
    const forger = await Tcp.open(server);
    forger.send(header);
    await forger.end();
    assert.match(forger.text, /^HTTP\/1.1 400 /);
  });

  it("survives that the system has no more file descriptors, and says so", async () => {
    const server = await start({});
    const client = await Client.connect(server, { person: { user: "ana", role: "editor" } });
    execFileSync("prlimit", ["--pid", String(server.pid), "--nofile=120:120"]);
    const [strangers, began] = [[], performance.now()];
    for (let n = 0; n < 300; n++) strangers.push(await Tcp.open(server));
    const late = await Client.connect(server, { person: { user: "ben", role: "editor" } });
    await late.join("tea");
    await client.join("tea");
    assert.match(server.log, /no connection can be accepted at present/);
    const lines = server.log.split("no connection can be accepted").length;
    const most = 30 + (performance.now() - began) / 200;
    assert.ok(lines < most, `${lines} lines: they are sampled`);
    assert.ok((await applied(server, "file_descriptors")) > 0);
  });
});
