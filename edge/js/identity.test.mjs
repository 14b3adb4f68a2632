// What the origin is told of a key, when it is signed anew, and which settings are refused: `node --test edge/js/identity.test.mjs`.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { Identities } from "./identity.mjs";

/** The private key of RFC 7517, appendix A.2, without its name. */
const FIRST = {
  kty: "EC",
  crv: "P-256",
  x: "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
  y: "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
  d: "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE",
};
const THUMBPRINT = "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s";
/** The private key of RFC 7515, appendix A.3. */
const SECOND = {
  kty: "EC",
  crv: "P-256",
  x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
  y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
  d: "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
  kid: "second",
};
const NOW = 1_800_000_000_000;
const TEXT = 'ann\nacme\nkey_1\n\n0\norders.* orders.read\n{"plan":"pro"}';

let sign;

beforeEach(() => {
  sign = mock.method(crypto.subtle, "sign");
});

afterEach(() => mock.restoreAll());

async function identities(settings = { IDENTITY_KEYS: JSON.stringify([FIRST]) }) {
  const all = new Identities();
  assert.equal(all.configure(settings), undefined);
  assert.equal(await all.ready(), undefined);
  sign.mock.resetCalls();
  return all;
}

/** Header and claims of the token that is sent; its signature must be that of `jwk`. */
async function opened(identity, jwk = FIRST) {
  const [[, token]] = identity.headers.filter(([name]) => name === "x-keyward-identity");
  const [header, payload, signature] = token.split(".").map((part) => Buffer.from(part, "base64url"));
  assert.ok(/^[\w-]+\.[\w-]+\.[\w-]{86}$/.test(token), token);
  const { d, ...numbers } = jwk;
  const key = await crypto.subtle.importKey("jwk", numbers, { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"]);
  const signed = Buffer.from(token.slice(0, token.lastIndexOf(".")));
  assert.ok(await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, signature, signed));
  return [JSON.parse(header), JSON.parse(payload)];
}

test("without keys there are the plain headers, and nothing to wait for", async () => {
  for (const keys of [undefined, "", "  "]) {
    const identity = (await identities({ IDENTITY_KEYS: keys })).of(1, () => TEXT);
    assert.ok(identity.isGood(NOW));
    assert.deepEqual(identity.headers, [
      ["x-keyward-owner", "ann"],
      ["x-keyward-company", "acme"],
      ["x-keyward-key", "key_1"],
    ]);
  }
});

test("a token says who acts, for whom it is, and for how long", async () => {
  const identity = (await identities()).of(1, () => TEXT);
  assert.equal(identity.isGood(NOW), false);
  await identity.renew(NOW + 999);
  assert.deepEqual(identity.headers.map(([name]) => name), ["x-keyward-owner", "x-keyward-company", "x-keyward-key", "x-keyward-identity"]);
  assert.deepEqual(await opened(identity), [
    { alg: "ES256", typ: "JWT", kid: THUMBPRINT },
    {
      iss: "keyward",
      aud: "keyward-origin",
      sub: "ann",
      company: "acme",
      permissions: ["orders.*", "orders.read"],
      act: { sub: "key_1" },
      iat: NOW / 1000,
      exp: NOW / 1000 + 60,
    },
  ]);
});

test("issuer and audience are settings, and nobody's permissions are an empty list", async () => {
  const keys = JSON.stringify({ keys: [SECOND] });
  const all = await identities({ IDENTITY_KEYS: keys, IDENTITY_ISSUER: " https://edge.example ", IDENTITY_AUDIENCE: "orders" });
  const identity = all.of(1, () => "ann\nacme\nkey_1\n\n0\n\n{}");
  await identity.renew(NOW);
  const [{ kid }, { iss, aud, permissions }] = await opened(identity, SECOND);
  assert.deepEqual([kid, iss, aud, permissions], ["second", "https://edge.example", "orders", []]);
});

test("a token is sent for half of its life, so that the origin has the other half", async () => {
  const identity = (await identities()).of(1, () => TEXT);
  await identity.renew(NOW);
  assert.deepEqual([0, 29_999, 30_000].map((later) => identity.isGood(NOW + later)), [true, true, false]);
  assert.deepEqual([-5_000, -5_001].map((later) => identity.isGood(NOW + later)), [true, false], "a clock that was put back");
  await identity.renew(NOW + 30_000);
  assert.equal((await opened(identity))[1].exp, NOW / 1000 + 90);
  assert.equal(identity.isGood(NOW + 59_999), true);
});

test("a token never outlives its key, and is not signed again where that would change nothing", async () => {
  for (const [left, iat, exp] of [
    [60_000, 0, 60],
    [45_999, 0, 45],
    [1_000, 0, 1],
    [400, 0, 0],
  ]) {
    const identity = (await identities()).of(1, () => `ann\nacme\nkey_1\n\n${NOW + left}\n\n{}`);
    await identity.renew(NOW);
    const [, claims] = await opened(identity);
    assert.deepEqual([claims.iat - NOW / 1000, claims.exp - NOW / 1000], [iat, exp], `${left} ms`);
    assert.deepEqual([left - 1, left].map((later) => identity.isGood(NOW + later)), [true, false], `${left} ms`);
  }
});

test("a thousand requests with one key are signed for once, and those after them too", async () => {
  const all = await identities();
  const identity = all.of(7, () => TEXT);
  await Promise.all(Array.from({ length: 1000 }, () => identity.renew(NOW)));
  const again = all.of(7, () => assert.fail("it is asked once"));
  assert.ok(again === identity && again.isGood(NOW));
  assert.equal(sign.mock.callCount(), 1);
});

test("another number is another identity, and 0 stands for the text alone", async () => {
  const all = await identities();
  const other = TEXT.replace("ann", "bob");
  assert.deepEqual([all.of(1, () => TEXT), all.of(2, () => other), all.of(0, () => TEXT), all.of(0, () => other)].map(({ owner }) => owner), [
    "ann",
    "bob",
    "ann",
    "bob",
  ]);
  const same = all.of(0, () => TEXT);
  await same.renew(NOW);
  assert.ok(all.of(0, () => TEXT).isGood(NOW));
});

test("a signature that fails leaves nothing to send, and the next request tries again", async () => {
  const identity = (await identities()).of(1, () => TEXT);
  sign.mock.mockImplementation(() => Promise.reject(new Error("no entropy")));
  await assert.rejects(identity.renew(NOW), /no entropy/);
  assert.deepEqual([identity.isGood(NOW), identity.headers], [false, undefined]);
  sign.mock.restore();
  await identity.renew(NOW);
  assert.ok(identity.isGood(NOW));
});

test("a signature that never comes is waited for two seconds, and given up by the next request", async () => {
  const identity = (await identities()).of(1, () => TEXT);
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: NOW });
  sign.mock.mockImplementation(() => new Promise(() => {}));
  const [first, second] = [identity.renew(NOW), identity.renew(NOW)];
  mock.timers.tick(2_000);
  await assert.rejects(first, /in time/);
  await assert.rejects(second, /in time/);
  sign.mock.restore();
  await identity.renew(NOW);
  assert.ok(identity.isGood(NOW));
  mock.timers.reset();
});

