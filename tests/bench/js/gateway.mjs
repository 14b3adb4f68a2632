// The gateway that one would write in JavaScript, with care: the credential and everything that could pass for the gateway's own removed, the verified
// identity added, with a signed token that is kept for half its life; the origin's answer streamed, and private.

const REMOVED = new Set([
  "x-api-key",
  "authorization",
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "expect",
  "x-original-method",
  "x-original-uri",
  "x-original-url",
  "x-rewrite-url",
  "x-http-method",
  "x-http-method-override",
  "x-method-override",
  "forwarded",
  "x-real-ip",
  "true-client-ip",
  "cf-connecting-ip",
]);
/** What an answer says to its next neighbour only, and what tells single caches to keep it. */
const ANSWER_REMOVED = [
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "cdn-cache-control",
  "cloudflare-cdn-cache-control",
  "surrogate-control",
  "edge-control",
  "x-accel-expires",
];
const LOOP_NAME = "javascript-gateway";
const LIFE_S = 60;
const TIMEOUT_MS = 60_000;

const encoder = new TextEncoder();
const identities = new WeakMap();
let signing;

/** Sends the request on as the record's owner. */
export async function forward(request, target, env, record, requestId) {
  const identity = identities.get(record);
  const token = identity !== undefined && Date.now() < identity.until ? identity.token : await sign(env, record);
  const { headers: sent, method } = request;
  const headers = new Headers(sent);
  for (const name of sent.keys()) {
    if (isRemoved(name)) headers.delete(name);
  }
  removeNamed(headers, sent.get("connection"));
  const address = request.cf?.clientIp;
  if (address) headers.set("x-forwarded-for", address.slice(0, address.lastIndexOf(":")));
  headers.set("x-forwarded-host", sent.get("host"));
  headers.set("x-forwarded-proto", request.url.startsWith("https:") ? "https" : "http");
  headers.set("x-keyward-owner", record.owner);
  headers.set("x-keyward-company", record.company);
  headers.set("x-keyward-key", record.id);
  headers.set("x-keyward-identity", token);
  headers.set("x-request-id", requestId);
  const loop = sent.get("cdn-loop");
  headers.set("cdn-loop", loop ? `${loop}, ${LOOP_NAME}` : LOOP_NAME);
  const init = { method, headers, redirect: "manual", cache: "no-store", body: request.body, signal: AbortSignal.timeout(TIMEOUT_MS) };
  const response = await fetch(env.ORIGIN_URL + target, init);
  const answer = new Response(response.body, response);
  removeNamed(answer.headers, response.headers.get("connection"));
  for (const name of ANSWER_REMOVED) answer.headers.delete(name);
  answer.headers.set("cache-control", privately(response.headers.get("cache-control")));
  return answer;
}

/** Some origins read `_` and `.` as `-`. */
function isRemoved(name) {
  const dashed = name.replace(/[^a-z0-9-]/g, "-");
  return REMOVED.has(dashed) || dashed.startsWith("x-keyward-") || dashed.startsWith("x-forwarded-");
}

function removeNamed(headers, connection) {
  const names = connection?.split(",").map((name) => name.trim()) ?? [];
  for (const name of names) if (/^[\w!#$%&'*+.^`|~-]+$/.test(name)) headers.delete(name);
}

/** What is said of private caches is kept. */
function privately(value) {
  if (value === null) return "private";
  const own = value.split(",").filter((directive) => !/^\s*(public|private|s-maxage|proxy-revalidate)\b/i.test(directive));
  return ["private", ...own.map((directive) => directive.trim())].join(", ");
}

/** A token for the origin, kept until half of its life is over. */
async function sign(env, record) {
  const jwk = JSON.parse(env.IDENTITY_KEYS)[0];
  signing ??= crypto.subtle.importKey("jwk", jwk, { name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]);
  const now = Date.now();
  const iat = Math.floor(now / 1000);
  const { owner, company, permissions, id } = record;
  const claims = { iss: "keyward", aud: "keyward-origin", sub: owner, company, permissions, act: { sub: id }, iat, exp: iat + LIFE_S };
  const head = base64url(encoder.encode(JSON.stringify({ alg: "ES256", typ: "JWT", kid: jwk.kid })));
  const signed = `${head}.${base64url(encoder.encode(JSON.stringify(claims)))}`;
  const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, await signing, encoder.encode(signed));
  const token = `${signed}.${base64url(new Uint8Array(signature))}`;
  identities.set(record, { token, until: now + (LIFE_S / 2) * 1000 });
  return token;
}

function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
