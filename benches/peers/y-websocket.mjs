// The server of y-websocket, as its program starts it: HOST and PORT.

import "./node_modules/@y/websocket-server/src/server.js";
