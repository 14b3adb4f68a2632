// The edge Worker's entry: the warm path without an await, the first request of a key with one, and the way to everything else.
//
// A request crosses into WebAssembly once, with integers: method, path and credential are written into a buffer there, `decide` answers with a
// number, and what passes is forwarded with headers prepared per key. Where only the key's record is missing, it is read and written there, too.
// Refusals and whatever else must be read go through the asynchronous `respond`.

import * as bindings from "./edge.js";
import module from "./edge_bg.wasm";
import { clientAddress, forward, proxiedAddress } from "./gateway.mjs";
import { Identities } from "./identity.mjs";
import { Limits } from "./limits.mjs";
import { hasPassed } from "./loop.mjs";
import { Observer, route } from "./observe.mjs";
import { invalid, problem } from "./problem.mjs";
import { Push } from "./push.mjs";
import { readRecord } from "./record.mjs";
import { Instance, logFailure } from "./recover.mjs";

// The answers of `decide`: three bits, a flag, and the number of the identity or a length. Pinned in edge/src/worker/mod.rs.
const KIND = 7;
const SLOW = 0;
const PASS = 1;
const NEED_ADDRESS = 2;
const ANONYMOUS = 3;
const BEARER = 4;
const FAILS = 5;
const LOOKS_UP = 6;
const READS = 7;
const BACKGROUND = 8;
const IDENTITY_SHIFT = 4;

/** What became of a request that passed at once, in the words of the log. */
const PASSED = { [PASS]: "allowed", [ANONYMOUS]: "anonymous", [BEARER]: "bearer" };

