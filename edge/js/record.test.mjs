// `node --test edge/js/record.test.mjs`: what comes of reading a record.

import assert from "node:assert/strict";
import test from "node:test";

import { readRecord } from "./record.mjs";

const answering = (get) => ({ KEYS: { get } });
const bytes = new TextEncoder().encode("1.a.{}");

for (const [what, get, got, length] of [
  ["what is there is given as bytes", async () => bytes.buffer, "found", bytes.length],
  ["that there is nothing is known", async () => null, "nothing", undefined],
  ["a store that fails is no answer", async () => Promise.reject(new Error("overloaded")), "failed", undefined],
  ["a store that is not there is no answer", () => { throw new TypeError("no function"); }, "failed", undefined],
  ["a store that is silent is no answer once the time is over", () => new Promise(() => {}), "failed", undefined],
]) {
  test(what, async () => {
    const read = await readRecord(answering(get), "k:name", 20, 300);
    assert.equal(read.got, got);
    assert.equal(read.bytes?.length, length);
    assert.ok(read.ms >= 0 && read.begun <= Date.now());
  });
}

test("the store is told the name, and for how long the location may keep what it has", async () => {
  const asked = [];
  const get = async (...args) => (asked.push(args), null);
  await readRecord(answering(get), "k:name", 20, 300);
  assert.deepEqual(asked, [["k:name", { type: "arrayBuffer", cacheTtl: 300 }]]);
});
