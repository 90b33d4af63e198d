// Promises end: they reject with the error that cannot be retried, at the timeout or at the signal, and an error that nobody waits
// for is in the console. A program in Node never hangs without a word.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { afterEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { RealtimeError } from "@realtime-server/client";
import { Network } from "@realtime-server/harness/network";
import { adopt, freePort } from "@realtime-server/harness/process";
import { suiteServer } from "@realtime-server/harness/suite";
import { token } from "@realtime-server/harness/tokens";
import { pause, until } from "@realtime-server/harness/until";
import { client, closeAll, join, open, text } from "./support/scene.mjs";

const PROGRAM = fileURLToPath(new URL("support/program.mjs", import.meta.url));

/** After this time the program ends anyway. */
const TIMEOUT_MS = 60_000;
/** Timers of the client, which are of 15 s, must not keep the program from ending. */
const ENDS_WITHIN_MS = 14_000;

/** Runs the program until it ends by itself. */
async function run(env) {
  const began = performance.now();
  const child = spawn(process.execPath, [PROGRAM], { env: { PATH: process.env.PATH, TIMEOUT_MS, ...env } });
  const said = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"]) child[stream].on("data", (bytes) => (said[stream] += bytes));
  const closed = new Promise((resolve) => child.once("close", resolve));
  const timer = setTimeout(() => child.kill("SIGKILL"), 2 * TIMEOUT_MS);
  const { code } = await adopt(child).ended();
  clearTimeout(timer);
  await closed;
  return { code, ...said, tookMs: performance.now() - began };
}

describe("a program in Node", () => {
  const server = suiteServer();
  afterEach(closeAll);

  const ends = async (env, { code, output }) => {
    const ended = await run({ URL: server.url, TOKEN: token(), ROOM: "program", ...env });
    assert.match(ended.stdout, output);
    assert.deepEqual([ended.code, ended.stderr], [code, ""]);
    assert.ok(ended.tookMs < ENDS_WITHIN_MS, `it took ${ended.tookMs} ms`);
  };

  it("ends when its edit is saved", () => ends({}, { code: 0, output: /^saved\n$/ }));

  it("ends also if it destroys the client only", () => ends({ FORGETFUL: "yes" }, { code: 0, output: /^saved\n$/ }));

  it("ends with unauthorized where its token is wrong", () =>
    ends({ TOKEN: "no token at all" }, { code: 1, output: /^unauthorized: the server does not accept/ }));

  it("ends with unauthorized where somebody else has signed its token", () =>
    ends({ TOKEN: `${token().slice(0, -6)}AAAAAA` }, { code: 1, output: /^unauthorized: / }));

  it("ends at its timeout, with the reason, where there is no server", async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    const output = /^timeout: not synchronised within 1500 ms: the server cannot be reached\n$/;
    await ends({ URL: url, TIMEOUT_MS: 1_500 }, { code: 1, output });
  });

  it("ends with forbidden where it may only view, and its edit is not sent", async () => {
    await join(server, "viewed");
    const viewer = { TOKEN: token({ user: "vic", role: "viewer" }), ROOM: "viewed" };
    await ends(viewer, { code: 1, output: /^forbidden: the token does not allow editing/ });
    assert.equal(text(await join(server, "viewed")).toString(), "");
  });

  it("ends with not_found where it may only view, and there is no document", () =>
    ends({ TOKEN: token({ user: "vic", role: "viewer" }), ROOM: "never-begun" }, { code: 1, output: /^not_found: / }));

  it("ends with invalid where the name of its document is", () =>
    ends({ ROOM: "a,b" }, { code: 1, output: /^invalid: .*room/ }));
});

