// When a hanging request is made, and what follows from its answer: `node --test edge/js/push.test.mjs`.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Push } from "./push.mjs";

const POLL = 10_000;
const CONFIG = { push: "/edge/push", poll_ms: POLL, feed_groups: 1 };

let now;
let warnings;

beforeEach(() => {
  now = 1_800_000_000_000;
  Date.now = () => now;
  warnings = [];
  console.warn = (line) => warnings.push(JSON.parse(line));
});

/** A world of one isolate: `asked` holds the requests that hang, `stamps` what the verifier knows of each group. */
function world({ config = CONFIG, stamps = [1] } = {}) {
  const asked = [];
  const logged = [];
  const bindings = {
    // A feed's text is its stamp here; what is not a number is not believed.
    take_feed: (group, text) => {
      if (stamps[group] === undefined || Number.isNaN(Number(text ?? 0))) return -1;
      if (Number(text) > stamps[group]) stamps[group] = Number(text);
      return stamps[group];
    },
  };
  const fetch = (name) => (url, init) =>
    new Promise((resolve, reject) => {
      const answer = (status, text = "") => resolve(new Response(status === 204 ? null : text, { status }));
      asked.push({ name, url, init, answer, fail: reject });
    });
  const env = { FEED: { idFromName: (name) => name, get: (name) => ({ fetch: fetch(name) }) } };
  const carried = [];
  const context = { waitUntil: (promise) => carried.push(promise) };
  const push = new Push({ failed: (error) => error }, bindings, (where, error) => logged.push(error));
  push.restart(config);
  return {
    push,
    asked,
    stamps,
    logged,
    bindings,
    /** A request of a client: a warm one looks only at `due`. */
    request: () => now >= push.due && push.arm(env, context),
    settled: () => new Promise((resolve) => setImmediate(resolve)),
    /** Lets everything end that hangs, so that no timer is left. */
    end: async () => {
      asked.forEach(({ answer }) => answer(204));
      await Promise.all(carried);
    },
  };
}

test("one request hangs per isolate, however many clients come", async () => {
  const one = world();
  for (let client = 0; client < 100; client += 1, now += 100) one.request();
  assert.equal(one.asked.length, 1);
  assert.deepEqual([one.asked[0].name, one.asked[0].url], ["0", "http://object/edge/push?group=0&known=1"]);
  assert.equal(one.push.works(), true);
  await one.end();
});

test("of several groups those in use have a request each, and each client carries one", async () => {
  const many = world({ config: { ...CONFIG, feed_groups: 4 }, stamps: [1, undefined, 0, 7] });
  const open = [1, 2, 3, 4].map(() => (many.request(), many.asked.length));
  assert.deepEqual(open, [1, 2, 3, 3]);
  assert.deepEqual(
    many.asked.map(({ name, url }) => [name, new URL(url).search]),
    [
      ["0", "?group=0&known=1"],
      ["2", "?group=2&known=0"],
      ["3", "?group=3&known=7"],
    ],
  );
  await many.end();
});

for (const [what, answer, least, most, works] of [
  ["a change", (r) => r.answer(200, "2"), 100, 100, true],
  ["no change", (r) => r.answer(204), 100, 100, true],
  ["a feed that is not believed", (r) => r.answer(200, "nonsense"), POLL, 1.5 * POLL, false],
  ["a feed that the isolate has", (r) => r.answer(200, "1"), POLL, 1.5 * POLL, false],
  ["a full object", (r) => r.answer(429), 6 * POLL, 6 * POLL, false],
  ["an object that does not push", (r) => r.answer(404), 30 * POLL, 30 * POLL, false],
  ["an object that fails", (r) => r.answer(503), POLL, 1.5 * POLL, false],
  ["a lost connection", (r) => r.fail(new Error("gone")), 0.05 * POLL, 0.15 * POLL, false],
]) {
  test(`after ${what} the next request is made in time`, async () => {
    const one = world();
    one.request();
    now += 3_000;
    answer(one.asked[0]);
    await one.settled();
    assert.deepEqual([one.push.works(), warnings.length], [works, works ? 0 : 1]);
    const answered = now;
    for (; one.asked.length === 1; now += 20) one.request();
    const pause = now - 20 - answered;
    assert.ok(pause >= least && pause <= most + 20, `${pause} ms`);
    await one.end();
  });
}

