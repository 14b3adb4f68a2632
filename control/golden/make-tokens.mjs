// Makes tokens.json: keys and tokens for tests of token verification, by an implementation of their own (Node's, over OpenSSL).
// `node control/golden/make-tokens.mjs > control/golden/tokens.json` draws new keys: the tests hold with any.

import { generateKeyPairSync, sign } from "node:crypto";

const NOW = 1_800_000_000;
const base64url = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

function key(kid, type, options) {
  const { privateKey, publicKey } = generateKeyPairSync(type, options);
  return { kid, privateKey, publicKey, jwk: { kid, ...privateKey.export({ format: "jwk" }) } };
}

const keys = {
  rsa: key("rsa", "rsa", { modulusLength: 2048 }),
  rsa_other: key("rsa_other", "rsa", { modulusLength: 2048 }),
  rsa_small: key("rsa_small", "rsa", { modulusLength: 1024 }),
  p256: key("p256", "ec", { namedCurve: "P-256" }),
  p256_other: key("p256_other", "ec", { namedCurve: "P-256" }),
  p384: key("p384", "ec", { namedCurve: "P-384" }),
  ed25519: key("ed25519", "ed25519"),
  ed25519_other: key("ed25519_other", "ed25519"),
};

const claims = { iss: "https://issuer.example", aud: "keyward", sub: "ann", iat: NOW - 10, exp: NOW + 300 };

function token(name, alg, hash, options) {
  const { kid, privateKey } = keys[name];
  const input = `${base64url({ alg, kid, typ: "JWT" })}.${base64url(claims)}`;
  return `${input}.${sign(hash, Buffer.from(input), { key: privateKey, ...options }).toString("base64url")}`;
}

// What a verifier takes, and what it must not: other paddings and hashes, another curve, another spelling of a signature.
const tokens = {
  RS256: token("rsa", "RS256", "sha256"),
  ES256: token("p256", "ES256", "sha256", { dsaEncoding: "ieee-p1363" }),
  EdDSA: token("ed25519", "EdDSA", null),
  RS256_small: token("rsa_small", "RS256", "sha256"),
  RS256_with_sha512: token("rsa", "RS256", "sha512"),
  RS256_with_pss: token("rsa", "RS256", "sha256", { padding: 6, saltLength: 32 }),
  ES256_der: token("p256", "ES256", "sha256", { dsaEncoding: "der" }),
  ES256_on_p384: token("p384", "ES256", "sha256", { dsaEncoding: "ieee-p1363" }),
};

const spki = keys.rsa.publicKey.export({ type: "spki", format: "der" });
const document = {
  keys: Object.fromEntries(Object.entries(keys).map(([name, { jwk }]) => [name, jwk])),
  rsa_public_pem: keys.rsa.publicKey.export({ type: "spki", format: "pem" }),
  rsa_public_der: spki.toString("base64url"),
  tokens,
};
process.stdout.write(`${JSON.stringify(document, null, 1)}\n`);
