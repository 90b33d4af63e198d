// Measures two relays that do the same and differ only in their transport: this server's and socketioxide (tests/transport).
//
//     node relays.mjs [--connections 2000] [--messages 2000] [--burst 20000] [--runs 3]
//
// It prints a Markdown table with the medians of the runs. Nothing else may run on the machine. The relays have to be built:
// cargo build --release --manifest-path tests/transport/Cargo.toml

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import WebSocket from "ws";
import { adopt, freePort, memory, processorSeconds } from "@realtime-server/harness/process";
import { pause, until } from "@realtime-server/harness/until";

const MIB = 2 ** 20;
const ROOM_MEMBERS = 20;
const IDLE_ROOM_MEMBERS = 4;
const UPDATE_BYTES = 100;
/** How many updates are under way at once: so few that no queue grows. */
const UNDER_WAY = 50;
/** What is sent while one member does not read. */
const LARGE_BYTES = 64 * 1024;
const LARGE_MESSAGES = 2_000;
const TIMEOUT_MS = 120_000;

const { values } = parseArgs({
  options: {
    connections: { type: "string", default: "2000" },
    messages: { type: "string", default: "2000" },
    burst: { type: "string", default: "20000" },
    runs: { type: "string", default: "3" },
  },
});
const [connections, messages, burst, runs] = ["connections", "messages", "burst", "runs"].map((it) =>
  Number(values[it]),
);

/** A client of a relay: a WebSocket with the frames of Socket.IO. */
class Client {
  updates = 0;
  overtaken = 0;
  acked = 0;
  #last = -1;

