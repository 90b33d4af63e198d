import { HocuspocusProvider, type HocuspocusProviderConfiguration } from "@hocuspocus/provider";
import { type OpenProvider, fetchToken, server, showStatus } from "./page";

/** A provider for Lexical as well, which knows the event `synced` by another name. */
class SyncedProvider extends HocuspocusProvider {
  constructor(configuration: HocuspocusProviderConfiguration) {
    super(configuration);
    this.on("synced", ({ state }: { state: boolean }) => this.emit("sync", state));
  }
}

export const open: OpenProvider = (room, doc, awareness) => {
  const connection = { url: `${server.replace("http", "ws")}/hocuspocus`, autoConnect: false };
  return new SyncedProvider({
    ...connection,
    name: room,
    document: doc,
    awareness,
    token: fetchToken, // is called for each connection, and before a token expires
    onUnsyncedChanges: ({ number }) => showStatus(number === 0 ? "Saved" : "Saving…"),
    onAuthenticationFailed: ({ reason }) => showStatus(`Closed: ${reason}`),
  });
};
