import { HocuspocusProvider } from "@hocuspocus/provider";
import { type OpenProvider, fetchToken, server, showStatus } from "./page";

export const open: OpenProvider = (room, doc, awareness) => {
  const connection = { url: `${server.replace("http", "ws")}/hocuspocus`, autoConnect: false };
  return new HocuspocusProvider({
    ...connection,
    name: room,
    document: doc,
    awareness,
    token: fetchToken, // is called for each connection, and before a token expires
    onUnsyncedChanges: ({ number }) => showStatus(number === 0 ? "Saved" : "Saving…"),
    onAuthenticationFailed: ({ reason }) => showStatus(`Closed: ${reason}`),
  });
};