test("a connection that is lost again and again is tried again once per poll interval", async () => {
  const one = world();
  for (let second = 0; second < 600; second += 1, now += 1_000) {
    one.request();
    one.asked.forEach(({ fail }) => fail(new Error("gone")));
    await one.settled();
  }
  assert.ok(one.asked.length > 600 / 16 && one.asked.length <= 600 / 10 + 2, `${one.asked.length} requests in ten minutes`);
});

test("the next request says what the last one brought", async () => {
  const one = world();
  one.request();
  one.asked[0].answer(200, "5");
  await one.settled();
  now += 100;
  one.request();
  assert.equal(one.asked[1].url, "http://object/edge/push?group=0&known=5");
  await one.end();
});

test("an answer to an older instance changes nothing in the new one, which has a request of its own", async () => {
  const one = world();
  one.request();
  one.push.restart(CONFIG);
  assert.equal(one.push.works(), false);
  one.request();
  assert.equal(one.asked.length, 2);
  const due = one.push.due;
  one.asked[0].answer(200, "9");
  await one.settled();
  assert.deepEqual([one.stamps, one.push.due, one.push.works()], [[1], due, true]);
  one.asked[1].answer(200, "9");
  await one.settled();
  assert.deepEqual(one.stamps, [9]);
  await one.end();
});

test("a request whose end the platform never told is followed by another", async () => {
  const one = world();
  one.request();
  now += 30_999;
  one.request();
  assert.deepEqual([one.asked.length, one.push.works()], [1, true]);
  now += 1;
  assert.equal(one.push.works(), false);
  one.request();
  assert.equal(one.asked.length, 2);
  one.asked[0].answer(503);
  await one.settled();
  assert.equal(one.push.works(), true, "what the lost one is answered does not matter any more");
  await one.end();
});

test("after a failure the next request is one that is answered at once, and only the one after that is said to work", async () => {
  const one = world({ stamps: [7] });
  one.request();
  one.asked[0].fail(new Error("no answer in time"));
  await one.settled();
  for (const [answer, status] of [["nonsense", 200], ["", 503], ["7", 200]]) {
    now += 1.5 * POLL;
    one.request();
    assert.equal(one.asked.at(-1).url, "http://object/edge/push?group=0&known=0");
    assert.equal(one.push.works(), false, "it hangs, which an object that answers nobody lets it do, too");
    one.asked.at(-1).answer(status, answer);
    await one.settled();
    assert.equal(one.push.works(), false);
  }
  now += 100;
  one.request();
  assert.equal(one.asked.at(-1).url, "http://object/edge/push?group=0&known=7");
  assert.equal(one.push.works(), true);
  now += 26_999;
  assert.equal(one.push.works(), true);
  await one.end();
});

test("a failure is told when it begins and when it ends", async () => {
  const one = world();
  for (const status of [503, 503, 204, 204, 503]) {
    one.request();
    one.asked.at(-1).answer(status);
    await one.settled();
    now += 1.5 * POLL;
  }
  assert.deepEqual(warnings.map(({ failure }) => failure), ["status 503", null, "status 503"]);
});

test("a success of a moment ago counts for half a minute", async () => {
  const one = world();
  one.request();
  one.asked[0].answer(204);
  await one.settled();
  now += 29_999;
  assert.equal(one.push.works(), true);
  now += 1;
  assert.equal(one.push.works(), false);
});

test("where push is off, or nothing is known of any group, nothing is asked", () => {
  for (const off of [world({ config: { ...CONFIG, push: "" } }), world({ stamps: [] })]) {
    off.request();
    assert.deepEqual([off.asked.length, off.push.works(), off.push.due], [0, false, Infinity]);
  }
});

test("an instance that is lost while it is asked costs no client its answer", () => {
  const one = world();
  one.bindings.take_feed = () => {
    throw new WebAssembly.RuntimeError("unreachable");
  };
  one.request();
  assert.deepEqual([one.asked.length, one.logged.length], [0, 1]);
});
