// What the requests of colleagues (see colleagues.mjs) have left in the database, by their keys.

import assert from "node:assert/strict";

/** The key in what an event, or a message to the main service, says: of a thread or a reply that of its comment. */
const key = (said) =>
  `coalesce(${said}->'comment'->>'body', ${said}->'thread'->'comments'->0->>'body', ${said}->>'note')`;
const event = (name) => `payload->>'name' = '${name}'`;
const ofComment = (id) => `(select body from comment where comment_id = ${id})`;
const answers = (...requests) =>
  `answered_request where answer is not null and request in ('${requests.join("', '")}')`;

/** What a comment consists of, and where its key is: all of it was written, or nothing. */
const COMMENT = {
  comment: ["body", "comment"],
  "entry in the activity": [
    ofComment("activity.subject->>'comment_id'"),
    "activity where verb in ('commented', 'replied')",
  ],
  event: [key("payload->'body'"), `event where ${event("thread_created")} or ${event("comment_created")}`],
  "event of its entry in the activity": [
    ofComment("event.payload->'body'->'subject'->>'comment_id'"),
    `event where ${event("activity")} and payload->'body'->>'verb' in ('commented', 'replied')`,
  ],
  "notification of the mentioned": ["user_id", "notification where kind = 'mention' and count = 1"],
  "event of that notification": [
    "to_user",
    `event where ${event("notification")} and payload->'body'->>'kind' = 'mention'`,
  ],
  "stored answer": ["key", answers("thread_create", "comment_create")],
};

/** What a step of the workflow consists of. */
const STEP = {
  step: ["note", "workflow_step"],
  "entry in the activity": ["subject->>'note'", "activity where verb = 'moved'"],
  event: [key("payload->'body'"), `event where ${event("workflow_update")}`],
  "event of its entry in the activity": [
    "payload->'body'->'subject'->>'note'",
    `event where ${event("activity")} and payload->'body'->>'verb' = 'moved'`,
  ],
  "stored answer": ["key", answers("workflow_transition")],
};

const OUTBOX = [key("payload->'data'"), "webhook_message where kind <> 'document.updated'"];
const PARTS = [OUTBOX, ...Object.values(COMMENT), ...Object.values(STEP)];

/** All of them in one statement, which sees one state: Postgres may go on with what a killed server has asked it for. */
const ALL = PARTS.map(([key, from], part) => `select '${part} ' || coalesce(${key}, '?') from ${from}`).join(
  " union all ",
);

/** The events in the order of their ids: the room, and the key. */
const HAPPENED = `select to_room || ' ' || ${key("payload->'body'")} from event
  where ${event("thread_created")} or ${event("comment_created")} or ${event("workflow_update")} order by event_id`;

/** The key in a message to the main service; none in one about edits. */
export const keyOf = ({ data }) => data.comment?.body ?? data.thread?.comments[0].body ?? data.note;

/** Reads a database that a server may be using. */
export class Traces {
  #ask;

  /** `ask` runs a statement and returns its rows as lines. */
  constructor(ask) {
    this.#ask = ask;
  }

  /** The words of each row. */
  #rows(sql) {
    const lines = this.#ask(sql).split("\n").filter(Boolean);
    return lines.map((line) => line.split(" "));
  }

  /**
   * Checks that of each comment and each step everything was written, once, and nothing else. `received` returns the messages
   * that the main service has accepted. Returns the keys of both.
   */
  whole(received) {
    const toldBefore = received().map(keyOf);
    const found = PARTS.map(() => []);
    for (const [part, key] of this.#rows(ALL)) found[part].push(key);
    const [outbox, ...parts] = found.map((keys) => keys.sort());
    const steps = parts.splice(Object.keys(COMMENT).length);
    const made = new Set([...complete(COMMENT, parts), ...complete(STEP, steps)]);
    assert.equal(new Set(outbox).size, outbox.length, "a message is in the outbox twice");
    // What the outbox no longer has was received before.
    const told = new Set([...outbox, ...received().map(keyOf)]);
    const silent = [...made].filter((key) => !told.has(key));
    assert.deepEqual(silent, [], "the main service is not told of some");
    const unmade = [...outbox, ...toldBefore].filter((key) => key && !made.has(key));
    assert.deepEqual(unmade, [], "the main service is told of what was not written");
    return made;
  }

  /** Checks that the ids of events are those from 1 to the newest, without a hole; returns how many there are. */
  hasNoHole() {
    const numbers = ["count(*)", "min(event_id)", "max(event_id)", "max(head_event_id)"].join(" || ' ' || ");
    const [row] = this.#rows(`select ${numbers} from event, event_counter`);
    const [count, first, last, head] = row.map(Number);
    assert.deepEqual({ first, last, head }, { first: 1, last: count, head: count }, "the ids of events have a hole");
    return count;
  }

  /** What has happened, in its order: the `room` and the `key` of each change. */
  happened() {
    return this.#rows(HAPPENED).map(([room, key]) => ({ room, key }));
  }
}

/** Checks that the `found` keys of all `parts` are the same, each once; returns them. */
function complete(parts, found) {
  const [first, ...others] = Object.keys(parts);
  const [made, ...keys] = found;
  assert.equal(new Set(made).size, made.length, `a ${first} exists twice`);
  others.forEach((part, at) => {
    assert.deepEqual(keys[at], made, `not every ${first} has its ${part}, or there is one too many`);
  });
  return made;
}
