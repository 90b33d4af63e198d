// A large document with a long history: its deletions alone are hundreds of kilobytes.

import assert from "node:assert/strict";
import { token } from "./tokens.mjs";
import { pause } from "./until.mjs";

const PARTS = 4;
const PARAGRAPHS = 2_500;
const PARAGRAPH = "0123456789abcdef".repeat(64);
const DELETED = 10;

/**
 * Writes a text of 10 MB with 100,000 deletions into the document `room` by HTTP.
 * Returns its size: the bytes of the whole document, and those of its deletions alone.
 *
 * @param Y the Yjs of the suite.
 */
export async function writeLargeDocument(server, room, Y) {
  const doc = new Y.Doc();
  const updates = [];
  doc.on("update", (update) => updates.push(update));
  const text = doc.getText("text");
  const write = () => {
    for (let count = 0; count < PARAGRAPHS; count += 1) {
      text.insert(0, PARAGRAPH);
      for (let at = 0; at < DELETED; at += 1) text.delete(at * 50, 1);
    }
  };
  for (let part = 0; part < PARTS; part += 1) doc.transact(write);
  const send = (body) =>
    fetch(`${server.url}/api/v1/documents/${encodeURIComponent(room)}/updates`, {
      method: "POST",
      headers: { authorization: `Bearer ${token()}`, "content-type": "application/octet-stream" },
      body,
    });
  for (const body of updates) {
    let response = await send(body);
    // On a slow machine this takes more of the processor than a user may have in a second.
    while (response.status === 429) {
      const { error } = await response.json();
      await pause(error.retry_after_ms);
      response = await send(body);
    }
    assert.equal(response.status, 200, await response.text());
  }
  const deletions = Y.encodeStateAsUpdate(doc, Y.encodeStateVector(doc)).byteLength;
  return { bytes: Y.encodeStateAsUpdate(doc).byteLength, deletions };
}
