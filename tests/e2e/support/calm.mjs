// Whether others are disturbed: two people type in a room of their own, and a probe asks whether the server lives.

import { Agent, request } from "node:http";
import { Client } from "./client.mjs";
import { pause, until } from "@realtime-server/harness/until";

const EVERY_MS = 8;
/** So long is measured at least: some hundred samples. */
const WINDOW_MS = 1_000;
/** An answer that does not come counts as this. */
const LOST_MS = 10_000;

/** Two people in a room that nobody attacks. */
export class Calm {
  #server;
  #writer;
  #reader;
  #typed = 0;
  #agent = new Agent({ keepAlive: true, maxSockets: 1 });

  static async set(server) {
    const calm = new Calm();
    calm.#server = server;
    const join = async (user) => (await Client.connect(server, { person: { user } })).join("calm");
    [calm.#writer, calm.#reader] = [await join("writer"), await join("reader")];
    await calm.measure();
    return calm;
  }

  /**
   * Measures while `work` goes on, and for a second at least: the 99th percentile of how long `/health/live` takes to
   * answer, and a keystroke to reach the reader, in ms.
   */
  async measure(work = () => {}) {
    let over = false;
    const samples = { health: [], typing: [] };
    const running = Promise.all([
      this.#repeat(() => over, this.#health, samples.health),
      this.#repeat(() => over, this.#type, samples.typing),
    ]);
    const [result] = await Promise.all([work(), pause(WINDOW_MS)]);
    over = true;
    await running;
    return { result, health_ms: p99(samples.health), typing_ms: p99(samples.typing) };
  }

  /** The two have had nothing refused and see the same. */
  async unharmed() {
    await until("the reader has everything", () => this.#reader.content === this.#writer.content);
    const { refusals, faults } = this.#writer;
    return refusals.length === 0 && faults.length === 0;
  }

  async #repeat(over, probe, samples) {
    while (!over()) {
      const began = performance.now();
      await probe.call(this);
      samples.push(performance.now() - began);
      await pause(EVERY_MS);
    }
  }

  #health() {
    return new Promise((resolve) => {
      const asked = request(`${this.#server.url}/health/live`, { agent: this.#agent, timeout: LOST_MS }, (response) => {
        response.resume();
        response.on("end", resolve);
      });
      asked.on("timeout", () => asked.destroy());
      asked.on("error", resolve);
      asked.end();
    });
  }

  #type() {
    const length = (this.#typed += 1);
    const seen = new Promise((resolve) => {
      const { text } = this.#reader;
      const look = () => {
        if (text.length < length) return;
        text.unobserve(look);
        resolve();
      };
      text.observe(look);
      setTimeout(resolve, LOST_MS).unref();
    });
    this.#writer.text.insert(length - 1, "k");
    return seen;
  }
}

function p99(samples) {
  samples.sort((a, b) => a - b);
  return samples[Math.floor(samples.length * 0.99)];
}
