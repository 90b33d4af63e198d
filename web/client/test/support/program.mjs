// A program as one writes it in Node: it opens a document, writes into it, prints the result or its error, and ends.

import { DocumentProvider, RealtimeClient } from "@realtime-server/client";

const { URL: url, TOKEN: token, ROOM: room } = process.env;
const timeoutMs = Number(process.env.TIMEOUT_MS);

const client = new RealtimeClient({ url, token: () => token });
const provider = new DocumentProvider(client, room, { awareness: null });
try {
  await provider.whenSynced({ timeoutMs });
  provider.doc.getText("text").insert(0, "Written by a program. ");
  await provider.whenSaved({ timeoutMs });
  console.log("saved");
} catch (error) {
  console.log(`${error.code}: ${error.message}`);
  process.exitCode = 1;
} finally {
  if (!process.env.FORGETFUL) provider.destroy();
  client.destroy();
}
