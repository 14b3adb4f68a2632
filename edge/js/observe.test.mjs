// What is told of requests, and when: `node --test edge/js/observe.test.mjs`.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Observer, route } from "./observe.mjs";
import { problem } from "./problem.mjs";

const SECOND = 1_000;
const KEY = "kw_live_MDeuq7Rm2ZxV0bTgYc9LwN4sKd8HfA1eHJcGDjP1R2TU5";

let now;
let lines;

beforeEach(() => {
  now = 1_800_000_000_000;
  Date.now = () => now;
  lines = [];
  console.log = (line) => lines.push(line);
});

const told = () => lines.map((line) => JSON.parse(line));

/** An isolate with these settings. */
function isolate(settings = {}) {
  const failures = [];
  const carried = [];
  const observer = new Observer(
    (method, path) => (path.startsWith("/orders") ? "3 /orders/**" : ""),
    (where, error) => failures.push(String(error)),
  );
  const error = observer.configure(settings);
  const request = (target = "/orders/1?secret=1", init = {}) => {
    const made = new Request("http://edge.example" + target, init);
    made.cf = { colo: "FRA" };
    return made;
  };
  const context = { waitUntil: (promise) => carried.push(promise) };
  const details = (made, more = {}) => ({ requestId: "r-1", ...route(made, new URL(made.url).pathname, "original"), begun: now, ...more });
  return {
    observer,
    error,
    failures,
    carried,
    request,
    /** A request that reads, or is refused; `work` is what happens on its way, with its notes. */
    slow(made, work) {
      const observed = observer.begin(made, settings, context, details(made));
      return observed.answered(work(observed));
    },
    /** A request that passed at once. */
    warm(made, response, more = { code: "allowed", identity: { owner: "ann", company: "acme", key: "key_1" } }) {
      const observed = observer.passed(made, settings, context, () => details(made, more));
      return observed === undefined ? response : observed.answered(response);
    },
  };
}

/** A dataset of Analytics Engine that remembers. */
function dataset() {
  const points = [];
  return { points, writeDataPoint: (point) => points.push(point) };
}

/** A refusal as WebAssembly answers it. */
function refuse(code, status, identity) {
  return ({ env }) => {
    env.noted.code = code;
    if (identity !== undefined) env.noted.identity = identity;
    return new Response("{}", { status });
  };
}

const revoked = refuse("key_revoked", 401, "ann\nacme\nkey_1");

test("a refused request is one line with all that is known of it", () => {
  const one = isolate();
  one.slow(one.request(), ({ env }) => {
    now += 7;
    env.noted.reads.push({ read: "kv-record", ms: 7, got: "found" });
    return revoked({ env });
  });
  assert.deepEqual(told(), [
    {
      level: "info",
      event: "refused",
      request_id: "r-1",
      code: "key_revoked",
      status: 401,
      endpoint: "gateway",
      method: "GET",
      key: "key_1",
      owner: "ann",
      company: "acme",
      rule: 3,
      rule_path: "/orders/**",
      decide_ms: 7,
      reads: [{ read: "kv-record", ms: 7, got: "found" }],
      colo: "FRA",
    },
  ]);
  assert.deepEqual(one.failures, []);
});

test("of a request without a real key nothing is told that it only claims", () => {
  const one = isolate();
  one.slow(one.request("/x", { headers: { "x-api-key": KEY } }), refuse("malformed_key", 401));
  const [line] = told();
  assert.deepEqual(Object.keys(line), ["level", "event", "request_id", "code", "status", "endpoint", "method", "decide_ms", "colo"]);
  assert.ok(!lines[0].includes(KEY));
});

test("what the edge cannot do is a warning, what it refuses is not", () => {
  const one = isolate();
  one.slow(one.request(), refuse("verifier_unavailable", 503));
  one.slow(one.request(), refuse("permission_denied", 403));
  assert.deepEqual(told().map(({ level }) => level), ["warn", "info"]);
});

