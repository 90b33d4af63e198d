// Colleagues who comment on documents, reply, mention others and move the documents through their workflow, and a record of
// what the server has answered.

import assert from "node:assert/strict";
import { pause, until } from "@realtime-server/harness/until";
import { Client } from "./client.mjs";

/** How many requests of a colleague are in progress at once. */
const WINDOW = 3;
/** The most replies to a thread: each notifies everybody who takes part in it. */
const REPLIES_MAX = 6;

/**
 * A request with a key of its own. The key is the `client_id`, and also the text of the comment and the id of the person whom
 * the comment mentions, or the note of the step: so it is found wherever the request has left something.
 */
class Task {
  constructor(key, person, event, payload) {
    Object.assign(this, { key, person, event, payload: { ...payload, client_id: key } });
  }

  get isComment() {
    return this.event !== "workflow_transition";
  }
}

/** Persons who send requests until they are stopped. One more moves each document to the next status, step by step. */
export class Colleagues {
  /** What was answered: requests by their keys, each with its `ack`. */
  answered = new Map();
  /** Requests without an answer: nobody knows whether they were carried out. */
  doubtful = new Map();

  #random;
  #rooms;
  #people = [];
  #movers = [];
  #threads = [];
  #statuses = new Map();
  #count = 0;
  #running = [];
  #isStopped = true;

  /** Connects `people`, and a person who moves each of `rooms`, whose documents exist. */
  static async connect(server, random, rooms, people = 3) {
    const colleagues = new Colleagues();
    colleagues.#random = random;
    colleagues.#rooms = rooms;
    const person = (user) => Client.connect(server, { person: { user } });
    for (let number = 1; number <= people; number += 1) colleagues.#people.push(await person(`colleague-${number}`));
    for (const room of rooms) colleagues.#movers.push([await person(`mover-of-${room}`), room]);
    return colleagues;
  }

  /** How many requests were sent, those that were repeated once. */
  get sent() {
    return this.#count;
  }

  /** Everybody works, until {@link stop}. */
  start() {
    this.#isStopped = false;
    const comment = (client) => this.#work(client, () => this.#nextComment(client));
    const writers = this.#people.flatMap((client) => Array.from({ length: WINDOW }, () => comment(client)));
    const movers = this.#movers.map(([client, room]) => this.#work(client, () => this.#nextStep(client, room)));
    this.#running = [...writers, ...movers];
  }

  /** Nobody sends any more; resolves once no request is in progress. */
  async stop() {
    this.#isStopped = true;
    await Promise.all(this.#running);
  }

  /** Waits until all are connected, and repeats what has no answer, until it has one. */
  async repeatDoubtful() {
    const clients = [...this.#people, ...this.#movers.map(([client]) => client)];
    await until("all are connected", () => clients.every(({ socket }) => socket.connected));
    await until("all requests are answered", async () => {
      await Promise.all([...this.doubtful.values()].map((task) => this.#send(task)));
      return this.doubtful.size === 0;
    });
  }

  /** Repeats a request that was answered: the answer is the first one. */
  async repeat(key) {
    const { person, event, payload, ack } = this.answered.get(key);
    assert.deepEqual(await person.request(event, payload), ack, `another answer to ${key}`);
  }

  #nextComment(person) {
    const key = this.#nextKey();
    const said = { body: key, mentions: [key] };
    const thread = this.#random.of(this.#threads.slice(-10));
    if (!thread || thread.replies === REPLIES_MAX || this.#random.below(3) === 0) {
      return new Task(key, person, "thread_create", { room: this.#random.of(this.#rooms), quote: "text", ...said });
    }
    thread.replies += 1;
    return new Task(key, person, "comment_create", { thread_id: thread.id, ...said });
  }

  #nextStep(person, room) {
    const key = this.#nextKey();
    const to = this.#statuses.get(room) === "in_review" ? "draft" : "in_review";
    return new Task(key, person, "workflow_transition", { room, to, note: key });
  }

  #nextKey() {
    this.#count += 1;
    return `request-${this.#count}`;
  }

  async #work(client, next) {
    let task;
    // A step may not follow one of which nobody knows whether it was taken.
    while (!this.#isStopped && client.socket.connected && !this.doubtful.has(task?.key)) {
      task = next();
      await this.#send(task);
      await pause(1);
    }
  }

  async #send(task) {
    this.doubtful.set(task.key, task);
    // Without an answer the connection has ended.
    const ack = await task.person.request(task.event, task.payload).catch(() => undefined);
    if (!ack || ack.error?.retryable) return;
    assert.equal(ack.ok, true, `${task.event} was refused: ${JSON.stringify(ack.error)}`);
    this.doubtful.delete(task.key);
    this.answered.set(task.key, Object.assign(task, { ack }));
    if (ack.thread) this.#threads.push({ id: ack.thread.id, replies: 0 });
    if (ack.workflow) this.#statuses.set(task.payload.room, ack.workflow.status);
  }
}
