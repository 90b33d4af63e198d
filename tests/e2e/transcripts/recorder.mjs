// Holds a conversation with a server by single requests and frames, and writes down what was said: the transcript.
//
// A line that begins with ">" is an action of the client, one with "<" what the server did. Ids, times and the payloads of
// the application are replaced, so that the transcripts of different servers can be compared line by line.

import { deepEqual } from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { until } from "@realtime-server/harness/until";
import { exchange, openWebSocket, SEPARATOR } from "../support/engine.mjs";

/** A recording has ended a step when the server has been silent for so long. */
const SILENCE_MS = 1_200;
/** How long a test waits for what the transcript expects. */
const TIMEOUT_MS = 20_000;

/** Events that the server under test sends of its own accord, to which the reference has no counterpart. */
const OWN_EVENTS = /^42\["(presence_update|activity|document_created)"/;

export class Transcript {
  lines = [];
  #expected;
  #secrets = new Map();
  #sockets = [];

  /** A transcript of a conversation at `url`, which is to become `expected`; without that it is a recording. */
  constructor(url, expected) {
    this.url = url;
    this.#expected = expected;
  }

  /** Replaces `secret`, an id or a token, by `name` in what follows. */
  hide(secret, name) {
    this.#secrets.set(secret, name);
  }

  /** Sends an HTTP request, and notes its answer. Returns the body. */
  async request(method, query, body) {
    const noted = body === undefined ? "" : ` ${quoted(this.#hidden(body))}`;
    this.#note(`> ${method} ${this.#hidden(query)}${noted}`);
    const answer = await exchange(`${this.url}/socket.io/${query}`, { method, body }).catch(() => undefined);
    this.#noteAnswer(answer?.status ?? "no answer", answer?.body.split(SEPARATOR) ?? []);
    return answer?.body;
  }

  /** Polls until a packet matches, and notes the packets of all these polls in one line. */
  async collect(query, pattern) {
    this.#note(`> GET ${this.#hidden(query)} until there is ${pattern.source}`);
    const packets = [];
    while (!packets.some((packet) => pattern.test(packet))) {
      const { status, body } = await exchange(`${this.url}/socket.io/${query}`);
      packets.push(...body.split(SEPARATOR));
      if (status !== 200) break;
    }
    this.#noteAnswer(200, packets);
  }

  /** Opens a WebSocket. What it receives is noted. */
  async open(query, { name = "", codes = false } = {}) {
    const prefix = name && `${name}: `;
    this.#note(`> ${prefix}WebSocket ${this.#hidden(query)}`);
    const socket = await openWebSocket(this.url, `/socket.io/${query}`);
    this.#sockets.push(socket);
    if (socket.status) this.#note(`< ${prefix}${socket.status}`);
    const note = (frame) => this.#noteFrame(prefix, frame);
    socket.frames.forEach(note);
    socket.webSocket.on("message", (data, isBinary) => note(isBinary ? data : data.toString()));
    const ended = (code) => this.#note(`< ${prefix}closed${codes ? ` ${code}` : ""}`);
    if (socket.closed !== undefined && !socket.status) ended(socket.closed);
    else socket.webSocket.on("close", (code) => socket.status || ended(code));
    await this.settle();
    return {
      /** Sends frames, and waits for what comes of them. */
      send: async (...frames) => {
        for (const frame of frames) {
          const shown = typeof frame === "string" ? quoted(this.#hidden(frame)) : `<${frame.length} bytes>`;
          this.#note(`> ${prefix}${shown}`);
        }
        for (const frame of frames) if (socket.webSocket.readyState === 1) socket.webSocket.send(frame);
        await this.settle();
      },
    };
  }

  /** Waits until the server has said what it has to say. */
  async settle() {
    if (!this.#expected) {
      for (let before = -1; before !== this.lines.length; await pause(SILENCE_MS)) before = this.lines.length;
      return;
    }
    const from = this.lines.findLastIndex((line) => line.startsWith(">")) + 1;
    const next = this.#expected.findIndex((line, at) => at >= from && line.startsWith(">"));
    const enough = next === -1 ? this.#expected.length : next;
    // The comparison at the end shows what did not come.
    await until("everything has come", () => this.lines.length >= enough, TIMEOUT_MS).catch(() => {});
  }

  /** Ends the conversation. */
  end() {
    for (const socket of this.#sockets) {
      socket.webSocket.removeAllListeners("message");
      socket.webSocket.removeAllListeners("close");
      socket.end();
    }
    if (this.#expected) deepEqual(this.lines, this.#expected);
  }

  #noteAnswer(status, packets) {
    packets.forEach((packet) => this.#hideSid(packet));
    const shown = packets.filter((packet) => !OWN_EVENTS.test(packet)).map((packet) => this.#shown(packet));
    this.#note(`< ${status} ${quoted(shown.join(SEPARATOR))}`);
  }

  #noteFrame(prefix, frame) {
    if (typeof frame !== "string") return this.#note(`< ${prefix}<bytes>`);
    if (OWN_EVENTS.test(frame)) return;
    this.#hideSid(frame);
    this.#note(`< ${prefix}${quoted(this.#shown(frame))}`);
  }

  #hideSid(packet) {
    const sid = /^4?0\{"sid":"([^"]+)"/.exec(packet)?.[1];
    if (sid) this.hide(sid, "<sid>");
  }

  #note(line) {
    this.lines.push(line);
  }

  /** A packet without ids, and without what the application says. */
  #shown(packet) {
    return this.#hidden(packet)
      .replace(/"maxPayload":\d+/, '"maxPayload":<bytes>')
      .replace(/^(42\["(?:connection|request_error)"),.*$/s, "$1,<payload>]")
      .replace(/^b.*$/s, "<base64>")
      .replace(/^(4(?:3|6\d-)\d+)\[\{"ok":(true|false).*$/s, "$1[<ok: $2>]");
  }

  #hidden(text) {
    for (const [secret, name] of this.#secrets) text = text.replaceAll(secret, name);
    return text;
  }
}

function quoted(text) {
  return text.replaceAll(SEPARATOR, " | ") || "(empty)";
}