test("a problem that JavaScript answers with is told by its code, an origin's own answer of the same status is not", async () => {
  const one = isolate();
  const passes = (response) => (observed) => {
    observed.env.noted.identity = "ann\nacme\nkey_1";
    observed.decided("allowed");
    return Promise.resolve(response);
  };
  await one.slow(one.request(), passes(problem(504, "origin_timeout", "late", "r1")));
  await one.slow(one.request(), passes(new Response("busy", { status: 504 })));
  assert.deepEqual(told().map(({ event, code, key }) => [event, code, key]), [["refused", "origin_timeout", "key_1"]]);
});

test("refusals are not told where that is off", () => {
  const one = isolate({ LOG_REFUSED: "off" });
  one.slow(one.request(), revoked);
  assert.deepEqual(lines, []);
});

test("as shipped nothing is told of what passes, and nothing is done for it", () => {
  const one = isolate();
  assert.equal(one.observer.active, false);
  const response = new Response("yes");
  assert.equal(one.warm(one.request(), response), response);
  assert.deepEqual(lines, []);
});

test("of what passes a sample is told, with the time until the origin began to answer", async () => {
  const one = isolate({ LOG_ALLOWED_SAMPLE: "1" });
  assert.equal(one.observer.active, true);
  const answer = one.warm(one.request(), new Promise((resolve) => setImmediate(() => ((now += 30), resolve(new Response("yes"))))));
  await answer;
  const [line] = told();
  assert.deepEqual([line.event, line.code, line.status, line.key, line.origin_ms], ["allowed", "allowed", 200, "key_1", 30]);
});

test("the sample is as large as it should be", () => {
  const one = isolate({ LOG_ALLOWED_SAMPLE: "0.25", LOG_LINES_PER_S: "1000" });
  for (let request = 0; request < 4_000; request += 1, now += 10) one.warm(one.request(), new Response());
  assert.ok(lines.length > 800 && lines.length < 1_200, `${lines.length} of 4000`);
});

test("that something does not answer is told also of requests that pass all the same", () => {
  const one = isolate();
  const passes = (got) => (observed) => {
    observed.env.noted.reads.push({ read: "kv-feed", ms: 3, got });
    observed.decided("allowed");
    return new Response("yes");
  };
  for (const got of ["failed", "found", "nothing"]) one.slow(one.request(), passes(got));
  assert.deepEqual(told().map(({ level, event, reads }) => [level, event, reads[0].got]), [["warn", "allowed", "failed"]]);
  const off = isolate({ LOG_REFUSED: "off" });
  off.slow(off.request(), passes("failed"));
  assert.equal(lines.length, 1);
});

test("what passes without an identity is told by what let it pass", () => {
  const one = isolate({ LOG_ALLOWED_SAMPLE: "1" });
  one.warm(one.request(), new Response(), { code: "anonymous" });
  one.warm(one.request(), new Response(), { code: "bearer" });
  one.slow(one.request("/.keyward/forward-auth/original", { headers: { "x-original-method": "GET", "x-original-uri": "/orders/2?q" } }), ({ env }) => {
    env.noted.identity = "ann\nacme\nkey_1";
    return new Response();
  });
  assert.deepEqual(
    told().map(({ endpoint, code, owner, rule }) => [endpoint, code, owner, rule]),
    [
      ["gateway", "anonymous", undefined, 3],
      ["gateway", "bearer", undefined, 3],
      ["forward-auth", "allowed", "ann", 3],
    ],
  );
});

test("who only asks how the edge is, is not told of", () => {
  const one = isolate({ LOG_ALLOWED_SAMPLE: "1", ANALYTICS: dataset() });
  one.slow(one.request("/.keyward/health"), () => new Response("{}", { status: 503 }));
  assert.deepEqual(lines, []);
});

test("a flood of refusals is cut off, and how many were left out is told when the second is over", async () => {
  const one = isolate({ LOG_LINES_PER_S: "5" });
  for (let request = 0; request < 1_000; request += 1) one.slow(one.request(), revoked);
  assert.equal(lines.length, 5);
  assert.equal(one.carried.length, 1, "one task, however many are left out");
  now += SECOND;
  one.slow(one.request(), revoked);
  assert.deepEqual(told()[5], { level: "warn", event: "left_out", of: "refused", lines: 995 });
  assert.equal(lines.length, 7);
  await one.carried[0];
  assert.equal(lines.length, 7, "it is told once");
});

