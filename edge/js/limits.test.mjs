// Who is kept from what, and what he is told: `node --test edge/js/limits.test.mjs`.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { beforeEach, test } from "node:test";

import { Buckets, Failing, callerOf } from "./failing.mjs";
import { Limits } from "./limits.mjs";
import { Tiers, parse } from "./tiers.mjs";

const GOLDEN = JSON.parse(readFileSync(new URL("../../shared/golden/rate-limits.json", import.meta.url)));

let now;
let warnings;

beforeEach(() => {
  now = 1_800_000_000_000;
  Date.now = () => now;
  warnings = [];
  console.warn = (line) => warnings.push(JSON.parse(line));
});

/** A binding that lets so many pass. */
const letting = (most) => {
  const asked = [];
  return { asked, limit: async ({ key }) => ({ success: asked.push(key) <= most }) };
};

test("the setting is read as the golden file says", () => {
  for (const { text, tiers } of GOLDEN.good) {
    const read = [...parse(text)].map(([name, { binding, limit, period }]) => [name, binding, limit, period]);
    assert.deepEqual(read, tiers, text);
  }
  for (const text of GOLDEN.bad) assert.throws(() => parse(text), /must be a list|twice/, text);
});

test("what cannot be used stops the Worker by the setting's name", () => {
  const GOLD = letting(1);
  const service = { fetch() {} };
  for (const [env, problem] of [
    [{ RATE_LIMITS: "gold" }, /^setting RATE_LIMITS: must be a list/],
    [{ RATE_LIMITS: { gold: 1 } }, /^setting RATE_LIMITS: must be a list/],
    [{ RATE_LIMITS: "gold=GOLD 1/60" }, /^setting RATE_LIMITS: the tier gold has no rate-limiting binding GOLD$/],
    [{ RATE_LIMITS: "gold=GOLD 1/60", GOLD: "text" }, /no rate-limiting binding/],
    [{ RATE_LIMITS: "gold=GOLD 1/60", GOLD: service }, /no rate-limiting binding/],
    [{ RATE_LIMITS: "gold=GOLD 1/60", GOLD, RATE_LIMIT_DEFAULT: "free" }, /^setting RATE_LIMIT_DEFAULT: is no tier/],
    [{ RATE_LIMIT_DEFAULT: "free" }, /^setting RATE_LIMIT_DEFAULT: is no tier/],
    [{ FAILED_KEYS: "many" }, /^setting FAILED_KEYS: must be off, or/],
    [{ FAILED_KEYS: 5 }, /^setting FAILED_KEYS: must be off, or/],
    [{ FAILED_KEYS: "0/60" }, /^setting FAILED_KEYS/],
    [{ FAILED_LOOKUPS: "60/0" }, /^setting FAILED_LOOKUPS/],
    [{ FAILED_LOOKUPS: "1/60 " }, undefined],
    [{ FAILED_LOOKUPS: "off", FAILED_KEYS: "" }, undefined],
    [{ RATE_LIMITS: "gold=GOLD 1/60", GOLD, RATE_LIMIT_DEFAULT: " gold " }, undefined],
    [{}, undefined],
  ]) {
    const said = new Limits().configure(env);
    if (problem === undefined) assert.equal(said, undefined);
    else assert.match(said ?? "taken", problem);
  }
});

test("a key is counted by its tier, and told what that allows", async () => {
  const env = { RATE_LIMITS: "free=FREE 2/10, gold=GOLD 3/60", FREE: letting(2), GOLD: letting(3) };
  const limits = new Limits();
  assert.equal(limits.configure(env), undefined);
  const ask = (tier) => limits.exceeded(env, tier, "key_1", "r");
  const said = [];
  for (const tier of ["free", "free", "free", "gold"]) said.push((await ask(tier))?.status);
  assert.deepEqual(said, [undefined, undefined, 429, undefined]);
  assert.deepEqual([env.FREE.asked, env.GOLD.asked], [["key_1", "key_1", "key_1"], ["key_1"]]);
  const refused = await ask("free");
  const header = (name) => refused.headers.get(name);
  assert.deepEqual([header("retry-after"), header("ratelimit-policy"), header("cache-control")], ["10", '"free";q=2;w=10', "no-store"]);
  assert.deepEqual([header("content-type"), header("x-request-id")], ["application/problem+json", "r"]);
  const { type, status, code, request_id } = await refused.json();
  assert.deepEqual([type, status, code, request_id], ["urn:keyward:problem:rate_limited", 429, "rate_limited", "r"]);
});

test("a tier that nobody declared is the default one, or none, and told once in a while", async () => {
  const env = { RATE_LIMITS: "free=FREE 1/60", FREE: letting(0) };
  const tiers = new Tiers();
  assert.equal(tiers.configure(env), undefined);
  assert.equal(await tiers.exceeded(env, "platinum", "k"), undefined);
  assert.equal(await tiers.exceeded(env, "platinum", "k"), undefined);
  assert.deepEqual(warnings, [{ level: "warn", event: "rate_limit", tier: "platinum", problem: "is no tier of RATE_LIMITS" }]);
  assert.equal(tiers.configure({ ...env, RATE_LIMIT_DEFAULT: "free" }), undefined);
  assert.equal((await tiers.exceeded(env, "platinum", "k")).policy, '"free";q=1;w=60');
  now += 10_000;
  await tiers.exceeded(env, "platinum", "k");
  assert.equal(warnings.length, 2);
});

