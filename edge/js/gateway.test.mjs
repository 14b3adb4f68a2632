// What the gateway changes in headers, case by case: `node --test edge/js/gateway.test.mjs`. What needs the runtime is tried end to end.

import assert from "node:assert/strict";
import { test } from "node:test";

import { isKnownRemoved, isRemoved, privateCacheControl } from "./gateway.mjs";
import { hasPassed, notePassage } from "./loop.mjs";

test("what could pass for Keyward's own or lead somewhere else is removed, however it is spelled", () => {
  for (const name of [
    "x-keyward-owner",
    "x_keyward_owner",
    "x-keyward_owner",
    "x.keyward.owner",
    "x~keyward!owner",
    "x-keyward-",
    "x-forwarded-for",
    "x_forwarded_user",
    "x-forwarded-prefix",
    "x-api-key",
    "x_api_key",
    "authorization",
    "connection",
    "te",
    "expect",
    "x-original-url",
    "x.original.url",
    "x-http-method-override",
    "cf-connecting-ip",
  ]) {
    assert.ok(isRemoved(name), name);
  }
  for (const name of ["x-keyward", "xkeyward-owner", "x-forwarded", "x-original-filename", "accept", "cookie", "content-length", "range"]) {
    assert.ok(!isRemoved(name), name);
  }
});

test("what is remembered of names is what is said of them, however many and long they are", () => {
  const filled = Array.from({ length: 5_000 }, (_, number) => [`x-made-up-${number}`, `x_keyward_${number}`, `x-forwarded-${"a".repeat(number)}`]).flat();
  for (const name of [...filled, ...filled, "accept", "x_api_key", "__proto__", "constructor", ""]) {
    for (let time = 0; time < 2; time += 1) assert.equal(isKnownRemoved(name), isRemoved(name), name);
  }
});

test("what is said to shared caches is removed and what is said to private ones is kept", () => {
  for (const [value, expected] of [
    [null, "private"],
    ["", "private"],
    [" , ,", "private"],
    ["public", "private"],
    ["PUBLIC, Max-Age=5", "private, Max-Age=5"],
    ['private="a, b", no-cache="c, public", max-age=1', 'private, no-cache="c, public", max-age=1'],
    ["no-store", "private, no-store"],
    ["s-maxage=9,immutable", "private, immutable"],
    ['no-cache="unfinished, public', 'private, no-cache="unfinished, public'],
  ]) {
    assert.equal(privateCacheControl(value), expected, value);
  }
});

test("a deployment knows its own name among others in CDN-Loop", () => {
  const request = (value) => new Request("http://edge/", { headers: value === undefined ? {} : { "cdn-loop": value } });
  for (const [value, passed] of [
    [undefined, false],
    ["", false],
    ["keyward-abcdefg", true],
    ["other, keyward-abcdefg; loops=1", true],
    ["keyward-abcdefgh, keyward-abcdef", false],
    ["KEYWARD-ABCDEFG", false],
    ["other; note=keyward-abcdefg", false],
  ]) {
    assert.equal(hasPassed(request(value), "keyward-abcdefg"), passed, value);
    const headers = new Headers();
    notePassage(headers, request(value), "keyward-abcdefg");
    assert.equal(headers.get("cdn-loop"), value ? `${value}, keyward-abcdefg` : "keyward-abcdefg");
    assert.ok(hasPassed(new Request("http://edge/", { headers }), "keyward-abcdefg"));
  }
});
