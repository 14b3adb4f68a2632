// A limit on callers that fail: guessing is made slow, and cheap to refuse. Only requests that fail are ever refused here: who has a right key
// passes from the same address all the same. In the isolate's memory; other isolates count for themselves.

/** The most callers that are remembered; beyond that the one that was away longest is forgotten. */
const MOST_CALLERS = 10_000;

/** As shipped. What is malformed or made up costs no read; what is looked up, because it could be an imported key, costs two. */
const DEFAULTS = { FAILED_KEYS: "6000/60", FAILED_LOOKUPS: "60/60" };

/** A bucket per caller: so many at once, and as many again in `seconds`. */
export class Buckets {
  #capacityMs;
  #intervalMs;
  #fullAt = new Map();

  constructor(most, seconds) {
    this.#capacityMs = seconds * 1_000;
    this.#intervalMs = this.#capacityMs / most;
  }

  /** Takes one. Gives 0, or in how many seconds there is one again. */
  take(caller, now) {
    // A bucket is known by when it is full again. A clock that was set back must not make anybody wait longer than from an empty one.
    const fullAt = Math.min(Math.max(this.#fullAt.get(caller) ?? now, now), now + this.#capacityMs);
    const taken = fullAt + this.#intervalMs;
    const over = taken - (now + this.#capacityMs);
    const wait = over > 0.5 ? Math.ceil(over / 1_000) : 0; // sums of fractions are not exact
    this.#put(caller, wait > 0 ? fullAt : taken);
    return wait;
  }

  /** Gives one back. */
  putBack(caller) {
    const fullAt = this.#fullAt.get(caller);
    if (fullAt !== undefined) this.#fullAt.set(caller, fullAt - this.#intervalMs);
  }

  get size() {
    return this.#fullAt.size;
  }

  // A map keeps the order of insertion: whoever came last is put at its end.
  #put(caller, fullAt) {
    this.#fullAt.delete(caller);
    if (this.#fullAt.size >= MOST_CALLERS) this.#fullAt.delete(this.#fullAt.keys().next().value);
    this.#fullAt.set(caller, fullAt);
  }
}

/**
 * Who an address is: one of IPv4 as it is, of IPv6 the network of 64 bits, because households are given that much. All whose address is not known
 * are one.
 */
export function callerOf(address) {
  if (address === undefined || !address.includes(":")) return address ?? "";
  const lower = address.toLowerCase();
  const mapped = /^(?:::|(?:0{1,4}:){5})ffff:(?:(\d+\.\d+\.\d+\.\d+)|([0-9a-f]{1,4}):([0-9a-f]{1,4}))$/.exec(lower);
  if (mapped !== null) return mapped[1] ?? mapped.slice(2).flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 255]).join(".");
  const [head, tail] = lower.split("::");
  const groups = head === "" ? [] : head.split(":");
  if (tail !== undefined) {
    const after = tail === "" ? [] : tail.split(":");
    const length = after.at(-1)?.includes(".") ? after.length + 1 : after.length;
    while (groups.length + length < 8) groups.push("0");
    groups.push(...after);
  }
  return groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ""))
    .join(":");
}

/** Both limits of an isolate. */
export class Failing {
  #keys;
  #lookups;

  /** Reads `FAILED_KEYS` and `FAILED_LOOKUPS`. Gives what is wrong with them, `undefined` where they can be used. */
  configure(env) {
    const limits = {};
    for (const [name, shipped] of Object.entries(DEFAULTS)) {
      const value = String(env[name] ?? "").trim() || shipped;
      const [, most, seconds] = /^([1-9]\d{0,6})\/([1-9]\d{0,3})$/.exec(value) ?? [];
      if (value !== "off" && most === undefined) return `setting ${name}: must be off, or a number and seconds such as ${shipped}`;
      if (value === "off") continue;
      // At most a full bucket and what flows into it in that time.
      const policy = `"${name.toLowerCase().replace("_", "-")}";q=${2 * most};w=${seconds}`;
      limits[name] = { buckets: new Buckets(Number(most), Number(seconds)), policy };
    }
    this.#keys = limits.FAILED_KEYS;
    this.#lookups = limits.FAILED_LOOKUPS;
    return undefined;
  }

  /**
   * Takes one for a request of this address. `wait`: 0, or the seconds after which the next may come; `settle` hears how the request was answered, and
   * gives that on.
   */
  take(lookup, address, now) {
    const limit = lookup ? this.#lookups : this.#keys;
    if (limit === undefined) return { wait: 0, settle: (response) => response };
    const caller = callerOf(address);
    const settle = (response) => {
      if (response.status !== 401) limit.buckets.putBack(caller);
      return response;
    };
    return { wait: limit.buckets.take(caller, now), policy: limit.policy, settle };
  }
}
