// The receiver of webhooks.

import { createServer } from "node:http";

/** The main service: it answers with `status`, and keeps every message that it was sent. */
export class Receiver {
  received = [];
  status = () => 200;

  async start() {
    this.server = createServer((request, response) => {
      const chunks = [];
      request.on("data", (chunk) => chunks.push(chunk));
      request.on("end", () => {
        const body = Buffer.concat(chunks).toString();
        const id = request.headers["webhook-id"];
        const message = { id, body, headers: request.headers, at: Date.now(), ...JSON.parse(body) };
        const status = this.status(message, this.received);
        this.received.push({ ...message, status });
        response.writeHead(status).end();
      });
    });
    await new Promise((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${this.server.address().port}/hooks`;
  }

  stop() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }

  accepted(kind) {
    return this.received.filter(({ status, type }) => status === 200 && (!kind || type === kind));
  }
}
