// Counts of updates and edits, by outcome.

export class Figures {
  histories = 0;
  #began = performance.now();
  #counts = new Map();
  #refused = new Map();
  #edits = new Map();
  #micros = 0;

  add(outcomes) {
    for (const { what, reason, micros } of outcomes) {
      this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
      if (what === "refused") this.#refused.set(reason, (this.#refused.get(reason) ?? 0) + 1);
      this.#micros = Math.max(this.#micros, micros);
    }
  }

  /** Counts an edit by the server, or the reason why it made none. */
  edit(outcome) {
    this.#edits.set(outcome, (this.#edits.get(outcome) ?? 0) + 1);
  }

  report() {
    const tries = [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
    const seconds = (performance.now() - this.#began) / 1_000;
    const lines = [
      `${this.histories} histories, ${tries} updates in ${seconds.toFixed(0)} s (${(tries / seconds).toFixed(0)}/s)`,
      [...this.#counts].map(([what, count]) => `${what} ${count}`).join(", "),
      `longest ${(this.#micros / 1_000).toFixed(1)} ms`,
    ];
    const reasons = [...this.#refused].sort(([, a], [, b]) => b - a).map(([reason, count]) => `  ${count} ${reason}`);
    const edits = [...this.#edits].sort(([, a], [, b]) => b - a).map(([what, count]) => `  ${count} ${what}`);
    if (edits.length > 0) lines.push("the server's own edits:", ...edits);
    return [...lines, ...(reasons.length > 0 ? ["refused:", ...reasons] : [])].join("\n");
  }
}
