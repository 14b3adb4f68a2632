// Where the client's address is read from, and how it comes: `node --test edge/js/address.test.mjs`.

import assert from "node:assert/strict";
import { test } from "node:test";

import { clientAddress } from "./gateway.mjs";

const isProxy = (secret) => secret === "right";

/** The address of a request with these headers, and this one as its peer's. */
const addressOf = (client_address, headers, clientIp) => {
  const request = { headers: new Headers(headers), cf: clientIp === null ? undefined : { clientIp } };
  return clientAddress(request, { client_address }, isProxy);
};

test("a plain runtime names its peers with their ports, and IPv4 as mapped where it listens for both", () => {
  for (const [peer, address] of [
    ["127.0.0.1:4711", "127.0.0.1"],
    ["[::1]:35548", "::1"],
    ["[::ffff:127.0.0.1]:55668", "::ffff:127.0.0.1"],
    ["[2001:db8::1]:443", "2001:db8::1"],
    ["2001:db8::1", "2001:db8::1"],
    ["127.0.0.1", "127.0.0.1"],
    [undefined, undefined],
    [null, undefined],
  ]) {
    assert.equal(addressOf("peer", { "x-real-ip": "10.0.0.1", "cf-connecting-ip": "10.0.0.1" }, peer), address, peer);
  }
});

test("a proxy is believed only with its secret", () => {
  for (const [headers, address] of [
    [{ "x-keyward-proxy": "right", "x-real-ip": "2001:db8::1" }, "2001:db8::1"],
    [{ "x-keyward-proxy": "right", "x-real-ip": "10.0.0.1", "x-forwarded-for": "10.0.0.2" }, "10.0.0.1"],
    [{ "x-keyward-proxy": "right", "x-forwarded-for": "10.0.0.1, ::ffff:10.0.0.2" }, "::ffff:10.0.0.2"],
    [{ "x-keyward-proxy": "right", "cf-connecting-ip": "10.0.0.1" }, undefined],
    [{ "x-keyward-proxy": "right" }, undefined],
    [{ "x-keyward-proxy": "wrong", "x-real-ip": "10.0.0.1" }, undefined],
    [{ "x-real-ip": "10.0.0.1" }, undefined],
  ]) {
    assert.equal(addressOf("proxy", headers, "10.9.9.9:1"), address, JSON.stringify(headers));
  }
});

test("on Cloudflare it is the platform's header and no other", () => {
  assert.equal(addressOf("cloudflare", { "cf-connecting-ip": "::ffff:10.0.0.1" }, "10.9.9.9:1"), "::ffff:10.0.0.1");
  assert.equal(addressOf("cloudflare", { "x-real-ip": "10.0.0.1", "x-keyward-proxy": "right" }, "10.9.9.9:1"), undefined);
});
