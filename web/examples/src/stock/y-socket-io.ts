import { SocketIOProvider } from "y-socket.io";
import { type OpenProvider, fetchToken, server, showStatus } from "./page";

export const open: OpenProvider = (room, doc, awareness) => {
  // A function, so that each connection has a new token.
  const auth = (send: (auth: { token: string }) => void) => {
    fetchToken().then(
      (token) => send({ token }),
      () => provider.socket.io.engine.close(), // the next attempt begins a little later
    );
  };
  const provider = new SocketIOProvider(server, room, doc, { awareness, auth, autoConnect: false });
  provider.on("sync", (synced: boolean) => showStatus(synced ? "Connected" : "Connecting…"));
  provider.on("connection-error", ({ message }: Error) => showStatus(`Not connected: ${message}`));
  // socket.io-client does not connect again by itself when the server has closed a session, as when its token has expired.
  provider.socket.on("disconnect", (reason) => reason === "io server disconnect" && provider.connect());
  return provider;
};
