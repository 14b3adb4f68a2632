// What a caller is kept from: a key from more requests than its tier has (tiers.mjs), an address from failing more often than it may (failing.mjs).
// Here is how both answer, and what they are told of the requests that pass through the entry.

import { Failing } from "./failing.mjs";
import { problem } from "./problem.mjs";
import { Tiers } from "./tiers.mjs";

/** The limits of one isolate. */
export class Limits {
  #tiers = new Tiers();
  #failing = new Failing();

  /** Reads the settings. Gives what is wrong with them, `undefined` where they can be used. */
  configure(env) {
    return this.#tiers.configure(env) ?? this.#failing.configure(env);
  }

  /** Counts a request of the key `key`. Gives 429 where its tier is used up, `undefined` where the request may go on. Never rejects. */
  async exceeded(env, tier, key, requestId) {
    const over = await this.#tiers.exceeded(env, tier, key);
    if (over === undefined) return undefined;
    return rateLimited(requestId, over.period, over.policy, `this key may make ${over.limit} requests in ${over.period} seconds`);
  }

  /**
   * A request that fails, as `decide` said, or (`lookup`) one that costs reads before it is known whether it does. Gives what `go` gives, or 429
   * where requests from its address failed too often. What did not fail in the end does not count.
   */
  failing(lookup, address, requestId, go) {
    const turn = this.#failing.take(lookup, address, Date.now());
    if (turn.wait > 0) return rateLimited(requestId, turn.wait, turn.policy, "too many requests from this address had no known API key");
    const answer = go();
    return lookup ? answer.then((response) => turn.settle(response)) : answer;
  }
}

/** 429. `policy`: see draft-ietf-httpapi-ratelimit-headers; `retryAfter` in seconds. */
function rateLimited(requestId, retryAfter, policy, detail) {
  const headers = { "retry-after": String(retryAfter), "ratelimit-policy": policy };
  return problem(429, "rate_limited", "Too many requests", requestId, { detail, headers });
}
