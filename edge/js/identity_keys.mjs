// The keys that identities are signed with: private P-256 keys as JWKs (RFC 7517), the first of which signs, and all of which are published.
// Whatever is wrong with one is told by its place in the list; nothing of a key is ever part of a message.

const ECDSA = { name: "ECDSA", namedCurve: "P-256" };
const SIGNATURE = { name: "ECDSA", hash: "SHA-256" };

/** 32 bytes in base64url, in the one spelling that has no spare bits set. */
const NUMBER = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/;

const encoder = new TextEncoder();

/** A key that cannot be used. */
export class BadKey extends Error {}

/**
 * Checks the keys and makes them usable: the handle that signs, the header of its tokens in base64url, and the JWK that is published. Throws
 * `BadKey`, or what the runtime throws where it cannot work.
 */
export async function signingKeys(jwks) {
  const keys = [];
  for (const [index, jwk] of jwks.entries()) {
    const key = await signingKey(jwk, `key ${index + 1}`);
    if (keys.some(({ kid }) => kid === key.kid)) throw new BadKey(`key ${index + 1} has the same kid as one before it`);
    keys.push(key);
  }
  return keys;
}

async function signingKey(jwk, name) {
  const wrong = problemOf(jwk);
  if (wrong !== undefined) throw new BadKey(`${name} ${wrong}`);
  const { x, y, d } = jwk;
  const numbers = { kty: "EC", crv: "P-256", x, y };
  let signing;
  try {
    signing = await crypto.subtle.importKey("jwk", { ...numbers, d }, ECDSA, false, ["sign"]);
    const verifying = await crypto.subtle.importKey("jwk", numbers, ECDSA, false, ["verify"]);
    const message = encoder.encode("a");
    const signature = await crypto.subtle.sign(SIGNATURE, signing, message);
    if (!(await crypto.subtle.verify(SIGNATURE, verifying, signature, message))) throw new DOMException("", "DataError");
  } catch (error) {
    // Which one it is differs between runtimes.
    if (error instanceof DOMException) throw new BadKey(`${name} is no key pair on the curve P-256`);
    throw error;
  }
  const kid = jwk.kid ?? (await thumbprint(numbers));
  const header = base64url(encoder.encode(JSON.stringify({ alg: "ES256", typ: "JWT", kid })));
  return { kid, signing, header, published: { ...numbers, kid, use: "sig", alg: "ES256" } };
}

function problemOf(jwk) {
  if (jwk === null || typeof jwk !== "object" || Array.isArray(jwk)) return "is no JWK";
  if (jwk.kty !== "EC" || jwk.crv !== "P-256") return "must have kty EC and crv P-256";
  for (const member of ["x", "y"]) {
    if (typeof jwk[member] !== "string" || !NUMBER.test(jwk[member])) return `must have ${member}: 32 bytes in base64url`;
  }
  if (jwk.d === undefined) return "is a public key; the private one is needed";
  if (typeof jwk.d !== "string" || !NUMBER.test(jwk.d)) return "must have d: 32 bytes in base64url";
  if (jwk.kid !== undefined && !(typeof jwk.kid === "string" && /^[!-~]{1,255}$/.test(jwk.kid))) {
    return "must have a kid of 1 to 255 visible ASCII characters without space, or none";
  }
  if (jwk.alg !== undefined && jwk.alg !== "ES256") return "is for another alg than ES256";
  if (jwk.use !== undefined && jwk.use !== "sig") return "is for another use than sig";
  if (jwk.key_ops !== undefined && !(Array.isArray(jwk.key_ops) && jwk.key_ops.includes("sign"))) return "must have sign among its key_ops";
  return undefined;
}

/** The thumbprint of RFC 7638: members in the order of their names. */
async function thumbprint({ crv, kty, x, y }) {
  const digest = await crypto.subtle.digest("SHA-256", encoder.encode(JSON.stringify({ crv, kty, x, y })));
  return base64url(new Uint8Array(digest));
}

/** Base64url without padding. */
export function base64url(bytes) {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
