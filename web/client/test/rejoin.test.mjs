// A document that is joined again: what both sides have is not sent again, neither elements nor deletions.

import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import * as Y from "yjs";
import { writeLargeDocument } from "@realtime-server/harness/large-document";
import { suiteServer } from "@realtime-server/harness/suite";
import { closeAll, converged, join, text } from "./support/scene.mjs";

const KB = 1000;

/** Joins again; `meanwhile` is called when the request is sent. Returns the bytes of the answer, and those of the updates that were sent. */
async function rejoin(provider, meanwhile = () => {}) {
  const { client } = provider;
  const bytes = { received: 0, sent: 0 };
  let isAnswer = false;
  const receive = ({ data }) => {
    // The frame of an answer begins with 3 or 6, and its attachments follow it.
    if (typeof data === "string") isAnswer = /^[36]/.test(data);
    if (isAnswer) bytes.received += data.byteLength ?? Buffer.byteLength(data);
  };
  const send = (event, { update }) => (bytes.sent += event === "document_update" ? update.byteLength : 0);
  client.socket.io.engine.on("packet", receive);
  client.socket.onAnyOutgoing(send);
  const joined = new Promise((resolve) => client.once("joined", resolve));
  provider.connect();
  meanwhile();
  await joined;
  client.socket.io.engine.off("packet", receive);
  await provider.whenSaved();
  client.socket.offAnyOutgoing(send);
  return bytes;
}

/** Deletes some characters, each a range of its own: together they take kilobytes. */
function deleteMany(provider) {
  for (let at = 0; at < 1_000; at += 1) text(provider).delete(at * 2, 1);
}

describe("a document that is joined again", () => {
  const server = suiteServer();
  afterEach(closeAll);

  it("comes with less than 1 KB, although it has 10 MB, where nothing is missing", async () => {
    const size = await writeLargeDocument(server, "large", Y);
    const ana = await join(server, "large");
    assert.equal(text(ana).length, 10_140_000);
    ana.disconnect();
    const bytes = await rejoin(ana);
    console.log(size, bytes);
    assert.ok(bytes.received < KB, `${bytes.received} bytes were received`);
    assert.equal(bytes.sent, 0);
  });

  it("gets the deletions of others, and sends its own, that were made while it was left", async () => {
    const ana = await join(server, "apart");
    text(ana).insert(0, "0123456789".repeat(400));
    deleteMany(ana);
    await ana.whenSaved();
    const ben = await join(server, "apart", { person: { user: "ben" } });
    for (const left of [[ana], [ben], [ana, ben]]) {
      for (const one of left) one.disconnect();
      text(ana).delete(100, 5);
      text(ben).delete(900, 5);
      for (const one of [ana, ben]) if (!left.includes(one)) await one.whenSaved();
      await Promise.all(left.map((one) => rejoin(one)));
      await converged([ana, ben, await join(server, "apart")]);
    }
    ana.disconnect();
    const { received } = await rejoin(ana);
    assert.ok(received < 2 * KB, `both have the same deletions, and ${received} bytes were received`);
  });

  it("sends what is deleted before the answer comes, and nothing else", async () => {
    const ana = await join(server, "meanwhile");
    text(ana).insert(0, "0123456789".repeat(400));
    deleteMany(ana);
    await ana.whenSaved();
    ana.disconnect();
    const bytes = await rejoin(ana, () => text(ana).delete(2_400, 500));
    assert.ok(bytes.received < KB, `${bytes.received} bytes were received`);
    assert.ok(bytes.sent > 0 && bytes.sent < 100, `${bytes.sent} bytes were sent`);
    assert.equal(text(await join(server, "meanwhile")).length, 2_500);
  });
});
