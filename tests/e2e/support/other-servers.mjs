// Other servers of Yjs documents, as published, and the stores that they write.
//
// Each function fills a store: the real server runs, stock clients write, the server stops. What the clients wrote is
// returned by the names of the documents.

import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { SQLite } from "@hocuspocus/extension-sqlite";
import { Server as HocuspocusServer } from "@hocuspocus/server";
import { HocuspocusProvider, HocuspocusProviderWebsocket } from "hocuspocus-4";
import { WebSocket } from "ws";
import { LeveldbPersistence } from "y-leveldb";
import { WebsocketProvider } from "y-websocket-3";
import * as Y from "yjs";
import { adopt, freePort, temporaryFolder } from "@realtime-server/harness/process";
import { until } from "@realtime-server/harness/until";

/** How many documents are written at once. */
const AT_ONCE = 20;
/** Two documents that a store has before its server runs. */
const LAST = ["last-1", "last-2"];
const require = createRequire(import.meta.url);

/** The programs of y-websocket's server: that of the package y-websocket up to 2, and that which has replaced it. */
export const Y_WEBSOCKET_SERVERS = {
  "y-websocket": join(dirname(require.resolve("y-websocket-2/package.json")), "bin/server.cjs"),
  "@y/websocket-server": join(dirname(require.resolve("yjs/package.json")), "../@y/websocket-server/src/server.js"),
};

/** All that can be read of a document, as plain JSON. */
export function content(doc) {
  const read = {
    text: doc.getText("text").toDelta(),
    map: doc.getMap("map").toJSON(),
    list: doc.getArray("list").toJSON(),
    xml: doc.getXmlFragment("xml").toString(),
  };
  return JSON.parse(JSON.stringify(read));
}

/** Writes something of each kind, which is another for each `seed`; some of it is deleted again. */
export function write(doc, seed) {
  const text = doc.getText("text");
  text.insert(0, `Document ${seed}, with an emoji 😀 and more. `.repeat(1 + (seed % 5)));
  text.format(0, 8, { bold: true });
  text.delete(4, 3);
  text.insertEmbed(2, { image: `${seed}.png` });
  doc.getMap("map").set("seed", seed);
  doc.getMap("map").set("gone", true);
  doc.getMap("map").delete("gone");
  doc.getMap("map").set("nested", new Y.Map([["bytes", new Uint8Array([seed & 0xff])]]));
  doc.getArray("list").push([seed, "two", { three: [3] }]);
  doc.getArray("list").delete(1);
  const paragraph = new Y.XmlElement("p");
  paragraph.setAttribute("id", String(seed));
  paragraph.insert(0, [new Y.XmlText(`Paragraph ${seed}`)]);
  doc.getXmlFragment("xml").insert(0, [paragraph]);
}

/** Adds the edits of a second person, who has read those of the first one. */
function answer(doc, seed) {
  const second = new Y.Doc();
  Y.applyUpdate(second, Y.encodeStateAsUpdate(doc));
  second.getText("text").insert(3, ` (${seed}, read by another)`);
  second.getText("text").delete(0, 2);
  Y.applyUpdate(doc, Y.encodeStateAsUpdate(second));
}

/** Calls `work` with each of `names` and its place, some at once. */
async function each(names, work) {
  for (let at = 0; at < names.length; at += AT_ONCE) {
    await Promise.all(names.slice(at, at + AT_ONCE).map((name, place) => work(name, at + place)));
  }
}

/** Waits until another client, which `open` opens, reads at the server what `doc` has. */
async function arrived(doc, open) {
  const reader = await open(new Y.Doc());
  await until("the server has all of it", () => same(reader.doc, doc));
  reader.close();
}

function same(one, other) {
  return JSON.stringify(content(one)) === JSON.stringify(content(other));
}

/** Writes the documents `names` by the providers that `open(name, doc)` gives; resolves with their contents. */
async function fill(names, open) {
  const written = new Map();
  await each(names, async (name, seed) => {
    const client = await open(name, new Y.Doc());
    write(client.doc, seed);
    answer(client.doc, seed);
    await arrived(client.doc, (doc) => open(name, doc));
    written.set(name, content(client.doc));
    client.close();
  });
  return written;
}

/** A client of y-websocket at `url`, synchronised. */
async function yWebsocketClient(url, name, doc, params = {}) {
  const options = { WebSocketPolyfill: WebSocket, disableBc: true, params };
  const provider = new WebsocketProvider(url, name, doc, options);
  await until("the client is synchronised", () => provider.synced);
  return {
    doc,
    close() {
      provider.destroy();
      doc.destroy();
    },
  };
}

