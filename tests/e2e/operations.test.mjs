// Running the server: its HTTP endpoints, its commands, its start and its end. Section 7 of the protocol.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import WebSocket from "ws";
import { databases, sqlite } from "@realtime-server/harness/databases";
import { adopt, freePort, temporaryFolder } from "@realtime-server/harness/process";
import { PROGRAM, Server, run } from "@realtime-server/harness/server";
import { suiteServer } from "@realtime-server/harness/suite";
import { SECRET, token } from "@realtime-server/harness/tokens";
import { until } from "@realtime-server/harness/until";
import { Client, closeClients } from "./support/client.mjs";
import { RawSocket } from "./support/raw.mjs";

const WSCAT = fileURLToPath(new URL("node_modules/wscat/bin/wscat", import.meta.url));
const ORIGIN = "https://app.example.org";
const FOREIGN = "https://evil.example.org";

for (const database of databases) {
  describe(`operations on ${database.name}`, () => {
    const server = suiteServer({ database });

    it("health, liveness and readiness are answered, with the state of the database", async () => {
      const health = await server.get("/health");
      assert.equal(health.status, 200);
      const { status, dependencies } = await health.json();
      assert.equal(status, "ok");
      assert.deepEqual(Object.values(dependencies), ["ok"]);
      assert.equal((await server.get("/health/live")).status, 200);
      assert.equal((await server.get("/health/ready")).status, 200);
    });

    it(
      "while the database is away the server is alive, but not healthy",
      { skip: !database.canBeStopped },
      async () => {
        await database.cluster.stop("immediate");
        const health = await server.get("/health");
        assert.equal(health.status, 503);
        assert.deepEqual(Object.values((await health.json()).dependencies), ["unavailable"]);
        assert.equal((await server.get("/health/ready")).status, 503);
        assert.equal((await server.get("/health/live")).status, 200);
        await database.cluster.start();
        await until("it is healthy again", async () => (await server.get("/health")).status === 200, 30_000);
      },
    );

    it("a server that is started before its database waits for it", { skip: !database.canBeStopped }, async () => {
      const early = await Server.start({ database });
      await early.stop();
      await database.cluster.stop("fast");
      const ready = early.launch();
      await until("it waits", () => early.log.includes("cannot be reached yet"));
      await database.cluster.start();
      await ready;
      assert.equal((await early.stop()).code, 0);
    });

    it("migrate creates the tables, and changes nothing when it is run again", async () => {
      const env = { DATABASE_URL: database.create(), JWT_SECRET: SECRET };
      for (let time = 0; time < 2; time += 1) {
        const { code, stderr } = await run(["migrate"], env);
        assert.equal(code, 0, stderr);
      }
    });

    it("SIGTERM and SIGINT end an idle server at once with the exit code 0", async () => {
      for (const signal of ["SIGTERM", "SIGINT"]) {
        const idle = await Server.start({ database });
        const { code, took_ms } = await idle.stop(signal);
        assert.equal(code, 0, idle.log);
        assert.ok(took_ms < 5_000, `${took_ms} ms`);
      }
    });
  });
}