test("how many were left out is told although nobody comes any more", async () => {
  const one = isolate({ LOG_LINES_PER_S: "1" });
  for (let request = 0; request < 3; request += 1) one.slow(one.request(), revoked);
  await one.carried[0];
  assert.deepEqual(told()[1], { level: "warn", event: "left_out", of: "refused", lines: 2 });
});

test("a flood of refusals leaves room for the sample of what passes", () => {
  const one = isolate({ LOG_LINES_PER_S: "1", LOG_ALLOWED_SAMPLE: "1" });
  for (let request = 0; request < 10; request += 1) one.slow(one.request(), revoked);
  one.warm(one.request(), new Response());
  assert.deepEqual(told().map(({ event }) => event), ["refused", "allowed"]);
});

test("a path is told only where that is on, and without query, keys and control characters", () => {
  const hostile = isolate({ LOG_PATHS: "on" });
  const ask = (uri) => {
    const headers = { "x-original-method": "GET", "x-original-uri": uri };
    hostile.slow(hostile.request("/.keyward/forward-auth/original", { headers }), refuse("missing_credentials", 401));
  };
  const quiet = isolate();
  quiet.slow(quiet.request(), revoked);
  for (const uri of ["/orders/1?token=1#x", `/keys/${KEY}/x`, `/keys/${KEY.replace("_", "%5F").replace("Z", "%5A")}`, "/a\u0085b\u009b31m"]) ask(uri);
  ask("/" + "a/".repeat(2_000));
  assert.deepEqual(told().slice(0, 4).map(({ path }) => path), [undefined, "/orders/1", "/keys/kw_live_[long]/x", "[encoded]"]);
  assert.ok(!/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(lines.join("")));
  assert.equal(told()[4].path, "/a\u0085b\u009b31m", "escaped, not lost");
  assert.equal(told()[5].path.length, 1_024);
});

test("a method that is none is not repeated", () => {
  const one = isolate();
  const headers = { "x-original-method": `GET ${KEY}`, "x-original-uri": "/orders/1" };
  one.slow(one.request("/.keyward/forward-auth/original", { headers }), refuse("invalid_request", 400));
  assert.equal(told()[0].method, "other");
});

test("a preflight is told by the rule of the request that it announces", () => {
  const announced = { method: "OPTIONS", headers: { "access-control-request-method": "PUT" } };
  const request = { method: "OPTIONS", headers: new Headers({ ...announced.headers, origin: "https://app.example" }) };
  assert.equal(route(request, "/orders", "").method, "PUT");
  assert.equal(route({ method: "OPTIONS", headers: new Headers(announced.headers) }, "/orders", "").method, "OPTIONS");
});

test("a path with two readings has no rule", () => {
  const one = isolate();
  one.slow(one.request("/orders//1"), refuse("ambiguous_path", 400));
  assert.equal(told()[0].rule, undefined);
});

test("counters say code, key, rule and place, with the weight of the sample", () => {
  const ANALYTICS = dataset();
  const one = isolate({ ANALYTICS, ANALYTICS_SAMPLE: "0.5", LOG_REFUSED: "off" });
  one.slow(one.request(), revoked);
  for (let request = 0; request < 1_000; request += 1) one.warm(one.request(), new Response());
  assert.deepEqual(ANALYTICS.points[0], {
    indexes: ["acme"],
    blobs: ["key_revoked", "key_1", "3 /orders/**", "FRA", "acme"],
    doubles: [1, 0, 0],
  });
  const passed = ANALYTICS.points.slice(1);
  assert.ok(passed.length > 400 && passed.length < 600, `${passed.length} of 1000`);
  assert.ok(passed.every(({ blobs, doubles }) => blobs[0] === "allowed" && doubles[0] === 2));
  assert.deepEqual(lines, []);
});

test("a company with a long name has an index that fits", () => {
  const ANALYTICS = dataset();
  const one = isolate({ ANALYTICS });
  one.slow(one.request(), refuse("key_revoked", 401, `ann\n${"c".repeat(128)}\nkey_1`));
  one.slow(one.request(), refuse("missing_credentials", 401));
  assert.deepEqual(ANALYTICS.points.map(({ indexes, blobs }) => [indexes[0].length, blobs[4].length]), [[96, 128], [1, 0]]);
});