test("identities are kept up to a number and up to a size, the oldest go first", async () => {
  const all = await identities();
  let asked = 0;
  const of = (number, text = TEXT) => all.of(number, () => ((asked += 1), text));
  for (let number = 1; number <= 10_000; number += 1) of(number);
  of(1);
  assert.equal(asked, 10_000);
  of(10_001);
  of(2);
  assert.equal(asked, 10_001, "the second is still there");
  of(1);
  assert.equal(asked, 10_002, "the first is not");
  const large = TEXT.replace("orders.read", Array(600).fill("orders.read").join(" "));
  for (let number = 20_000; number < 22_000; number += 1) of(number, large);
  asked = 0;
  for (let number = 20_000; number < 22_000; number += 1) of(number, large);
  assert.ok(asked > 0, "2,000 large ones are too many");
});

test("permissions and metadata are sent where a setting asks for them, as plain ASCII", async () => {
  const text = TEXT.replace('"pro"', '"pro é 🗝 \u007f \\n"');
  for (const [setting, expected] of [
    ["permissions", { "x-keyward-permissions": "orders.* orders.read" }],
    ["metadata", { "x-keyward-metadata": '{"plan":"pro \\u00e9 \\ud83d\\udddd \\u007f \\n"}' }],
    [" metadata , permissions,", { "x-keyward-permissions": "orders.* orders.read", "x-keyward-metadata": /^[ -~]+$/ }],
  ]) {
    const all = await identities({ IDENTITY_HEADERS: setting });
    const sent = Object.fromEntries(all.of(1, () => text).headers);
    assert.equal(Object.keys(sent).length, 3 + Object.keys(expected).length);
    for (const [name, value] of Object.entries(expected)) {
      if (value instanceof RegExp) assert.match(sent[name], value);
      else assert.equal(sent[name], value);
    }
    if (sent["x-keyward-metadata"]) assert.deepEqual(JSON.parse(sent["x-keyward-metadata"]), { plan: "pro é 🗝 \u007f \n" });
  }
});