describe("a promise", () => {
  const server = suiteServer();
  afterEach(closeAll);

  it("is that of the connection: whenConnected resolves with the session, and rejects where the client has stopped", async () => {
    const connection = await client(server).whenConnected();
    assert.equal(connection.user.id, "ana");
    const refused = client(server, { token: () => "no token at all" });
    await assert.rejects(refused.whenConnected(), { code: "unauthorized" });
    await assert.rejects(refused.whenConnected(), { code: "unauthorized" }, "a later call is not told");
  });

  it("waits while the client tries again", async () => {
    const network = await Network.to(server);
    network.cut();
    const waiting = client(network);
    const connected = waiting.whenConnected();
    await until("an attempt has failed", () => waiting.state.error);
    network.mend();
    await connected;
    network.close();
  });

  it("rejects at its timeout with the present problem as the cause", async () => {
    const network = await Network.to(server);
    network.cut();
    const waiting = client(network);
    await until("an attempt has failed", () => waiting.state.error);
    const error = await waiting.whenConnected({ timeoutMs: 20 }).catch((error) => error);
    assert.deepEqual([error.code, error.cause.code, error.retryable], ["timeout", "disconnected", true]);
    network.close();
  });

  it("rejects with the reason of its signal, before and while it waits", async () => {
    const waiting = client(server, { autoConnect: false });
    const provider = open(waiting, "signalled");
    const gone = new Error("the user has gone");
    await assert.rejects(waiting.whenConnected({ signal: AbortSignal.abort(gone) }), gone);
    const abort = new AbortController();
    text(provider).insert(0, "x");
    const promises = [
      waiting.whenConnected({ signal: abort.signal }),
      provider.whenSynced({ signal: abort.signal }),
      provider.whenSaved({ signal: abort.signal }),
    ];
    abort.abort(gone);
    for (const promise of promises) await assert.rejects(promise, gone);
  });

  it("of a request takes a signal and a timeout", async () => {
    const own = client(server);
    await own.whenConnected();
    const abort = new AbortController();
    const asked = own.request("leave_room", { room: "x" }, { signal: abort.signal });
    abort.abort();
    await assert.rejects(asked, { name: "AbortError" });
    await assert.rejects(own.request("leave_room", { room: "x" }, { timeoutMs: 9_000 }), { code: "conflict" });
    await assert.rejects(own.request("leave_room", { room: "x" }, 9_000), { code: "conflict" });
    // A server that does not answer.
    process.kill(server.pid, "SIGSTOP");
    const threads = `/proc/${server.pid}/task`;
    const isStopped = (thread) => readFileSync(`${threads}/${thread}/status`, "utf8").includes("State:\tT");
    try {
      await until("every thread of it has stopped", () => readdirSync(threads).every(isStopped));
      await assert.rejects(own.request("leave_room", { room: "x" }, { timeoutMs: 50 }), { code: "timeout" });
      await assert.rejects(own.request("leave_room", { room: "x" }, 50), { code: "timeout" });
    } finally {
      process.kill(server.pid, "SIGCONT");
    }
  });

  it("of a document rejects when its client stops, and for one that is opened afterwards", async () => {
    const refused = client(server, { token: () => "no token at all" });
    const early = open(refused, "early");
    await assert.rejects(early.whenSynced(), { code: "unauthorized" });
    const late = open(refused, "late");
    await assert.rejects(late.whenSynced(), { code: "unauthorized" });
    assert.equal(late.status, "disconnected");
  });

  it("of a document rejects when the server refuses the edits, and resolves when they are accepted after all", async () => {
    const ana = await join(server, "refused");
    text(ana).insertEmbed(0, { image: "x".repeat(3 * 1024 * 1024) });
    await assert.rejects(ana.whenSaved(), { code: "too_large" });
    text(ana).delete(0, 1);
    await ana.whenSaved();
  });

  it("of a document that has not the right view rejects with forbidden", async () => {
    await join(server, "hidden");
    const out = open(client(server, { person: { user: "out", documents: { hidden: "none" } } }), "hidden");
    await assert.rejects(out.whenSynced(), { code: "forbidden" });
  });

  it("rejects when the provider or the client is destroyed", async () => {
    const own = client(server, { autoConnect: false });
    const provider = open(own, "destroyed");
    text(provider).insert(0, "x");
    const promises = [provider.whenSynced(), provider.whenSaved(), own.whenConnected()];
    const results = Promise.allSettled(promises);
    provider.destroy();
    own.destroy();
    for (const { reason } of await results) assert.deepEqual([reason.code, reason.retryable], ["disconnected", false]);
  });

  it("of the first synchronisation can be awaited as it is, also later", async () => {
    const provider = open(client(server), "awaited");
    assert.equal(await provider.whenSynced, undefined);
    const { whenSynced } = provider;
    await Promise.all([whenSynced, provider.whenSynced()]);
    provider.disconnect();
    await provider.whenSynced;
  });
});

