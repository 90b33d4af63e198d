// Random choices, the same for the same seed.

/** A source of random choices (xorshift128 seeded by a multiplicative hash). */
export class Random {
  #state;

  constructor(seed) {
    let word = (seed ^ 0x9e3779b9) >>> 0;
    this.#state = Array.from({ length: 4 }, () => {
      word = (Math.imul(word ^ (word >>> 16), 0x85ebca6b) + 0x6d2b79f5) >>> 0;
      return (word ^ (word >>> 13)) >>> 0 || 1;
    });
    for (let i = 0; i < 8; i++) this.word();
  }

  /** 32 random bits. */
  word() {
    const [a, b, c, d] = this.#state;
    let next = a ^ (a << 11);
    next = (next ^ (next >>> 8) ^ d ^ (d >>> 19)) >>> 0;
    this.#state = [b, c, d, next];
    return next;
  }

  /** An integer from 0 to `end` - 1. */
  below(end) {
    return this.word() % Math.max(1, end);
  }

  /** `true` with a probability of 1 to `times`. */
  oneIn(times) {
    return this.below(times) === 0;
  }

  /** One of `choices`. */
  pick(choices) {
    return choices[this.below(choices.length)];
  }

  /** A number up to `most`, mostly a small one. */
  few(most) {
    let number = 0;
    while (number < most && !this.oneIn(3)) number++;
    return number;
  }

  /** `items` in random order. */
  shuffled(items) {
    const out = [...items];
    for (let at = out.length - 1; at > 0; at--) {
      const other = this.below(at + 1);
      [out[at], out[other]] = [out[other], out[at]];
    }
    return out;
  }
}
