import { DocumentProvider, RealtimeClient } from "@realtime-server/client";

const url = process.env.REALTIME_SERVER_URL ?? "http://localhost:3001";
const token = async () => {
  const response = await fetch(`${url}/dev/token?user=importer&role=service&team=demo`);
  return (await response.json()).token;
};

const client = new RealtimeClient({ url, token });
const provider = new DocumentProvider(client, "article-42", { awareness: null }); // a program has no cursor
await provider.whenSynced;

const text = provider.doc.getText("quickstart");
text.insert(text.length, "Written by a program. ");
await provider.whenSaved();
console.log(text.toString());

provider.destroy();
client.destroy(); // without this the program would not end