// On SQLite alone: neither metrics, tokens nor WebSockets depend on the database.
describe("operations", () => {
  const server = suiteServer();

  afterEach(closeClients);

  it("metrics are Prometheus text, without names of documents and users", async () => {
    const client = await Client.connect(server, { person: { user: "user-in-metrics" } });
    const room = await client.join("room-in-metrics");
    await room.edit(({ text }) => text.insert(0, "counted"));
    // Those of the tests before may not be counted down yet.
    await until(
      "one is connected",
      async () => (await server.metric('realtime_connections{transport="websocket"}')) === 1,
    );
    const response = await server.get("/metrics");
    assert.equal(response.status, 200);
    assert.match(response.headers.get("content-type"), /^text\/plain/);
    const text = await response.text();
    const names = new Set(
      text
        .split("\n")
        .filter((line) => line && !line.startsWith("#"))
        .map((line) => line.split(/[{ ]/)[0]),
    );
    assert.ok(names.size > 20);
    for (const name of names) assert.match(name, /^realtime_[a-z0-9_]+$/);
    for (const told of ["user-in-metrics", "room-in-metrics", room.joined.document_id, "acme"]) {
      assert.ok(!text.includes(told), `${told} is in a label`);
    }
    assert.match(text, /^realtime_connections\{transport="websocket"\} 1$/m);
    assert.match(text, /^realtime_updates_accepted_total [1-9]/m);
  });

  it("connections that end are no longer counted", async () => {
    const client = await Client.connect(server, { transports: ["polling"] });
    await client.join("counted");
    client.close();
    for (const transport of ["polling", "websocket"]) {
      const connections = () => server.metric(`realtime_connections{transport="${transport}"}`);
      await until("nobody is connected", async () => (await connections()) === 0);
    }
  });

  it("SIGHUP reads the level of the log again, and ends neither the server nor a connection", async () => {
    const settings = join(server.folder, ".env");
    const client = await Client.connect(server);
    const reload = async (text, line) => {
      const [before, count] = [server.log, (log) => log.split(line).length];
      writeFileSync(settings, text);
      process.kill(server.pid, "SIGHUP");
      await until(`the log has "${line}"`, () => count(server.log) > count(before));
    };
    await reload("RUST_LOG=warn,realtime_server=debug\nROOM_IDLE_MS=7000\n", "the settings were read again");
    assert.match(server.log, /takes effect at the next start.*ROOM_IDLE_MS/);
    await Client.refused(server, { token: "garbage" });
    await until("a line of the level debug is there", () => server.log.includes("session refused"));
    await reload("RUST_LOG=debug=,=\n", "the settings stay as they are");
    await reload("", "the settings were read again");
    assert.equal(server.alive, true);
    assert.deepEqual(client.disconnects, []);
  });

  it("a server whose terminal is closed stops in order", async () => {
    const [folder, port] = [temporaryFolder(), await freePort()];
    const log = () => readFileSync(join(folder, "log"), "utf8");
    // `script` gives its command a terminal of its own, which is closed when it ends.
    const terminal = spawn("script", ["-qec", `exec ${PROGRAM} >log 2>&1`, "/dev/null"], {
      env: { PATH: process.env.PATH, SHELL: "/bin/sh", JWT_SECRET: SECRET, REALTIME_SERVER_PORT: String(port) },
      cwd: folder,
      stdio: "ignore",
    });
    const ended = adopt(terminal);
    await until("it is ready", async () => (await fetch(`http://127.0.0.1:${port}/health/ready`)).ok);
    terminal.kill("SIGKILL");
    await ended.ended();
    await until("it has stopped in order", () => log().includes("stopped; all accepted updates are written"));
    assert.match(log(), /signal="?SIGHUP/);
  });

  it("a token of the token command is accepted", async () => {
    const grants = ["--document", "granted=edit"];
    const parameters = ["token", "--user", "u-9", "--name", "Nine", "--role", "viewer", "--team", "acme", ...grants];
    const { code, stdout } = await run(parameters, server.env);
    assert.equal(code, 0);
    const client = await Client.connect(server, { token: stdout.trim() });
    assert.deepEqual([client.welcome.user.id, client.welcome.user.name], ["u-9", "Nine"]);
    assert.deepEqual([client.welcome.team, client.welcome.roles], ["acme", ["viewer"]]);
    assert.equal((await client.ok("join_room", "granted")).permission, "edit");
  });

  it("on SIGTERM clients are disconnected for a reason after which they reconnect", async () => {
    const own = await Server.start({ database: sqlite });
    const clients = [];
    for (const transports of [["websocket"], ["polling"]]) {
      clients.push(await Client.connect(own, { transports, person: { user: transports[0] } }));
      await clients.at(-1).join("stopping");
    }
    assert.equal((await own.stop()).code, 0);
    await own.launch();
    await until("both are back", () =>
      clients.every(({ socket, disconnects }) => socket.connected && disconnects.length),
    );
    for (const { disconnects } of clients)
      assert.ok(!disconnects.includes("io server disconnect"), String(disconnects));
    closeClients();
    await own.stop();
  });

  it("a WebSocket at / is served as well", async () => {
    const raw = await RawSocket.open(server, { path: "/" });
    const handshake = JSON.parse(raw.frames[0].slice(1));
    assert.equal(typeof handshake.sid, "string");
    raw.send(`40${JSON.stringify({ token: token() })}`);
    await raw.frame((text) => text.startsWith('40{"sid":'));
    await raw.frame((text) => text.startsWith('42["connection",{'));
    raw.close();
  });

  it("wscat shows the handshake, and its user connects by typing a token", async () => {
    const wscat = spawn(process.execPath, [WSCAT, "-c", `ws://localhost:${server.port}`]);
    const end = adopt(wscat);
    let shown = "";
    for (const stream of [wscat.stdout, wscat.stderr]) stream.on("data", (bytes) => (shown += bytes));
    await until(`the handshake shows`, () => /0\{"sid":"/.test(shown) || fail(shown));
    wscat.stdin.write(`40${JSON.stringify({ token: token() })}\n`);
    await until("the connection shows", () => /40\{"sid":"/.test(shown) || fail(shown));
    wscat.kill("SIGKILL");
    await end.ended();
  });
});

describe("origins", () => {
  const server = suiteServer({
    database: sqlite,
    env: { CORS_ALLOWED_ORIGINS: `${ORIGIN},https://other.example.org` },
  });
  afterEach(closeClients);

  const POLLING = "/socket.io/?EIO=4&transport=polling";
  const upgrade = (origin, path) =>
    new Promise((resolve) => {
      const url = server.url.replace("http", "ws") + path;
      const webSocket = new WebSocket(url, { headers: origin ? { origin } : {} });
      webSocket.once("open", () => {
        webSocket.terminate();
        resolve(101);
      });
      webSocket.once("unexpected-response", (_, response) => {
        webSocket.on("error", () => {});
        webSocket.terminate();
        resolve(response.statusCode);
      });
    });

  it("an allowed origin is echoed, with credentials", async () => {
    for (const origin of [ORIGIN, "https://other.example.org"]) {
      const response = await server.get(POLLING, { origin });
      assert.equal(response.status, 200);
      assert.equal(response.headers.get("access-control-allow-origin"), origin);
      assert.match(response.headers.get("vary") ?? "", /origin/i);
    }
  });

  it("a preflight of an allowed origin is answered", async () => {
    const headers = {
      origin: ORIGIN,
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization",
    };
    const response = await fetch(server.url + POLLING, { method: "OPTIONS", headers });
    assert.ok(response.ok, String(response.status));
    assert.equal(response.headers.get("access-control-allow-origin"), ORIGIN);
    assert.match(response.headers.get("access-control-allow-methods") ?? "", /POST/);
  });

  it("a foreign origin is refused at the polling handshake", async () => {
    for (const origin of [FOREIGN, `${ORIGIN}.evil.org`, "null", "http://app.example.org"]) {
      const response = await server.get(POLLING, { origin });
      assert.equal(response.status, 403, origin);
      assert.equal(response.headers.get("access-control-allow-origin"), null);
    }
  });

  it("a foreign origin is refused at the WebSocket upgrade, on either path", async () => {
    for (const path of ["/socket.io/?EIO=4&transport=websocket", "/"]) {
      assert.equal(await upgrade(FOREIGN, path), 403);
      assert.equal(await upgrade(ORIGIN, path), 101);
      assert.equal(await upgrade(undefined, path), 101, "a program sends no origin");
    }
  });

  it("in development only pages of this machine are allowed", async () => {
    const local = await Server.start({ database: sqlite });
    for (const origin of ["http://localhost:5173", "http://127.0.0.1:3000", "https://localhost"]) {
      assert.equal((await local.get(POLLING, { origin })).status, 200, origin);
    }
    for (const origin of [FOREIGN, "http://localhost.evil.org"]) {
      assert.equal((await local.get(POLLING, { origin })).status, 403, origin);
    }
    await local.stop();
  });
});

describe("HTTP endpoints", () => {
  afterEach(closeClients);

  it("/metrics requires its token where one is set", async () => {
    const server = await Server.start({ database: sqlite, env: { METRICS_TOKEN: "a-metrics-token" } });
    const status = async (headers) => (await server.get("/metrics", headers)).status;
    assert.equal(await status(), 401);
    assert.equal(await status({ authorization: "Bearer another" }), 401);
    assert.equal(await status({ authorization: "Bearer a-metrics-token" }), 200);
    await server.stop();
  });

  it("in development without a key, /dev/token issues tokens that stay valid over a restart", async () => {
    const server = await Server.start({ database: sqlite, env: { JWT_SECRET: undefined } });
    const response = await server.get("/dev/token?user=ana&name=Ana&role=editor&team=demo");
    assert.equal(response.status, 200);
    const { token: minted } = await response.json();
    const client = await Client.connect(server, { token: minted });
    assert.deepEqual([client.welcome.user.id, client.welcome.user.name], ["ana", "Ana"]);
    assert.deepEqual([client.welcome.team, client.welcome.roles], ["demo", ["editor"]]);
    const key = join(server.env.DATABASE_URL.slice("sqlite://".length), "..", "development.key");
    assert.ok(existsSync(key), "the key lies beside the database");
    assert.equal(statSync(key).mode & 0o777, 0o600);
    closeClients();
    await server.stop();
    await server.launch();
    await Client.connect(server, { token: minted });
    await server.stop();
  });

  it("a malformed request for a token is refused with a code", async () => {
    const server = await Server.start({ database: sqlite, env: { JWT_SECRET: undefined } });
    for (const query of ["", "?name=Ana", "?user=a&user=b", "?user=a&ttl_seconds=soon"]) {
      const response = await server.get(`/dev/token${query}`);
      assert.equal(response.status, 400, query);
      const { error } = await response.json();
      assert.deepEqual([error.code, error.field], ["invalid", "query"]);
    }
    await server.stop();
  });

  it("in production there is no /dev/token", async () => {
    const env = { REALTIME_ENV: "production", CORS_ALLOWED_ORIGINS: ORIGIN, REALTIME_SERVER_HOST: "127.0.0.1" };
    const server = await Server.start({ database: sqlite, env });
    assert.equal((await server.get("/dev/token?user=ana")).status, 404);
    await Client.connect(server);
    closeClients();
    await server.stop();
  });

  it("an unknown path is not found", async () => {
    const server = await Server.start({ database: sqlite });
    const response = await server.get("/no/such/path");
    assert.equal(response.status, 404);
    assert.equal((await response.json()).error.code, "not_found");
    await server.stop();
  });
});

function fail(shown) {
  throw new Error(`shown so far: ${shown}`);
}