/** A host with or without a port, roughly: with more in it, part of it would be read as the path. */
const HOST = /^[\w.~:[\]%!$&'()*+;=-]*$/;

const OWN = "/.keyward/";
const FORWARD_AUTH = "/.keyward/forward-auth/";
const KEY_SET = "/.keyward/jwks.json";
const INTROSPECT = "/.keyward/introspect";

const instance = new Instance(bindings, module);
const push = new Push(instance, bindings, logFailure);
const observer = new Observer((method, path) => instance.call(() => bindings.matched_rule(method, path)), logFailure);
const limits = new Limits();
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const identities = new Identities();
let generation = 0;
let config = {};
let buffer;
let askedAt = 0;

/** What is known of the key's record where nobody has read it: nothing. */
const UNREAD = { begun: undefined, got: "", ms: 0, bytes: undefined };

export default {
  fetch(request, env, context) {
    const requestId = crypto.randomUUID();
    const call = { request, env, context, target: "", path: "", requestId, record: UNREAD };
    try {
      prepare(env);
      if (config.error !== undefined) return unavailable(requestId);
      const target = targetOf(request.url);
      const mark = target.indexOf("?");
      call.target = target;
      call.path = mark < 0 ? target : target.slice(0, mark);
      const host = request.headers.get("host");
      if (host !== null && !HOST.test(host)) return observed(call).answered(invalid("the Host header is repeated or not a host", requestId));
      if (call.path.startsWith(OWN)) return warmOwn(call) ?? slow(call);
      // Before anything else: without the credential that was removed, a request that comes back would only be refused as somebody else's.
      if (hasPassed(request, config.loop_name)) {
        return observed(call).answered(problem(508, "loop_detected", "The request came back: the origin leads to this edge", requestId));
      }
      return warmGateway(call) ?? slow(call);
    } catch (error) {
      logFailure("edge.fetch", instance.failed(error));
      return observed(call).answered(unavailable(requestId));
    }
  },
};

/** Makes the instance and its settings usable; after a restart everything that points into it is made again. */
function prepare(env) {
  instance.ready();
  if (generation !== instance.generation) {
    generation = instance.generation;
    buffer = undefined;
    config = JSON.parse(bindings.configure(env));
    config.error ??= observer.configure(env) ?? identities.configure(env) ?? limits.configure(env);
    if (config.error !== undefined) misconfigured(config.error);
    push.restart(config);
  }
}

/** The buffer in WebAssembly. Each call into it may let its memory grow, which ends earlier views. */
function view() {
  if (buffer === undefined || buffer.byteLength === 0) {
    buffer = new Uint8Array(bindings.linear_memory().buffer, bindings.buffer(), bindings.buffer_len());
  }
  return buffer;
}

/** Stops the Worker: it answers nobody from now on, and the log says which setting is wrong. */
function misconfigured(detail) {
  config.error = detail;
  console.error(JSON.stringify({ level: "error", event: "misconfigured", detail }));
}

/** Path and query of a URL, exactly as they were sent; `OPTIONS *` has no path, and is refused like one with two readings. */
function targetOf(url) {
  const start = url.indexOf("/", url.indexOf("//") + 2);
  return start < 0 ? "*" : url.slice(start);
}

/** Asks `decide`; where the request is not plain or does not fit, it may be anything. `record`: what the store has of its key. */
function ask(method, path, headers, record, address) {
  const key = headers.get("x-api-key") ?? "";
  const authorization = headers.get("authorization") ?? "";
  const text = method + path + key + authorization + (address ?? "");
  const room = view();
  const { read, written } = encoder.encodeInto(text, room);
  askedAt = Date.now();
  // Where it is cut off, or has characters of more than one byte, these are not the lengths of what stands there.
  if (read !== text.length || written !== read) return LOOKS_UP;
  let length = 0;
  if (record !== undefined && written + record.length <= room.length) {
    room.set(record, written);
    length = record.length;
  }
  return bindings.decide(method.length, path.length, key.length, authorization.length, written, length, address !== undefined, askedAt);
}

/** A request to the gateway, as far as it can be answered at once. */
function warmGateway(call) {
  const { request, env, context, target, path, requestId } = call;
  if (isPreflight(request.method, request.headers)) return preflight(call);
  let answer = ask(request.method, path, request.headers, call.record.bytes);
  if ((answer & KIND) === NEED_ADDRESS) {
    answer = ask(request.method, path, request.headers, undefined, clientAddress(request, config, bindings.is_proxy) ?? "");
  }
  const kind = answer & KIND;
  if (kind === READS) return reading(call, answer >>> IDENTITY_SHIFT, warmGateway);
  if (kind === SLOW || kind === NEED_ADDRESS) return undefined;
  if (kind === FAILS || kind === LOOKS_UP) return failing(call, kind === LOOKS_UP);
  if (answer & BACKGROUND) context.waitUntil(background(env));
  if (askedAt >= push.due) push.arm(env, context);
  const now = askedAt;
  const identity = kind === PASS ? identities.of(answer >>> IDENTITY_SHIFT, bindings.last_identity) : undefined;
  const sent = { request, target, env, config, identity, bearer: kind === BEARER, requestId, isProxy: bindings.is_proxy };
  const onwards = () => {
    const told = observer.active ? passed(call, kind, identity, now) : undefined;
    const response = withIdentity(identity, now, requestId, () => forward(sent));
    return told === undefined ? response : told.answered(response);
  };
  return identity?.tier ? withinTier(call, identity, undefined, onwards) : onwards();
}

/** A proxy's question about a warm key, and who asks whether he may ask about others. Whatever is unusual is `respond`'s. */
function warmOwn(call) {
  const { request, env, context, path, requestId } = call;
  const { headers } = request;
  if (path === INTROSPECT) {
    // Of what has the form of a key, a made-up one is refused without a read; everything else may cost reads.
    const whole = bindings.has_key(headers.get("x-api-key") ?? "", headers.get("authorization") ?? "");
    return whole ? undefined : failing(call, true);
  }
  if (config.forward_auth === "" || path !== FORWARD_AUTH + config.forward_auth) return undefined;
  const original = config.forward_auth === "original";
  const method = headers.get(original ? "x-original-method" : "x-forwarded-method") ?? "";
  const uri = headers.get(original ? "x-original-uri" : "x-forwarded-uri") ?? "";
  if (method === "" || method.includes(",") || uri.includes(", ")) return undefined;
  if (isPreflight(method, headers)) return preflight(call);
  const end = uri.indexOf("?");
  const answer = ask(method, end < 0 ? uri : uri.slice(0, end), headers, call.record.bytes);
  const kind = answer & KIND;
  if (kind === READS) return reading(call, answer >>> IDENTITY_SHIFT, warmOwn);
  if (kind === FAILS || kind === LOOKS_UP) return failing(call, kind === LOOKS_UP);
  if (kind !== PASS) return undefined;
  if (answer & BACKGROUND) context.waitUntil(background(env));
  if (askedAt >= push.due) push.arm(env, context);
  const now = askedAt;
  const identity = identities.of(answer >>> IDENTITY_SHIFT, bindings.last_identity);
  const onwards = () => {
    const told = observer.active ? passed(call, PASS, identity, now) : undefined;
    const response = letIn(headers, identity, now, requestId);
    return told === undefined ? response : told.answered(response);
  };
  return identity.tier ? withinTier(call, identity, undefined, onwards) : onwards();
}

/** A request whose key is not known here: its record is read, once, and the request tried again. `length`: of the record's name, in the buffer. */
function reading(call, length, again) {
  if (call.record !== UNREAD) return undefined;
  const name = decoder.decode(view().subarray(0, length));
  return withRecord(call, name, again);
}

async function withRecord(call, name, again) {
  const { env, requestId } = call;
  try {
    call.record = await readRecord(env, name, config.record_limit_ms, config.record_cache_s);
    prepare(env); // meanwhile the instance may have been lost
    if (config.error !== undefined) return unavailable(requestId);
    return await ((call.record.bytes && again(call)) ?? slow(call));
  } catch (error) {
    logFailure("edge.fetch", instance.failed(error));
    return observed(call).answered(unavailable(requestId));
  }
}

/** Whether a request of this method may be a CORS preflight; `respond` knows whether it is one. */
function isPreflight(method, headers) {
  return method === "OPTIONS" && headers.has("access-control-request-method");
}

/** A browser sends no credential with a preflight: who does is treated like one who tries keys. */
function preflight(call) {
  const { headers } = call.request;
  return headers.has("x-api-key") || headers.has("authorization") ? failing(call, true) : undefined;
}

/** Gives what comes of a request in which nobody's key was found, so far; or 429, where its address had too many of those. */
function failing(call, looksUp) {
  const { request, path, requestId } = call;
  const proxied = path.startsWith(OWN) && isTrustedProxy(request.headers);
  const address = proxied ? proxiedAddress(request.headers) : clientAddress(request, config, bindings.is_proxy);
  const answer = limits.failing(looksUp, address, requestId, () => slow(call));
  return answer instanceof Promise ? answer : observed(call).answered(answer); // `slow` tells of its own
}

/** Goes on unless the tier of the key is used up. Its use counts here, because only now is it known how it ends. */
async function withinTier(call, identity, told, onwards) {
  const { env, context, requestId } = call;
  const refused = await limits.exceeded(env, identity.tier, identity.key, requestId);
  try {
    if (instance.call(() => bindings.count_use(identity.company, identity.key, refused === undefined))) context.waitUntil(background(env));
  } catch (error) {
    logFailure("edge.count", error);
  }
  return refused === undefined ? onwards() : (told ?? observed(call, identity)).answered(refused);
}

/** Gives what `work` gives once the identity, where there is one, can be handed on: at once, or when it has a new token. */
function withIdentity(identity, now, requestId, work) {
  return identity === undefined || identity.isGood(now) ? work() : renewed(identity, now, requestId, work);
}

async function renewed(identity, now, requestId, work) {
  try {
    await identity.renew(now);
  } catch (error) {
    logFailure("edge.identity", error);
    return unavailable(requestId);
  }
  return work();
}

/** The answer to a proxy whose request may pass; with the identity only for one that has the secret. */
function letIn(headers, identity, now, requestId) {
  const shown = isTrustedProxy(headers) ? identity : undefined;
  const own = [
    ["cache-control", "no-store"],
    ["x-request-id", requestId],
  ];
  return withIdentity(shown, now, requestId, () => new Response(null, { headers: [...own, ...(shown?.headers ?? [])] }));
}

function isTrustedProxy(headers) {
  const secret = headers.get("x-keyward-proxy");
  return secret !== null && bindings.is_proxy(secret);
}

/** Everything that must be read or refused. */
async function slow(call) {
  const { request, env, context, target, path, requestId } = call;
  const told = observed(call);
  try {
    const address = clientAddress(request, config, bindings.is_proxy);
    const wrong = await identities.ready();
    if (wrong !== undefined) {
      misconfigured(wrong);
      return unavailable(requestId);
    }
    const keySet = path === KEY_SET ? identities.keySet(request, requestId) : undefined;
    if (keySet !== undefined) return keySet;
    const { begun, got } = call.record;
    const result = await instance.call(() => bindings.respond(request, told.env, requestId, path, address, push.works(), begun, got === "nothing"));
    context.waitUntil(background(env));
    push.arm(env, context);
    if (typeof result !== "string") return told.answered(result);
    const [kind, number] = result.split("\n", 2);
    const text = () => result.slice(kind.length + number.length + 2);
    const identity = kind === "pass" ? identities.of(Number(number), text) : undefined;
    const sent = { request, target, env, config, identity, bearer: kind === "bearer", requestId, isProxy: bindings.is_proxy };
    const onwards = () => {
      if (path.startsWith(OWN)) return told.answered(letIn(request.headers, identity, Date.now(), requestId));
      told.decided(kind === "pass" ? "allowed" : kind);
      return told.answered(withIdentity(identity, Date.now(), requestId, () => forward(sent)));
    };
    return await (identity?.tier ? withinTier(call, identity, told, onwards) : onwards());
  } catch (error) {
    logFailure("edge.respond", error);
    return told.answered(unavailable(requestId));
  }
}

/** What is to be told of a request that was decided at once, at `begun`; `undefined`: nothing. */
function passed(call, kind, identity, begun) {
  const { request, env, context, path, requestId } = call;
  const since = call.record.begun ?? begun;
  const describe = () => ({ requestId, ...route(request, path, config.forward_auth), begun: since, code: PASSED[kind], identity });
  const told = observer.passed(request, env, context, describe);
  return told && withRead(told, call);
}

/** What is to be told of any other request, gathered on its way. */
function observed(call, identity) {
  const { request, env, context, path, requestId } = call;
  const begun = call.record.begun ?? Date.now();
  return withRead(observer.begin(request, env, context, { requestId, ...route(request, path, config.forward_auth), begun, identity }), call);
}

/** Adds to what is told that the entry has read the key's record. */
function withRead(told, { record: { got, ms } }) {
  if (got !== "") told.env.noted.reads.push({ read: "kv-record", ms, got });
  return told;
}

/** Polls and reports; a failure costs freshness, never a request. */
async function background(env) {
  try {
    await instance.call(() => bindings.background(env));
  } catch (error) {
    logFailure("edge.background", error);
  }
}

/** The answer when the verifier itself is lost: refused, and worth trying again. */
function unavailable(requestId) {
  const title = "API keys cannot be verified right now";
  return problem(503, "verifier_unavailable", title, requestId, { headers: { "retry-after": "5" } });
}
