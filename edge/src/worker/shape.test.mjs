// Which regular expressions can declare the shape of imported keys, and what has it: `node --test edge/src/worker/shape.test.mjs`.

import assert from "node:assert/strict";
import { performance } from "node:perf_hooks";
import { test } from "node:test";

import { declare, hasShape } from "./shape.mjs";

const LETTERS = "wUQgbtHRVvKPfWqZyLxEmJcdNsTkAoGhBrYDiXnCFuSlMzpOaIeVjQtRwKxHyLfG";

test("the shapes of other systems' keys can be declared", () => {
  for (const [source, key, other] of [
    ["[0-9A-Za-z]{24}", "MVgWNsyPmv6VthC9moCNAPwS", "MVgWNsyPmv6VthC9moCNAPw"],
    ["(acme_)?[A-Za-z]{58,64}", LETTERS, `${LETTERS}a`],
    ["(acme_)?[A-Za-z]{58,64}", `acme_${LETTERS}`, `acme-${LETTERS}`],
    ["sk_(?:live|test|dev)_[\\w\\-]{20,64}", "sk_live_0123456789-_abcdefghi", "sk_prod_0123456789-_abcdefghi"],
    ["[\\w-]+\\.[\\w-]+?", "eyJh.eyJz", "eyJh.eyJz.c2ln"],
    ["[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "0b1c2d3e-0000-4abc-8def-001122334455", "0b1c2d3e-0000-4abc-001122334455"],
    ["\\u{61}[\\]+*]{8}", "a]+*]+*]+", "a(((((((("],
    ["(?<kind>api)-key-\\p{Lu}{4}", "api-key-ABCD", "api-key-abcd"],
  ]) {
    assert.equal(declare(source), undefined, source);
    assert.deepEqual([hasShape(key), hasShape(other)], [true, false], source);
  }
});

test("the whole text must have the shape", () => {
  assert.equal(declare("abc|defg"), undefined);
  const having = ["abc", "defg", "xabc", "abcx", "xdefg", "defgx", "abc\n", ""].filter(hasShape);
  assert.deepEqual(having, ["abc", "defg"]);
});

test("without a declaration nothing has the shape, nor after one that was refused", () => {
  assert.equal(declare("abc"), undefined);
  assert.notEqual(declare("(abc"), undefined);
  assert.equal(hasShape("abc"), false);
  assert.equal(declare(""), undefined);
  assert.deepEqual([hasShape(""), hasShape("abc")], [false, false]);
});

test("what is no expression, or could take for ever, is refused in words", () => {
  for (const [source, problem] of [
    ["[a-z", /is no regular expression/],
    ["a)|(b", /is no regular expression/],
    ["a{2,1}", /is no regular expression/],
    ["\\_", /is no regular expression/],
    ["x".repeat(1_001), /at most 1000 characters/],
    ["(a+)+", /repeat no group/],
    ["(?:a|a)*", /repeat no group/],
    ["(?:[a-z]{1,64}){1,64}", /repeat no group/],
    ["(\\w)\\1", /back-references/],
    ["(?<c>\\w)\\k<c>", /back-references/],
    ["(?=a)a", /lookaround/],
    ["(?<!a)b", /lookaround/],
    [".*.*.*", /fewer parts/],
    ["a{1,1001}b{1,1001}", /fewer parts/],
    ["a{1,9}b{1,}c*", /fewer parts/],
    ["a?".repeat(20), /fewer parts/],
    ["(?:a?){30}a{30}", /no part that varies/],
    ["(?:a|a){30}", /no part that varies/],
    ["(a|a)".repeat(20), /fewer parts/],
  ]) {
    assert.match(declare(source) ?? "taken", problem, source);
    assert.equal(hasShape("aaaaaaaa"), false);
  }
});

test("the worst expression that is taken does not keep an isolate for long", () => {
  assert.equal(declare("a?a*a*b"), undefined);
  const begun = performance.now();
  assert.equal(hasShape("a".repeat(512)), false);
  const took = performance.now() - begun;
  assert.ok(took < 1_000, `${took} ms`);
  console.log(`# ${took} ms`);
});