test("the key set holds every key's public half and nothing of the private one", async () => {
  const all = await identities({ IDENTITY_KEYS: JSON.stringify([SECOND, FIRST]) });
  const answer = all.keySet(new Request("http://edge/.keyward/jwks.json"), "id");
  assert.deepEqual([answer.status, answer.headers.get("content-type"), answer.headers.get("cache-control"), answer.headers.get("x-request-id")], [
    200,
    "application/jwk-set+json",
    "public, max-age=300",
    "id",
  ]);
  const published = ({ kty, crv, x, y }, kid) => ({ kty, crv, x, y, kid, use: "sig", alg: "ES256" });
  assert.deepEqual(await answer.json(), { keys: [published(SECOND, "second"), published(FIRST, THUMBPRINT)] });

  const head = all.keySet(new Request("http://edge/", { method: "HEAD" }), "id");
  assert.deepEqual([head.status, await head.text(), head.headers.get("content-type")], [200, "", "application/jwk-set+json"]);
  const post = all.keySet(new Request("http://edge/", { method: "POST" }), "id");
  assert.deepEqual([post.status, post.headers.get("allow"), post.headers.get("cache-control")], [405, "GET, HEAD", "no-store"]);
  assert.equal((await identities({})).keySet(new Request("http://edge/"), "id"), undefined);
});

test("the first key signs, so a new one is published before it does", async () => {
  for (const [keys, signer] of [
    [[FIRST, SECOND], FIRST],
    [[SECOND, FIRST], SECOND],
  ]) {
    const identity = (await identities({ IDENTITY_KEYS: JSON.stringify(keys) })).of(1, () => TEXT);
    await identity.renew(NOW);
    await opened(identity, signer);
  }
});

for (const [what, keys, detail] of [
  ["no JSON", FIRST.d, "must be JSON"],
  ["another type", `"${FIRST.d}"`, "must be a list"],
  ["one key without a list", JSON.stringify(FIRST), "must be a list"],
  ["an empty list", "[]", "holds no key"],
  ["an empty set", '{"keys":[]}', "holds no key"],
  ["a list of texts", JSON.stringify([FIRST.d]), "key 1 is no JWK"],
  ["another curve", JSON.stringify([{ ...FIRST, crv: "P-384" }]), "key 1 must have kty EC and crv P-256"],
  ["another kind", JSON.stringify([FIRST, { kty: "oct", k: FIRST.d }]), "key 2 must have kty EC"],
  ["a public key", JSON.stringify([{ ...FIRST, d: undefined }]), "key 1 is a public key"],
  ["a short number", JSON.stringify([{ ...FIRST, d: FIRST.d.slice(1) }]), "key 1 must have d"],
  ["a number in another alphabet", JSON.stringify([{ ...FIRST, x: FIRST.x.replace("x", "+") + "=" }]), "key 1 must have x"],
  ["spare bits", JSON.stringify([{ ...FIRST, y: FIRST.y.slice(0, -1) + "N" }]), "key 1 must have y"],
  ["the private half of another key", JSON.stringify([{ ...FIRST, d: SECOND.d }]), "key 1 is no key pair"],
  ["a point that is not on the curve", JSON.stringify([{ ...FIRST, x: SECOND.x }]), "key 1 is no key pair"],
  ["an empty kid", JSON.stringify([{ ...FIRST, kid: "" }]), "key 1 must have a kid"],
  ["a kid that is no text", JSON.stringify([{ ...FIRST, kid: 7 }]), "key 1 must have a kid"],
  ["a kid twice", JSON.stringify([FIRST, { ...SECOND, kid: THUMBPRINT }]), "key 2 has the same kid"],
  ["another algorithm", JSON.stringify([{ ...FIRST, alg: "HS256" }]), "key 1 is for another alg"],
  ["another use", JSON.stringify([{ ...FIRST, use: "enc" }]), "key 1 is for another use"],
  ["other operations", JSON.stringify([{ ...FIRST, key_ops: ["verify"] }]), "key 1 must have sign"],
]) {
  test(`${what} is refused, and nothing of it is told`, async () => {
    const all = new Identities();
    const said = all.configure({ IDENTITY_KEYS: keys }) ?? (await all.ready());
    assert.ok(said?.startsWith(`setting IDENTITY_KEYS: ${detail}`), said);
    for (const secret of [FIRST, SECOND].flatMap(({ d, x, y }) => [d, x, y])) {
      for (let at = 0; at + 8 <= secret.length; at += 1) assert.ok(!said.includes(secret.slice(at, at + 8)), said);
    }
    assert.equal(all.keySet(new Request("http://edge/"), "id"), undefined);
  });
}

for (const [name, value] of [
  ["IDENTITY_ISSUER", "two words"],
  ["IDENTITY_AUDIENCE", "é"],
  ["IDENTITY_AUDIENCE", "x".repeat(256)],
  ["IDENTITY_HEADERS", "permissions owner"],
  ["IDENTITY_KEYS", 7],
]) {
  test(`${name} is named where it cannot be used: ${String(value).slice(0, 20)}`, () => {
    assert.ok(new Identities().configure({ [name]: value }).startsWith(`setting ${name}: must be`));
  });
}

test("keys that cannot be tried are tried again, and no setting is to blame", async () => {
  const all = new Identities();
  all.configure({ IDENTITY_KEYS: JSON.stringify([FIRST]) });
  sign.mock.mockImplementation(() => Promise.reject(new Error("out of memory")));
  await assert.rejects(all.ready(), /out of memory/);
  sign.mock.restore();
  assert.equal(await all.ready(), undefined);
});
