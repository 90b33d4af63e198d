import { DocumentProvider, RealtimeClient } from "@realtime-server/client";

const token = async () => {
  const response = await fetch("/dev/token?user=ana&role=editor&team=demo"); // in production: your own backend
  return ((await response.json()) as { token: string }).token;
};
const client = new RealtimeClient({ token });
const provider = new DocumentProvider(client, "article-42");
const text = provider.doc.getText("quickstart");

text.observe(() => document.querySelector("#text")?.replaceChildren(text.toString()));
await provider.whenSynced; // the document has everything that others wrote
text.insert(text.length, "Hello. ");
await provider.whenSaved(); // the edit is in the server's database
document.querySelector("#status")?.replaceChildren("Saved");
