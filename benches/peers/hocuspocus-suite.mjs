// A server of Hocuspocus that takes the tokens of the end-to-end tests: HOST and PORT. `tests/e2e/hocuspocus-suite.test.mjs`
// and its neighbour hold their cases with it too, if PEER_URL names it. It stores nothing and verifies no signature, so it is
// for comparisons on one machine only. On the port behind it is the same with a timeout of a second.

import { Server } from "@hocuspocus/server";

const TIMEOUT_MS = 1_000;

/** What a token of the tests says, or an error where the server that is compared with it would refuse it. */
function claims(token, documentName) {
  const claims = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
  if (claims.exp * 1_000 < Date.now() || claims.roles.includes("nobody")) throw new Error("refused");
  if (claims.documents?.[documentName] === "none") throw new Error("refused");
  return claims;
}

for (const [offset, timeout] of [
  [0, undefined],
  [1, TIMEOUT_MS],
]) {
  const server = new Server({
    address: process.env.HOST,
    port: Number(process.env.PORT) + offset,
    quiet: true,
    stopOnSignals: true,
    ...(timeout && { timeout }),
    async onAuthenticate({ token, documentName, connectionConfig }) {
      connectionConfig.readOnly = claims(token, documentName).roles.includes("viewer");
    },
    async onTokenSync({ token, documentName }) {
      claims(token, documentName);
    },
    async onRequest({ response }) {
      const { hocuspocus } = server;
      const rooms = `realtime_rooms ${hocuspocus.getDocumentsCount()}`;
      const connections = `realtime_connections{transport="hocuspocus"} ${hocuspocus.getConnectionsCount()}`;
      response.writeHead(200, { "content-type": "text/plain" });
      response.end(`${rooms}\n${connections}\n`);
      throw null;
    },
  });
  await server.listen();
}
