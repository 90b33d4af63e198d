import { WebsocketProvider } from "y-websocket";
import { type OpenProvider, fetchToken, server, showStatus } from "./page";

const params = { token: await fetchToken() };

export const open: OpenProvider = (room, doc, awareness) => {
  const url = `${server.replace("http", "ws")}/yjs`;
  const provider = new WebsocketProvider(url, encodeURIComponent(room), doc, { awareness, params, connect: false });
  const renew = () => {
    fetchToken().then(
      (token) => {
        provider.params.token = token;
        provider.connect();
      },
      () => setTimeout(renew, 5_000),
    );
  };
  provider.on("sync", (synced) => showStatus(synced ? "Connected" : "Connecting…"));
  provider.on("closed", ({ reason }) => {
    showStatus(`Closed: ${reason}`);
    if (reason === "token_expired") renew();
  });
  return provider;
};