/** A running server of y-websocket with its store in `folder`. */
export async function yWebsocketServer(folder, program = "y-websocket") {
  const port = await freePort();
  const env = { PATH: process.env.PATH, HOST: "127.0.0.1", PORT: String(port), YPERSISTENCE: folder };
  const child = spawn(process.execPath, [Y_WEBSOCKET_SERVERS[program]], { env, stdio: ["ignore", "pipe", "inherit"] });
  const ended = adopt(child);
  let said = "";
  child.stdout.on("data", (bytes) => (said += bytes));
  await until("the server of y-websocket runs", () => said.includes("running at"));
  return {
    url: `ws://127.0.0.1:${port}`,
    async stop() {
      child.kill("SIGTERM");
      await ended.ended();
    },
  };
}

/**
 * A store of y-websocket's server with the documents `names`, which its clients have opened by these names. The server reads and writes
 * one document after the other, writes what came while a document was read after that, and tells nobody. So two documents that the store
 * had before are opened at the end, one after the other: when the first one arrives, all others were read, and when the second one
 * arrives, what waited for that is written.
 */
export async function yWebsocketStore(names, program) {
  const folder = join(temporaryFolder(), "store");
  const before = new LeveldbPersistence(folder);
  const last = new Y.Doc();
  write(last, 999);
  for (const name of LAST) await before.storeUpdate(name, Y.encodeStateAsUpdate(last));
  await before.destroy();

  const server = await yWebsocketServer(folder, program);
  const written = await fill(names, (name, doc) => yWebsocketClient(server.url, name, doc));
  for (const name of LAST) {
    const client = await yWebsocketClient(server.url, name, new Y.Doc());
    await until("the server has read it", () => same(client.doc, last), 60_000);
    client.close();
    written.set(name, content(last));
  }
  await server.stop();
  return { folder, written };
}

/** A SQLite file that Hocuspocus has written with its extension, with the documents `names`. */
export async function hocuspocusStore(names) {
  const database = join(temporaryFolder(), "hocuspocus.sqlite");
  const unloaded = new Set();
  const server = new HocuspocusServer({
    port: await freePort(),
    quiet: true,
    debounce: 50,
    extensions: [
      new SQLite({ database }),
      { afterUnloadDocument: async ({ documentName }) => unloaded.add(documentName) },
    ],
  });
  await server.listen();
  const open = async (name, doc) => {
    const websocketProvider = new HocuspocusProviderWebsocket({
      url: server.webSocketURL,
      WebSocketPolyfill: WebSocket,
    });
    const provider = new HocuspocusProvider({ websocketProvider, name, document: doc });
    provider.attach();
    await until("the client is synchronised", () => provider.synced);
    return {
      doc,
      close() {
        provider.destroy();
        websocketProvider.destroy();
        doc.destroy();
      },
    };
  };
  const written = await fill(names, open);
  // A document is unloaded after it was stored.
  await until("the server has stored all", () => names.every((name) => unloaded.has(name)), 60_000);
  await server.destroy();
  return { database, written };
}

/** The folder of y-sweet with the documents `names`, written by the program `bin`, which `cargo install y-sweet` builds. */
export async function ySweetStore(names, bin) {
  const folder = join(temporaryFolder(), "y-sweet");
  mkdirSync(folder);
  const port = await freePort();
  const child = spawn(bin, ["serve", folder, "--port", String(port), "--checkpoint-freq-seconds", "1"], {
    stdio: "ignore",
  });
  const ended = adopt(child);
  const base = `http://127.0.0.1:${port}`;
  await until("y-sweet runs", async () => {
    const response = await fetch(`${base}/ready`).catch(() => undefined);
    return response?.ok;
  });
  const post = async (path, body) => {
    const headers = { "content-type": "application/json" };
    const response = await fetch(base + path, { method: "POST", headers, body: JSON.stringify(body) });
    return response.json();
  };
  const written = await fill(names, async (name, doc) => {
    await post("/doc/new", { docId: name });
    const { url, token } = await post(`/doc/${name}/auth`, {});
    return yWebsocketClient(url, name, doc, token ? { token } : {});
  });
  // It stores everything before it ends.
  child.kill("SIGINT");
  await ended.ended();
  return { folder, written };
}