test("a dataset that fails costs no request its answer", () => {
  const one = isolate({ ANALYTICS: { writeDataPoint: () => { throw new Error("too many"); } } }); // prettier-ignore
  const answer = one.slow(one.request(), revoked);
  assert.deepEqual([answer.status, one.failures], [401, ["Error: too many"]]);
});

test("how long it took is answered only where it is asked for", async () => {
  const asks = { headers: { "x-keyward-timing": "1" } };
  for (const [setting, init, expected] of [
    ["off", asks, null],
    ["", asks, null],
    ["asked", {}, null],
    ["asked", asks, 'keyward;dur=0;desc="warm"'],
    ["on", {}, 'keyward;dur=0;desc="warm"'],
  ]) {
    const one = isolate({ SERVER_TIMING: setting });
    const answer = await one.warm(one.request("/orders/1", init), Promise.resolve(new Response("yes", { status: 201, headers: { a: "b" } })));
    assert.deepEqual([answer.headers.get("server-timing"), answer.status, answer.headers.get("a")], [expected, 201, "b"], setting);
    assert.equal(await answer.text(), "yes");
  }
});

test("what was read is part of the timing, and an origin's own timing stays", async () => {
  const one = isolate({ SERVER_TIMING: "on" });
  const answer = await one.slow(one.request(), (observed) => {
    now += 12;
    observed.env.noted.reads.push({ read: "kv-record", ms: 5, got: "nothing" }, { read: "shard", ms: 7, got: "found" });
    observed.env.noted.identity = "ann\nacme\nkey_1";
    observed.decided("allowed");
    now += 100;
    return Promise.resolve(new Response("", { headers: { "server-timing": "db;dur=3" } }));
  });
  assert.equal(answer.headers.get("server-timing"), 'db;dur=3, keyward;dur=12;desc="cold", keyward-kv-record;dur=5, keyward-shard;dur=7');
});

test("an answer that switches protocols is left alone", () => {
  const one = isolate({ SERVER_TIMING: "on" });
  const socket = { status: 101, webSocket: {} };
  assert.equal(one.warm(one.request(), socket), socket);
});

test("notes of one request are not those of another", async () => {
  const one = isolate();
  const first = one.slow(one.request(), async ({ env }) => {
    await new Promise((resolve) => setImmediate(resolve));
    return refuse("key_expired", 401, "bob\nacme\nkey_2")({ env });
  });
  one.slow(one.request(), revoked);
  await first;
  assert.deepEqual(told().map(({ code, key }) => [code, key]), [["key_revoked", "key_1"], ["key_expired", "key_2"]]);
});

test("the bindings are reached through what takes notes", () => {
  const KEYS = {};
  const one = isolate({ KEYS });
  one.slow(one.request(), ({ env }) => {
    assert.equal(env.KEYS, KEYS);
    return new Response();
  });
});

for (const [name, value] of [
  ["LOG_REFUSED", "yes"],
  ["LOG_ALLOWED_SAMPLE", "1.5"],
  ["LOG_ALLOWED_SAMPLE", "-0"],
  ["LOG_ALLOWED_SAMPLE", "1e-3"],
  ["LOG_ALLOWED_SAMPLE", "all"],
  ["LOG_PATHS", "1"],
  ["LOG_LINES_PER_S", "0"],
  ["LOG_LINES_PER_S", "1001"],
  ["LOG_LINES_PER_S", "2.5"],
  ["ANALYTICS_SAMPLE", "100%"],
  ["ANALYTICS", "a text"],
  ["SERVER_TIMING", "sometimes"],
]) {
  test(`${name} of ${value} is named as bad`, () => {
    const { error } = isolate({ [name]: value });
    assert.match(error, new RegExp(`^setting ${name}: must be `));
  });
}

test("before the settings could be read nothing is told, and the answer is given all the same", () => {
  const one = isolate({ LOG_PATHS: "?" });
  assert.equal(one.slow(one.request(), revoked).status, 401);
  assert.deepEqual([lines, one.failures], [[], []]);
});
