// Forwards a request that passed to the origin: the credential and everything that could pass for Keyward's own removed, the verified identity
// added, bodies streamed both ways. Who passes is decided before.

import { notePassage } from "./loop.mjs";
import { invalid, problem } from "./problem.mjs";
import { answerToBody, BROKE_OFF, inTime, TIMED_OUT } from "./wait.mjs";

/** Headers that never reach the origin, besides those that begin with `x-keyward-` or `x-forwarded-`. */
const REMOVED = new Set([
  "x-api-key",
  "authorization",
  // Hop-by-hop (RFC 9110 §7.6.1).
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  // The body is sent on as it comes, and an answer of 100 would be taken for the last one.
  "expect",
  // Origins honour these, so the route could differ from the one that was matched.
  "x-original-method",
  "x-original-uri",
  "x-original-url",
  "x-rewrite-url",
  "x-http-method",
  "x-http-method-override",
  "x-method-override",
  // Said by the edge alone: `x-forwarded-for`, `-host` and `-proto` are written below.
  "forwarded",
  "x-real-ip",
  "true-client-ip",
  "cf-connecting-ip",
]);

/** What an origin's answer says to its next neighbour only (RFC 9110 §7.6.1), besides what its `Connection` names. */
const TO_THE_NEIGHBOUR = ["connection", "keep-alive", "proxy-connection", "proxy-authenticate", "te", "trailer", "transfer-encoding", "upgrade"];

/** What tells single caches to keep an answer although `Cache-Control` forbids it (RFC 9213 and its forerunners). */
const TO_SINGLE_CACHES = ["cdn-cache-control", "cloudflare-cdn-cache-control", "surrogate-control", "edge-control", "x-accel-expires"];

/** Methods that may be forwarded, as `Allow` says them; more that the runtime knows (of WebDAV) are forwarded, too. */
const ALLOW = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/** Whether a header (in lower case, as the runtime lists them) is removed. Some origins read `_`, and some read `.`, as `-`. */
export function isRemoved(name) {
  const dashed = /[^a-z0-9-]/.test(name) ? name.replace(/[^a-z0-9-]/g, "-") : name;
  return REMOVED.has(dashed) || dashed.startsWith("x-keyward-") || dashed.startsWith("x-forwarded-");
}

/** What `isRemoved` said of names before: clients send few different ones. When there are too many, the others are looked at each time. */
const said = new Map();
const MOST_SAID = 1_000;
const LONGEST_SAID = 64;

/** The same as `isRemoved`, remembered. */
export function isKnownRemoved(name) {
  const known = said.get(name);
  if (known !== undefined) return known;
  const removed = isRemoved(name);
  if (said.size < MOST_SAID && name.length <= LONGEST_SAID) said.set(name, removed);
  return removed;
}

/** The client's address as `CLIENT_ADDRESS` says where to find it; `undefined` where it is not known. */
export function clientAddress(request, config, isProxy) {
  const { headers } = request;
  switch (config.client_address) {
    case "peer":
      return withoutPort(request.cf?.clientIp);
    case "proxy": {
      const secret = headers.get("x-keyward-proxy");
      if (secret === null || !isProxy(secret)) return undefined;
      return proxiedAddress(headers);
    }
    default:
      return headers.get("cf-connecting-ip") ?? undefined;
  }
}

/** The client's address as a proxy says it, which somebody else has to trust: `X-Real-IP`, else the last of `X-Forwarded-For`, which it added. */
export function proxiedAddress(headers) {
  return headers.get("x-real-ip") ?? headers.get("x-forwarded-for")?.split(",").at(-1)?.trim();
}

/** The address of `203.0.113.7:4711` or `[2001:db8::1]:4711`, as a plain runtime names its peers. */
function withoutPort(peer) {
  return /^\[(.+)\](?::\d+)?$/.exec(peer)?.[1] ?? /^([^:]+):\d+$/.exec(peer)?.[1] ?? peer;
}

/**
 * Sends the request on and gives the origin's answer.
 *
 * `target` is path and query exactly as they were matched; `identity` is whom the request acts for, or `undefined`; `bearer` says that the
 * request's own Authorization is the origin's business.
 *
 * The origin has `config.origin_timeout_ms` to begin its answer, counted from when it has the whole request. Nothing limits how long either takes
 * to be sent.
 */