test("a binding that fails, hangs or talks nonsense holds up nobody", async () => {
  for (const [limit, problem] of [
    [async () => Promise.reject(new Error("overloaded")), /overloaded/],
    [() => { throw new Error("broken"); }, /broken/],
    [() => new Promise(() => {}), /no answer in time/],
    [async () => undefined, /./],
    [async () => ({ success: "yes" }), /not one of a rate-limiting binding/],
  ]) {
    const env = { RATE_LIMITS: "free=FREE 1/60", FREE: { limit } };
    const tiers = new Tiers();
    tiers.configure(env);
    const begun = performance.now();
    assert.equal(await tiers.exceeded(env, "free", "k"), undefined);
    assert.ok(performance.now() - begun < 1_000);
    assert.match(warnings.pop().problem, problem);
  }
});

test("a caller may fail so often at once, and then as often again in each period", () => {
  const buckets = new Buckets(60, 60);
  const take = (after, caller = "a") => buckets.take(caller, now + after);
  for (let n = 0; n < 60; n += 1) assert.equal(take(0), 0);
  assert.deepEqual([take(0), take(0), take(0, "b")], [1, 1, 0], "being refused costs nothing, and others have their own");
  assert.equal(take(1_000), 0);
  assert.equal(take(1_000), 1);
  for (let n = 0; n < 60; n += 1) assert.equal(take(100_000), 0);
  assert.equal(take(100_000), 1, "it holds no more than that");
  assert.deepEqual([take(-3_600_000), take(-3_599_000)], [1, 0], "a clock that was set back shuts nobody out for longer");
  assert.equal(take(-3_599_000), 1);
  buckets.putBack("a");
  assert.deepEqual([take(-3_599_000), take(-3_599_000)], [0, 1]);
  const slow = new Buckets(1, 60);
  assert.deepEqual([slow.take("a", now), slow.take("a", now), slow.take("a", now + 30_500), slow.take("a", now + 60_000)], [0, 60, 30, 0]);
});

test("so many callers are remembered and no more", () => {
  const buckets = new Buckets(1, 60);
  for (let n = 0; n < 20_000; n += 1) assert.equal(buckets.take(`caller ${n}`, now), 0);
  assert.equal(buckets.size, 10_000);
  assert.deepEqual([buckets.take("caller 19999", now), buckets.take("caller 0", now)], [60, 0]);
});

test("a caller is an address of IPv4 or a household's network of IPv6", () => {
  for (const [address, caller] of [
    ["192.0.2.1", "192.0.2.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::FFFF:192.0.2.1", "192.0.2.1"],
    ["0:0:0:0:0:ffff:192.0.2.1", "192.0.2.1"],
    ["::ffff:c000:201", "192.0.2.1"],
    ["0000:0000:0000:0000:0000:FFFF:C000:0201", "192.0.2.1"],
    ["2001:db8:0:1::1", "2001:db8:0:1"],
    ["2001:DB8:0000:0001:ffff:0:0:2", "2001:db8:0:1"],
    ["2001:db8::ffff:2", "2001:db8:0:0"],
    ["2001:db8::", "2001:db8:0:0"],
    ["::1", "0:0:0:0"],
    ["::", "0:0:0:0"],
    ["64:ff9b::192.0.2.1", "64:ff9b:0:0"],
    [undefined, ""],
    ["", ""],
    ["unknown", "unknown"],
  ]) {
    assert.equal(callerOf(address), caller, address);
  }
});

test("who fails too often is told when to come back, before anything is asked", async () => {
  const limits = new Limits();
  assert.equal(limits.configure({ FAILED_KEYS: "3/60", FAILED_LOOKUPS: "2/60" }), undefined);
  let gone = 0;
  const answers = [];
  const ask = async (lookup, status, address = "192.0.2.1") => {
    const go = async () => {
      gone += 1;
      return new Response(null, { status });
    };
    const answer = await limits.failing(lookup, address, "r", go);
    answers.push(answer.status);
    return answer;
  };
  for (let n = 0; n < 4; n += 1) await ask(false, 401);
  assert.deepEqual([answers.splice(0), gone], [[401, 401, 401, 429], 3]);
  // What was looked up and passed, or could not be looked up, did not fail.
  for (const status of [200, 503, 401, 403, 401, 401]) await ask(true, status);
  assert.deepEqual(answers.splice(0), [200, 503, 401, 403, 401, 429]);
  await ask(true, 401, "192.0.2.2");
  assert.deepEqual(answers.splice(0), [401]);
  const refused = await ask(true, 401);
  assert.deepEqual([refused.headers.get("retry-after"), refused.headers.get("ratelimit-policy")], ["30", '"failed-lookups";q=4;w=60']);
  assert.equal((await refused.json()).code, "rate_limited");
});

test("either limit can be switched off", async () => {
  const failing = new Failing();
  assert.equal(failing.configure({ FAILED_KEYS: "off", FAILED_LOOKUPS: "1/60" }), undefined);
  for (let n = 0; n < 20_000; n += 1) assert.equal(failing.take(false, "a", now).wait, 0);
  assert.deepEqual([failing.take(true, "a", now).wait, failing.take(true, "a", now).wait], [0, 60]);
});
