// Measures whether others are disturbed: two users type in a room of their own, and a probe asks `/health/live`.

import { Agent, request } from "node:http";
import { Client } from "./client.mjs";
import { pause, until } from "@realtime-server/harness/until";

const EVERY_MS = 8;
/** The usual shortest time of a measurement, which gives some hundred samples. */
const WINDOW_MS = 1_000;
/** The latency that counts for an answer that does not come. */
const LOST_MS = 10_000;

/** Two users in a room that nobody attacks. */
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
   * Measures during `work`, and for `window_ms` at least. Returns the 99th percentiles, in ms, of the time that `/health/live`
   * takes to answer, and a keystroke to reach the reader.
   */
  async measure(work = () => {}, window_ms = WINDOW_MS) {
    let over = false;
    const samples = { health: [], typing: [] };
    const running = Promise.all([
      this.#repeat(() => over, this.#health, samples.health),
      this.#repeat(() => over, this.#type, samples.typing),
    ]);
    const [result] = await Promise.all([work(), pause(window_ms)]);
    over = true;
    await running;
    return { result, health_ms: p99(samples.health), typing_ms: p99(samples.typing) };
  }

  /** Whether the two have the same text and no update of theirs was refused. */
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

/** The 99th percentile; of fewer than a hundred samples the longest one. */
function p99(samples) {
  samples.sort((a, b) => a - b);
  return samples[Math.floor(samples.length * 0.99)];
}
