import { io } from "socket.io-client";
import * as Y from "yjs";

const query = new URLSearchParams(location.search);
const room = query.get("room") ?? "article-42";
const who = new URLSearchParams({
  user: query.get("user") ?? "ana",
  role: query.get("role") ?? "editor",
  team: "demo",
});

type Token = { token: string };
type Answer<T> = ({ ok: true } & T) | { ok: false; error: { code: string; message: string } };
type Synced = { update?: ArrayBuffer; state_vector: ArrayBuffer };

const fetchToken = async () => (await fetch(`/dev/token?${who.toString()}`)).json() as Promise<Token>;

const socket = io(import.meta.env.VITE_REALTIME_SERVER_URL as string, {
  // Called before every connection. Without a token the attempt ends, and the next one begins a little later.
  auth: (send) => void fetchToken().then(send, () => socket.io.engine.close()),
});
const doc = new Y.Doc();
const text = doc.getText("plain");
let unsaved = 0; // the number of updates that were sent on this connection and are not acknowledged
let areAcksLost = false; // whether acks were lost with an earlier connection, so that it is unknown whether those updates are saved

// On every connection: apply what is missing here, and send what the server lacks.
function synchronize(request: "join_room" | "document_sync") {
  const payload = { room, state_vector: Y.encodeStateVector(doc) };
  socket.emit(request, payload, (answer: Answer<Synced>) => {
    if (!answer.ok) {
      show(answer.error.message);
      return;
    }
    if (answer.update) Y.applyUpdate(doc, new Uint8Array(answer.update), socket);
    const lacking = Y.encodeStateAsUpdate(doc, new Uint8Array(answer.state_vector));
    // An empty update has two bytes. The server acknowledges it, too, when everything in the document is saved.
    if (areAcksLost || lacking.length > 2) send(lacking);
    else if (unsaved === 0) show("Saved");
    areAcksLost = false;
  });
}
socket.on("connect", () => synchronize("join_room"));
socket.on("document_resync", () => synchronize("document_sync"));

// Apply the updates of others, and send those of this page.
socket.on("document_update", ({ update }: { update: ArrayBuffer }) =>
  Y.applyUpdate(doc, new Uint8Array(update), socket),
);
doc.on("update", (update: Uint8Array, origin: unknown) => {
  if (origin !== socket && socket.connected) send(update); // edits made offline are sent after the next join
});
function send(update: Uint8Array) {
  unsaved += 1;
  show("Saving…");
  socket.emit("document_update", { room, update }, (answer: Answer<{ seq: number; pending?: boolean }>) => {
    unsaved -= 1;
    if (!answer.ok) show(`Not saved: ${answer.error.message}`);
    // Others do not see the update until the edits on which it depends arrive, and this page may have those edits.
    else if (answer.pending) setTimeout(() => synchronize("document_sync"), 1_000);
    else if (unsaved === 0) show("Saved"); // an ack means that the update is in the database
  });
}

// A session ends with its token. socket.io does not reconnect by itself if the server has refused or closed the connection.
socket.on("token_expiring", () => void fetchToken().then((token) => socket.emit("token_refresh", token)));
socket.on("disconnect", (reason) => {
  areAcksLost ||= unsaved > 0;
  unsaved = 0;
  if (reason === "io server disconnect") socket.connect();
});
socket.on("connect_error", ({ message }) => {
  show(`Not connected: ${message}`);
  if (!socket.active && message !== "unauthorized") setTimeout(() => socket.connect(), 5_000);
});

function show(status: string) {
  document.querySelector("#status")?.replaceChildren(status);
}
text.observe(() => document.querySelector("#text")?.replaceChildren(text.toString()));
document.querySelector("#line")?.addEventListener("change", ({ currentTarget }) => {
  const input = currentTarget as HTMLInputElement;
  text.insert(text.length, `${input.value}\n`);
  input.value = "";
});
