// The edge Worker's entry: the warm path without an await, and the way to everything else.
//
// A request crosses into WebAssembly once, with integers: method, path and credential are written into a buffer there, `decide` answers with a
// number, and what passes is forwarded with headers prepared per key. Refusals and whatever must be read go through the asynchronous `respond`.

import * as bindings from "./edge.js";
import module from "./edge_bg.wasm";
import { clientAddress, forward } from "./gateway.mjs";
import { Identities } from "./identity.mjs";
import { hasPassed } from "./loop.mjs";
import { Observer, route } from "./observe.mjs";
import { invalid, problem } from "./problem.mjs";
import { Push } from "./push.mjs";
import { Instance, logFailure } from "./recover.mjs";

// The answers of `decide`: three bits, a flag, and the number of the identity. Pinned in edge/src/worker/mod.rs.
const KIND = 7;
const SLOW = 0;
const PASS = 1;
const NEED_ADDRESS = 2;
const ANONYMOUS = 3;
const BEARER = 4;
const BACKGROUND = 8;
const IDENTITY_SHIFT = 4;

/** What became of a request that passed at once, in the words of the log. */
const PASSED = { [PASS]: "allowed", [ANONYMOUS]: "anonymous", [BEARER]: "bearer" };

/** A host with or without a port, roughly: with more in it, part of it would be read as the path. */
const HOST = /^[\w.~:[\]%!$&'()*+;=-]*$/;

const OWN = "/.keyward/";
const FORWARD_AUTH = "/.keyward/forward-auth/";
const KEY_SET = "/.keyward/jwks.json";

const instance = new Instance(bindings, module);
const push = new Push(instance, bindings, logFailure);
const observer = new Observer((method, path) => instance.call(() => bindings.matched_rule(method, path)), logFailure);
const encoder = new TextEncoder();
const identities = new Identities();
let generation = 0;
let config = {};
let buffer;
let askedAt = 0;

export default {
  fetch(request, env, context) {
    const requestId = crypto.randomUUID();
    try {
      prepare(env);
      if (config.error !== undefined) return unavailable(requestId);
      const target = targetOf(request.url);
      const mark = target.indexOf("?");
      const path = mark < 0 ? target : target.slice(0, mark);
      const host = request.headers.get("host");
      if (host !== null && !HOST.test(host)) {
        return observed(request, env, context, path, requestId).answered(invalid("the Host header is repeated or not a host", requestId));
      }
      if (path.startsWith(OWN)) {
        return warmForwardAuth(request, env, context, path, requestId) ?? slow(request, env, context, target, path, requestId);
      }
      // Before anything else: without the credential that was removed, a request that comes back would only be refused as somebody else's.
      if (hasPassed(request, config.loop_name)) {
        const looped = problem(508, "loop_detected", "The request came back: the origin leads to this edge", requestId);
        return observed(request, env, context, path, requestId).answered(looped);
      }
      return warmGateway(request, env, context, target, path, requestId) ?? slow(request, env, context, target, path, requestId);
    } catch (error) {
      logFailure("edge.fetch", instance.failed(error));
      return observed(request, env, context, "", requestId).answered(unavailable(requestId));
    }
  },
};

/** Makes the instance, its settings and the view of its buffer usable; after a restart everything that points into it is made again. */
function prepare(env) {
  instance.ready();
  if (generation !== instance.generation) {
    generation = instance.generation;
    buffer = undefined;
    config = JSON.parse(bindings.configure(env));
    config.error ??= observer.configure(env) ?? identities.configure(env);
    if (config.error !== undefined) misconfigured(config.error);
    push.restart(config);
  }
  if (buffer === undefined || buffer.byteLength === 0) {
    buffer = new Uint8Array(bindings.linear_memory().buffer, bindings.buffer(), bindings.buffer_len());
  }
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

/** Asks `decide`; `SLOW` where the request does not fit. */
function ask(method, path, headers, address) {
  let text = method + "\n" + path + "\n" + (headers.get("x-api-key") ?? "") + "\n" + (headers.get("authorization") ?? "");
  if (address !== undefined) text += "\n" + address;
  const { read, written } = encoder.encodeInto(text, buffer);
  askedAt = Date.now();
  return read < text.length ? SLOW : bindings.decide(written, address !== undefined, askedAt);
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

function warmGateway(request, env, context, target, path, requestId) {
  if (request.method === "OPTIONS") return undefined;
  let answer = ask(request.method, path, request.headers);
  if ((answer & KIND) === NEED_ADDRESS) {
    answer = ask(request.method, path, request.headers, clientAddress(request, config, bindings.is_proxy) ?? "");
  }
  const kind = answer & KIND;
  if (kind === SLOW || kind === NEED_ADDRESS) return undefined;
  if (answer & BACKGROUND) context.waitUntil(background(env));
  if (askedAt >= push.due) push.arm(env, context);
  const identity = kind === PASS ? identities.of(answer >>> IDENTITY_SHIFT, bindings.last_identity) : undefined;
  const told = observer.active ? passed(request, env, context, path, requestId, kind, identity) : undefined;
  const sent = { request, target, env, config, identity, bearer: kind === BEARER, requestId, isProxy: bindings.is_proxy };
  const response = withIdentity(identity, askedAt, requestId, () => forward(sent));
  return told === undefined ? response : told.answered(response);
}

/** A proxy's question about a warm key. Whatever is unusual is `respond`'s. */
function warmForwardAuth(request, env, context, path, requestId) {
  if (config.forward_auth === "" || path !== FORWARD_AUTH + config.forward_auth) return undefined;
  const { headers } = request;
  const original = config.forward_auth === "original";
  const method = headers.get(original ? "x-original-method" : "x-forwarded-method") ?? "";
  const uri = headers.get(original ? "x-original-uri" : "x-forwarded-uri") ?? "";
  if (method === "" || method === "OPTIONS" || method.includes(",") || uri.includes(", ")) return undefined;
  const end = uri.indexOf("?");
  const answer = ask(method, end < 0 ? uri : uri.slice(0, end), headers);
  if ((answer & KIND) !== PASS) return undefined;
  if (answer & BACKGROUND) context.waitUntil(background(env));
  if (askedAt >= push.due) push.arm(env, context);
  const secret = headers.get("x-keyward-proxy");
  const isTrusted = secret !== null && bindings.is_proxy(secret);
  const identity = isTrusted || observer.active ? identities.of(answer >>> IDENTITY_SHIFT, bindings.last_identity) : undefined;
  const told = observer.active ? passed(request, env, context, path, requestId, PASS, identity) : undefined;
  const response = letIn(isTrusted ? identity : undefined, askedAt, requestId);
  return told === undefined ? response : told.answered(response);
}

/** The answer to a proxy whose request may pass; with the identity only for one that has the secret. */
function letIn(identity, now, requestId) {
  const own = [
    ["cache-control", "no-store"],
    ["x-request-id", requestId],
  ];
  return withIdentity(identity, now, requestId, () => new Response(null, { headers: [...own, ...(identity?.headers ?? [])] }));
}

/** Everything that must be read or refused. */
async function slow(request, env, context, target, path, requestId) {
  const told = observed(request, env, context, path, requestId);
  try {
    const address = clientAddress(request, config, bindings.is_proxy);
    const wrong = await identities.ready();
    if (wrong !== undefined) {
      misconfigured(wrong);
      return unavailable(requestId);
    }
    const keySet = path === KEY_SET ? identities.keySet(request, requestId) : undefined;
    if (keySet !== undefined) return keySet;
    const result = await instance.call(() => bindings.respond(request, told.env, requestId, path, address, push.works()));
    context.waitUntil(background(env));
    push.arm(env, context);
    if (typeof result !== "string") return told.answered(result);
    const [kind, number] = result.split("\n", 2);
    const text = () => result.slice(kind.length + number.length + 2);
    const identity = kind === "pass" ? identities.of(Number(number), text) : undefined;
    if (path.startsWith(OWN)) return told.answered(letIn(identity, Date.now(), requestId));
    told.decided(kind === "pass" ? "allowed" : kind, identity);
    const sent = { request, target, env, config, identity, bearer: kind === "bearer", requestId, isProxy: bindings.is_proxy };
    return told.answered(withIdentity(identity, Date.now(), requestId, () => forward(sent)));
  } catch (error) {
    logFailure("edge.respond", error);
    return told.answered(unavailable(requestId));
  }
}

/** What is to be told of a request that was decided at once; `undefined`: nothing. */
function passed(request, env, context, path, requestId, kind, identity) {
  const describe = () => ({ requestId, ...route(request, path, config.forward_auth), begun: askedAt, code: PASSED[kind], identity });
  return observer.passed(request, env, context, describe);
}

/** What is to be told of any other request, gathered on its way. */
function observed(request, env, context, path, requestId) {
  const details = { requestId, ...route(request, path, config.forward_auth), begun: Date.now() };
  return observer.begin(request, env, context, details);
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
