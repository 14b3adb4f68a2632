// What the edge's reads give when store and objects misbehave: `node --test edge/js/io.test.mjs`.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ask, note, stored } from "../src/worker/io.mjs";

const LIMIT = 60;
/** What a busy machine may add. */
const MARGIN = 400;

const fails = () => {
  throw new Error("KV GET failed: 500");
};
const never = () => new Promise(() => {});

/** The bindings as one request sees them, whose store and objects answer with `answer`. */
function bindings(answer) {
  const object = { fetch: answer };
  const namespace = { idFromName: (name) => name, get: () => object };
  return { KEYS: { get: answer }, SHARDS: namespace, FEED: namespace, REGISTRY: namespace, noted: { reads: [] } };
}

async function timed(work) {
  const begun = Date.now();
  const value = await work();
  return { value, ms: Date.now() - begun };
}

for (const [what, answer, value, got] of [
  ["that has the value", async () => "text", "text", "found"],
  ["that has an empty value", async () => "", "", "found"],
  ["that says there is nothing", async () => null, null, "nothing"],
  ["that throws at once", fails, undefined, "failed"],
  ["that fails", async () => fails(), undefined, "failed"],
  ["that hangs", never, undefined, "failed"],
]) {
  test(`a store ${what} gives ${JSON.stringify(value)} within the limit`, async () => {
    const env = bindings(answer);
    const read = await timed(() => stored(env, "k:abcd", 300, LIMIT));
    assert.equal(read.value, value);
    assert.ok(read.ms < LIMIT + MARGIN, `${read.ms} ms`);
    assert.deepEqual(env.noted.reads.map((one) => [one.read, one.got]), [["kv-record", got]]);
  });
}

const respond = (status, text) => async () => new Response(status === 204 ? null : text, { status });

for (const [what, answer, value, got] of [
  ["that answers", respond(200, "text"), "text", "found"],
  ["that has nothing to say", respond(204), "", "found"],
  ["that does not know the path", respond(404, "?"), undefined, "failed"],
  ["that is overloaded", respond(429, "?"), undefined, "failed"],
  ["that fails", respond(500, "?"), undefined, "failed"],
  ["that is not there", respond(503, "?"), undefined, "failed"],
  ["that leads elsewhere", respond(302, ""), undefined, "failed"],
  ["that throws", async () => fails(), undefined, "failed"],
  ["whose binding throws", fails, undefined, "failed"],
  ["that hangs", never, undefined, "failed"],
  ["whose body hangs", async () => ({ status: 200, text: never }), undefined, "failed"],
]) {
  test(`an object ${what} gives ${JSON.stringify(value)} within the limit`, async () => {
    const env = bindings(answer);
    const read = await timed(() => ask(env, "SHARDS", "abcd", "/edge/resolve", "{}", LIMIT));
    assert.equal(read.value, value);
    assert.ok(read.ms < LIMIT + MARGIN, `${read.ms} ms`);
    assert.deepEqual(env.noted.reads.map((one) => [one.read, one.got]), [["shard", got]]);
  });
}

test("an object that is given up is told so", async () => {
  let signal;
  const env = bindings((url, init) => {
    signal = init.signal;
    return never();
  });
  await ask(env, "FEED", "0", "/edge/feed?group=0", undefined, LIMIT);
  assert.equal(signal.aborted, true);
});

test("what is read is told by what it is, and where nobody takes notes none are taken", async () => {
  const env = bindings(async () => "text");
  for (const name of ["k:abcd", "i:00", "f:0", "p:policy"]) await stored(env, name, 30, LIMIT);
  env.SHARDS.get = env.FEED.get = env.REGISTRY.get = () => ({ fetch: respond(200, "") });
  for (const binding of ["SHARDS", "FEED", "REGISTRY"]) await ask(env, binding, "0", "/", undefined, LIMIT);
  assert.deepEqual(
    env.noted.reads.map(({ read }) => read),
    ["kv-record", "kv-record", "kv-feed", "kv-policy", "shard", "feed", "registry"],
  );
  note(env, "code", "key_revoked");
  assert.equal(env.noted.code, "key_revoked");
  const without = { KEYS: env.KEYS };
  assert.equal(await stored(without, "k:abcd", 30, LIMIT), "text");
  note(without, "code", "key_revoked");
  assert.deepEqual(Object.keys(without), ["KEYS"]);
});
