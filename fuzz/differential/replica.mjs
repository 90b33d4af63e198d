// The process with the server's documents: replica/src/main.rs has the protocol of the pipe.

import { spawn } from "node:child_process";

const FORGET = 0;
const TURN = 1;
const ENCODE = 2;
const REPLAY = 3;
const DIFF = 4;
const RESTART = 5;
const COMPACT = 6;
const EDIT = 7;
const REPLACE = 8;

const ANSWERS = { N: "accepted", P: "pending", k: "known", R: "refused", B: "broken" };

/** The process with all its rooms. */
export class Replica {
  #child;
  #waiting = [];
  #taken = Buffer.alloc(0);
  #rooms = 0;
  #out = [];
  #error = null;

  constructor(binary) {
    this.#child = spawn(binary, { stdio: ["pipe", "pipe", "inherit"] });
    this.#child.stdout.on("data", (chunk) => this.#take(chunk));
    this.#child.on("exit", (code, signal) => this.#fail(new Error(`the replica ended (${code ?? signal})`)));
    this.#child.stdin.on("error", () => {});
  }

  /** A new room. */
  room() {
    return new Room(this, this.#rooms++);
  }

  stop() {
    this.#child.removeAllListeners("exit");
    this.#child.stdin.end();
  }

  /** @returns {Promise<Buffer>} */
  ask(room, what, argument = []) {
    if (this.#error) return Promise.reject(this.#error);
    const length = argument.reduce((sum, part) => sum + part.length, 5);
    const head = Buffer.alloc(9);
    head.writeUInt32LE(length, 0);
    head.writeUInt32LE(room, 4);
    head.writeUInt8(what, 8);
    if (this.#out.length === 0) queueMicrotask(() => this.#flush());
    this.#out.push(head, ...argument);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  #flush() {
    this.#child.stdin.write(Buffer.concat(this.#out));
    this.#out = [];
  }

  #take(chunk) {
    let buffer = this.#taken.length === 0 ? chunk : Buffer.concat([this.#taken, chunk]);
    while (buffer.length >= 4) {
      const end = 4 + buffer.readUInt32LE(0);
      if (buffer.length < end) break;
      this.#waiting.shift().resolve(buffer.subarray(4, end));
      buffer = buffer.subarray(end);
    }
    this.#taken = buffer;
  }

  #fail(error) {
    this.#error = error;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}

class Room {
  #replica;
  #number;

  constructor(replica, number) {
    this.#replica = replica;
    this.#number = number;
  }

  forget() {
    return this.#replica.ask(this.#number, FORGET);
  }

  /** The outcome of each of `updates`, which arrive together, and the messages to the members. */
  async turn(updates) {
    const argument = updates.flatMap((update) => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(update.length);
      return [length, update];
    });
    const answer = await this.#replica.ask(this.#number, TURN, argument);
    let at = 0;
    const take = () => {
      const start = at + 4;
      at = start + answer.readUInt32LE(at);
      return answer.subarray(start, at);
    };
    const outcomes = updates.map(() => {
      const what = ANSWERS[String.fromCharCode(answer[at])];
      const micros = answer.readUInt32LE(at + 1);
      at += 5;
      return { what, micros, reason: take().toString() };
    });
    const relayed = [];
    while (at < answer.length) relayed.push(take());
    return { outcomes, relayed };
  }

  /** The document as a newcomer gets it. */
  encode() {
    return this.#bytes(ENCODE);
  }

  /** The document as the log alone gives it. */
  replay() {
    return this.#bytes(REPLAY);
  }

  diff(stateVector) {
    return this.#bytes(DIFF, [stateVector]);
  }

  restart() {
    return this.#bytes(RESTART);
  }

  compact() {
    return this.#bytes(COMPACT);
  }

  /** An edit by the server's document, as an update that is not applied yet. */
  edit(client, operations) {
    return this.#bytes(EDIT, [u64(client), Buffer.from(JSON.stringify(operations))]);
  }

  /** The edit that gives the document the content of an earlier state. */
  replaceWith(client, state) {
    return this.#bytes(REPLACE, [u64(client), state]);
  }

  async #bytes(what, argument) {
    const answer = await this.#replica.ask(this.#number, what, argument);
    if (answer[0] === 1) return answer.subarray(1);
    throw new Error(`the replica: ${answer.subarray(1)}`);
  }
}

function u64(number) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(number));
  return bytes;
}
