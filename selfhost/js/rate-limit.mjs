// The edge's rate-limiting bindings on one machine, where the runtime has none: the same interface as Cloudflare's, `await env.NAME.limit({ key })`
// gives `{ success }`. Counts in the memory of the process, in windows that begin at whole multiples of the period.

/** The most keys that are counted in one window. */
const MOST_KEYS = 100_000;

class RateLimit {
  #limit;
  #periodMs;
  #window = 0;
  #counts = new Map();

  constructor({ limit, period }) {
    this.#limit = Number(limit);
    this.#periodMs = Number(period) * 1_000;
  }

  async limit({ key }) {
    const window = Math.floor(Date.now() / this.#periodMs);
    if (window !== this.#window || this.#counts.size >= MOST_KEYS) this.#counts.clear();
    this.#window = window;
    const count = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, count);
    return { success: count <= this.#limit };
  }
}

export default function make(env) {
  return new RateLimit(env);
}