export async function forward({ request, target, env, config, identity, bearer, requestId, isProxy }) {
  const unfit = whyUnfit(request, target, requestId);
  if (unfit !== undefined) return unfit;
  const headers = originHeaders(request, config, identity, bearer, requestId, isProxy);
  // Without Authorization a shared cache has no reason left not to store the answer, so the platform's is told to stay out.
  const init = { method: request.method, headers, redirect: "manual", cache: "no-store" };
  const send = () => (config.origin_url === null ? env.ORIGIN.fetch(request.url, init) : fetch(config.origin_url + target, init));
  try {
    const response = await (hasBody(request) ? answerToBody(request, init, send, config.origin_timeout_ms) : inTime(send(), config.origin_timeout_ms));
    if (response === TIMED_OUT) return problem(504, "origin_timeout", "The application does not answer", requestId);
    if (response === BROKE_OFF) return invalid("the body broke off", requestId);
    return response.webSocket ? response : passedBack(response, identity !== undefined || bearer);
  } catch (error) {
    console.error(JSON.stringify({ level: "error", event: "origin_unreachable", request_id: requestId, detail: String(error) }));
    return problem(502, "origin_unreachable", "The application cannot be reached", requestId);
  }
}

/** A body that is announced as empty is none. */
function hasBody(request) {
  return request.body !== null && request.headers.get("content-length") !== "0";
}

/** The answer to a request that could not be forwarded as it came: the origin would get another one than was sent. */
function whyUnfit(request, target, requestId) {
  const { method } = request;
  // It would show the verified identity to the client.
  if (method === "TRACE") {
    return problem(405, "method_not_allowed", "This method is not allowed here", requestId, { headers: { allow: ALLOW } });
  }
  if (request.body !== null) {
    if (request.headers.has("content-length") && request.headers.has("transfer-encoding")) {
      return invalid("Content-Length and Transfer-Encoding contradict each other", requestId);
    }
    // Any other coding would stay on the body and be lost from the headers.
    if ((request.headers.get("transfer-encoding") ?? "chunked").toLowerCase() !== "chunked") return invalid("the transfer coding is not chunked alone", requestId);
    if ((method === "GET" || method === "HEAD") && hasBody(request)) return invalid(`${method} with a body is not forwarded`, requestId);
  }
  // The runtime drops or replaces these; all others it forwards, some of them percent-encoded.
  if (/[^!-~]|#/.test(target)) return invalid("the query has a character that must be percent-encoded", requestId);
  return undefined;
}

function originHeaders(request, config, identity, bearer, requestId, isProxy) {
  const received = request.headers;
  // The runtime's own copy keeps lines that are repeated, and bytes beyond ASCII, as they came. An iterator would cost more than `forEach`.
  const headers = new Headers(received);
  received.forEach((_, name) => {
    if (isKnownRemoved(name)) headers.delete(name);
  });
  for (const name of namedByConnection(received)) headers.delete(name);
  if (received.get("upgrade")?.toLowerCase() === "websocket") headers.set("upgrade", "websocket");
  if (bearer) headers.set("authorization", received.get("authorization"));
  const address = clientAddress(request, config, isProxy);
  if (address) headers.set("x-forwarded-for", address);
  const host = received.get("host");
  if (host) headers.set("x-forwarded-host", host);
  headers.set("x-forwarded-proto", request.url.startsWith("https:") ? "https" : "http");
  if (identity !== undefined) {
    for (const [name, value] of identity.headers) headers.set(name, value);
  }
  headers.set("x-request-id", requestId);
  notePassage(headers, request, config.loop_name);
  return headers;
}

/** The headers that `Connection` declares to be its neighbour's business. */
function namedByConnection(headers) {
  const names = headers.get("connection")?.split(",").map((name) => name.trim());
  return names?.filter((name) => /^[\w!#$%&'*+.^`|~-]+$/.test(name)) ?? [];
}

/**
 * The origin's answer, streamed, without what was meant for this side alone. A `personal` one gets a `Cache-Control` that keeps shared caches from
 * serving it to somebody else; what an anonymous route answers is for everybody and may be cached as it says.
 */
function passedBack(response, personal) {
  const answer = new Response(response.body, response);
  const { headers } = answer;
  for (const name of namedByConnection(response.headers)) headers.delete(name);
  for (const name of TO_THE_NEIGHBOUR) headers.delete(name);
  if (personal) {
    for (const name of TO_SINGLE_CACHES) headers.delete(name);
    headers.set("cache-control", privateCacheControl(headers.get("cache-control")));
  }
  return answer;
}

/** `Cache-Control` for one caller alone: what it says of private caches is kept. */
export function privateCacheControl(value) {
  const directives = value?.match(/(?:"[^"]*(?:"|$)|[^,"])+/g)?.map((directive) => directive.trim()) ?? [];
  const own = directives.filter((directive) => directive !== "" && !/^(public|private|s-maxage|proxy-revalidate)\b/i.test(directive));
  return ["private", ...own].join(", ");
}