  static async join(url, room) {
    const client = new Client();
    client.webSocket = new WebSocket(`${url.replace("http", "ws")}/socket.io/?EIO=4&transport=websocket`, {
      perMessageDeflate: false,
      maxPayload: 64 * MIB,
    });
    client.webSocket.on("message", (data, isBinary) => client.#receive(data, isBinary));
    client.webSocket.on("error", () => {});
    client.webSocket.on("close", () => (client.closed = true));
    await until("it is open", () => client.opened, TIMEOUT_MS);
    client.webSocket.send("40");
    await until("it has a session", () => client.connected, TIMEOUT_MS);
    client.room = room;
    client.webSocket.send(`421["join_room",{"room":"${room}"}]`);
    await until("it has joined", () => client.acked === 1, TIMEOUT_MS);
    client.acked = 0;
    return client;
  }

  #receive(data, isBinary) {
    if (isBinary) {
      this.updates += 1;
      const number = data.readUInt32BE();
      if (number < this.#last) this.overtaken += 1;
      else this.#last = number;
      return;
    }
    const text = data.toString();
    if (text === "2") this.webSocket.send("3");
    else if (text.startsWith("0")) this.opened = true;
    else if (text.startsWith("40")) this.connected = true;
    else if (text.startsWith("43")) this.acked += 1;
  }

  /** Sends an update whose bytes begin with `number`. */
  send(number, bytes = UPDATE_BYTES) {
    const update = Buffer.alloc(bytes);
    update.writeUInt32BE(number);
    const payload = `{"room":"${this.room}","update":{"_placeholder":true,"num":0}}`;
    this.webSocket.send(`451-${number + 2}["document_update",${payload}]`);
    this.webSocket.send(update);
  }

  close() {
    this.webSocket.terminate();
  }
}

async function withRelay(name, parameters, measure) {
  const program = fileURLToPath(new URL(`../transport/target/release/relay-${name}`, import.meta.url));
  const port = await freePort();
  const child = spawn(program, [String(port), ...parameters], { stdio: "inherit" });
  const { ended } = adopt(child);
  const url = `http://127.0.0.1:${port}`;
  await until("it answers", () => fetch(url));
  try {
    return await measure(url, child.pid);
  } finally {
    child.kill("SIGKILL");
    await ended();
  }
}

/** KiB of memory for each connection that has joined a room and is silent. */
function idle(name) {
  return withRelay(name, [], async (url, pid) => {
    const clients = [await Client.join(url, "first")];
    const before_bytes = memory(pid);
    for (let n = 0; n < connections; n += 1) {
      clients.push(await Client.join(url, `room-${Math.floor(n / IDLE_ROOM_MEMBERS)}`));
    }
    await pause(1_000);
    const kib = (memory(pid) - before_bytes) / 1024 / connections;
    clients.forEach((client) => client.close());
    return kib;
  });
}

/** Microseconds of processor time for each delivery of an update. */
function relaying(name) {
  return withRelay(name, [], async (url, pid) => {
    const room = await Promise.all(Array.from({ length: ROOM_MEMBERS }, () => Client.join(url, "room")));
    const [sender, ...others] = room;
    const before_s = processorSeconds(pid);
    for (let n = 0; n < messages; n += UNDER_WAY) {
      for (let k = n; k < n + UNDER_WAY; k += 1) sender.send(k);
      const arrived = () => others.every(({ updates }) => updates >= n + UNDER_WAY) && sender.acked >= n + UNDER_WAY;
      await until("they have arrived", arrived, TIMEOUT_MS, 1);
    }
    const took_s = processorSeconds(pid) - before_s;
    room.forEach((client) => client.close());
    return (took_s * 1e6) / (messages * others.length);
  });
}

/** The share of the updates of one client, sent at once, that others overtook, in percent. */
function order(name, parameters) {
  return withRelay(name, parameters, async (url) => {
    const [sender, receiver] = [await Client.join(url, "room"), await Client.join(url, "room")];
    for (let n = 0; n < burst; n += 1) sender.send(n);
    await until("all have arrived", () => receiver.updates === burst, TIMEOUT_MS);
    const share = (receiver.overtaken * 100) / burst;
    [sender, receiver].forEach((client) => client.close());
    return share;
  });
}

/** The fate of a member that does not read while much is sent, and the memory that it costs. */
function unread(name, parameters) {
  return withRelay(name, parameters, async (url, pid) => {
    const [sender, reader] = [await Client.join(url, "room"), await Client.join(url, "room")];
    const stalled = await Client.join(url, "room");
    stalled.webSocket.pause();
    for (let n = 0; n < LARGE_MESSAGES; n += UNDER_WAY) {
      for (let k = n; k < n + UNDER_WAY; k += 1) sender.send(k, LARGE_BYTES);
      await until("the other has them", () => reader.updates >= n + UNDER_WAY, TIMEOUT_MS);
    }
    const peak_mib = memory(pid, "VmHWM") / MIB;
    stalled.webSocket.resume();
    let before = -1;
    for (; before !== stalled.updates && !stalled.closed; await pause(1_000)) before = stalled.updates;
    const missed = LARGE_MESSAGES - stalled.updates;
    const told = stalled.closed ? "closed" : missed > 0 ? `not told that it misses ${missed}` : "has all";
    [sender, reader, stalled].forEach((client) => client.close());
    return { peak_mib, told };
  });
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];

async function medianOf(measure) {
  const figures = [];
  for (let run = 0; run < runs; run += 1) figures.push(await measure());
  return median(figures);
}

function row(title, unit, own, oxide, oxideDefault = "") {
  console.log(`| ${title}${unit && `, ${unit}`} | ${own} | ${oxide} | ${oxideDefault} |`);
}

const shown = (figure, digits = 1) => figure.toFixed(digits);
const outcome = ({ peak_mib, told }) => `${shown(peak_mib, 0)} MiB at most; ${told}`;

console.log("| | this server's transport | socketioxide | socketioxide, in another mode |\n|---|---|---|---|");
row(
  "memory of an idle connection",
  "KiB",
  shown(await medianOf(() => idle("own"))),
  shown(await medianOf(() => idle("socketioxide"))),
);
row(
  "processor time of a delivery",
  "µs",
  shown(await medianOf(() => relaying("own"))),
  shown(await medianOf(() => relaying("socketioxide"))),
);
row(
  `updates overtaken in a burst of ${burst}`,
  "%",
  shown(await medianOf(() => order("own", [])), 2),
  shown(await medianOf(() => order("socketioxide", ["sync"])), 2),
  `${shown(await medianOf(() => order("socketioxide", ["async"])), 2)} (async handlers)`,
);
row(
  `a member that does not read ${(LARGE_MESSAGES * LARGE_BYTES) / MIB} MiB`,
  "",
  outcome(await unread("own", [])),
  outcome(await unread("socketioxide", ["sync"])),
  `${outcome(await unread("socketioxide", ["sync", "128"]))} (a queue of 128 packets, the default)`,
);
process.exit(0);
