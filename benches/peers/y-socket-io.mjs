// A server of y-socket.io that admits everybody and stores nothing, with its defaults.

import { createServer } from "node:http";
import { Server } from "socket.io";
import { YSocketIO } from "y-socket.io/dist/server";

const http = createServer();
new YSocketIO(new Server(http)).initialize();
http.listen(Number(process.env.PORT), process.env.HOST);
