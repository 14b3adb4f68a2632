// Rate limits by tier: a key's `rate_limit` names a tier of the deployment, and a binding of the platform counts for it. The platform counts per
// location and not exactly, so this is a brake, not an account; and a binding that fails holds up nobody who has a right key.

/** How long a binding may take. */
const ANSWER_LIMIT_MS = 100;
/** The least time between two lines in the log about the same tier. */
const LOG_EVERY_MS = 10_000;
/** The most names of tiers that nobody declared of which the log was told. */
const MOST_UNKNOWN = 100;

/** `gold=GOLD_LIMIT 1000/60`: tier, binding, requests, seconds. */
const TIER = /^([A-Za-z0-9][A-Za-z0-9_-]{0,49})=([A-Za-z_][A-Za-z0-9_]*) ([1-9]\d{0,6})\/(10|60)$/;

/**
 * The tiers of `RATE_LIMITS`, by name. Throws what is wrong with the text. The control plane reads the same setting (`shared/src/tiers.rs`); what is
 * taken stands in `shared/golden/rate-limits.json` for both.
 */
export function parse(text) {
  const tiers = new Map();
  if (text.trim() === "") return tiers;
  for (const item of text.split(",")) {
    const [, name, binding, limit, period] = TIER.exec(item.trim()) ?? [];
    if (name === undefined) throw new Error("must be a list such as free=FREE_LIMIT 60/60, gold=GOLD_LIMIT 1000/60, with 10 or 60 seconds");
    if (tiers.has(name)) throw new Error(`has the tier ${name} twice`);
    tiers.set(name, { binding, limit: Number(limit), period: Number(period), policy: `"${name}";q=${limit};w=${period}` });
  }
  return tiers;
}

/** The tiers of a deployment. */
export class Tiers {
  #tiers = new Map();
  #default;
  #logged = new Map();

  /** Reads `RATE_LIMITS` and `RATE_LIMIT_DEFAULT`. Gives what is wrong with them, `undefined` where they can be used. */
  configure(env) {
    try {
      this.#tiers = parse(String(env.RATE_LIMITS ?? ""));
    } catch (error) {
      return `setting RATE_LIMITS: ${error.message}`;
    }
    for (const [name, { binding }] of this.#tiers) {
      if (typeof env[binding]?.limit !== "function") return `setting RATE_LIMITS: the tier ${name} has no rate-limiting binding ${binding}`;
    }
    const name = String(env.RATE_LIMIT_DEFAULT ?? "").trim() || undefined;
    this.#default = this.#tiers.get(name);
    if (name !== undefined && this.#default === undefined) return "setting RATE_LIMIT_DEFAULT: is no tier of RATE_LIMITS";
    return undefined;
  }

  /** Counts a request of a key. Gives the tier where it is used up, `undefined` where the request may go on. Never rejects. */
  async exceeded(env, name, key) {
    const tier = this.#tiers.get(name) ?? this.#default;
    if (!this.#tiers.has(name)) this.#log(name, "is no tier of RATE_LIMITS");
    if (tier === undefined) return undefined;
    let timer;
    try {
      const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error("no answer in time")), ANSWER_LIMIT_MS);
      });
      const { success } = await Promise.race([env[tier.binding].limit({ key }), late]);
      if (typeof success !== "boolean") throw new Error("the answer is not one of a rate-limiting binding");
      return success ? undefined : tier;
    } catch (error) {
      this.#log(name, String(error));
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }

  #log(tier, problem) {
    const now = Date.now();
    if (now < (this.#logged.get(tier) ?? 0)) return;
    if (this.#logged.size >= MOST_UNKNOWN) this.#logged.clear();
    this.#logged.set(tier, now + LOG_EVERY_MS);
    console.warn(JSON.stringify({ level: "warn", event: "rate_limit", tier, problem }));
  }
}
