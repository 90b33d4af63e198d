// A server of Hocuspocus that admits everybody and stores nothing.

import { Server } from "@hocuspocus/server";

const server = new Server({
  address: process.env.HOST,
  port: Number(process.env.PORT),
  quiet: true,
  stopOnSignals: true,
});
await server.listen();