describe("an error that nobody listens to", () => {
  const server = suiteServer();
  afterEach(closeAll);

  /** What is written to the console from now on. */
  const listenToConsole = (test) => {
    const write = test.mock.method(console, "error", () => {});
    return () => write.mock.calls.map(({ arguments: [line] }) => line);
  };

  it("is in the console, once: the client has stopped", async (test) => {
    const written = listenToConsole(test);
    const refused = client(server, { token: () => "no token at all" });
    open(refused, "unheard");
    open(refused, "unheard too");
    await until("it is written", () => written().length > 0);
    await pause(50);
    assert.deepEqual(written(), ["The client has stopped: the server does not accept the token (unauthorized)"]);
  });

  it("is in the console, once: the document is refused", async (test) => {
    const written = listenToConsole(test);
    open(client(server), "a,b");
    await until("it is written", () => written().length > 0);
    await pause(50);
    assert.equal(written().length, 1);
    assert.match(written()[0], /^The document a,b: .* \(invalid\)$/);
  });

  it("is in the console, once: a viewer's edits are not sent", async (test) => {
    await join(server, "viewed");
    const written = listenToConsole(test);
    const vic = await join(server, "viewed", { person: { user: "vic", role: "viewer" } });
    text(vic).insert(0, "a");
    text(vic).insert(0, "b");
    await until("it is written", () => written().length > 0);
    await pause(50);
    assert.equal(written().length, 1);
    assert.match(written()[0], /^The document viewed: the token does not allow editing.* \(forbidden\)$/);
  });

  for (const [how, listen] of [
    ["the event error of the client", ({ client }) => client.on("error", () => {})],
    ["the event change of the client", ({ client }) => client.on("change", () => {})],
    ["a document of the client", ({ provider }) => provider.on("change", () => {})],
    ["a promise that waits", ({ provider }) => provider.whenSynced().catch(() => {})],
  ]) {
    it(`is not in the console where somebody listens: ${how}`, async (test) => {
      const written = listenToConsole(test);
      const refused = client(server, { token: () => "no token at all" });
      listen({ client: refused, provider: open(refused, "heard") });
      await until("it has stopped", () => refused.status === "disconnected");
      await pause(50);
      assert.deepEqual(written(), []);
    });
  }

  it("is not written for an error that passes", async (test) => {
    const written = listenToConsole(test);
    const network = await Network.to(server);
    network.cut();
    const waiting = client(network);
    await until("an attempt has failed", () => waiting.state.error);
    network.mend();
    await waiting.whenConnected();
    assert.deepEqual(written(), []);
    network.close();
  });
});

describe("a token function that fails", () => {
  const server = suiteServer();
  afterEach(closeAll);

  it("is token_unavailable, which is tried again, and never unauthorized", async () => {
    const failures = [
      () => fetch("http://127.0.0.1:9/token"),
      () => Promise.reject(new Error("the login service is away")),
      () => undefined,
      () => "",
    ];
    const codes = [];
    const patient = client(server, { token: () => (failures.length > 0 ? failures.shift()() : token()) });
    patient.on("error", ({ code, retryable }) => codes.push([code, retryable]));
    await patient.whenConnected();
    assert.deepEqual(codes, Array(4).fill(["token_unavailable", true]));
  });

  it("stops the client with the error that it throws, if that cannot be retried", async () => {
    const signedOut = new RealtimeError("unauthorized", "nobody is signed in");
    const refused = client(server, { token: () => Promise.reject(signedOut) });
    await assert.rejects(refused.whenConnected(), signedOut);
  });
});
