// Forwards a request that passed to the origin: the credential and everything that could pass for Keyward's own removed, the verified identity
// added, bodies streamed both ways. Who passes is decided before.

/** Headers that never reach the origin, besides those that begin with `x-keyward-`. */
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
  // Origins honour these, so the route could differ from the one that was matched.
  "x-original-url",
  "x-rewrite-url",
  "x-http-method",
  "x-http-method-override",
  "x-method-override",
  // Rewritten below.
  "forwarded",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-real-ip",
  "true-client-ip",
  "cf-connecting-ip",
]);

/** Whether a header (in lower case, as the runtime lists them) is removed. Some origins read `_` as `-`. */
function isRemoved(name) {
  const dashed = name.includes("_") ? name.replaceAll("_", "-") : name;
  return REMOVED.has(dashed) || dashed.startsWith("x-keyward-");
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
      return headers.get("x-real-ip") ?? headers.get("x-forwarded-for")?.split(",").at(-1)?.trim();
    }
    default:
      return headers.get("cf-connecting-ip") ?? undefined;
  }
}

/** The address of `203.0.113.7:4711` or `[2001:db8::1]:4711`, as a plain runtime names its peers. */
function withoutPort(peer) {
  return /^\[(.+)\](?::\d+)?$/.exec(peer)?.[1] ?? /^([^:]+):\d+$/.exec(peer)?.[1] ?? peer;
}

/**
 * Sends the request on and gives the origin's answer.
 *
 * `target` is path and query exactly as they were matched; `identity` is `[owner, company, key id]` or `undefined`; `bearer` says that the
 * request's own Authorization is the origin's business.
 */
export async function forward({ request, target, env, config, identity, bearer, requestId, isProxy }) {
  const headers = originHeaders(request, config, identity, bearer, requestId, isProxy);
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), config.origin_timeout_ms);
  // Without Authorization a shared cache has no reason left not to store the answer, so the platform's is told to stay out.
  const init = { method: request.method, headers, body: request.body, redirect: "manual", cache: "no-store", signal: abort.signal };
  try {
    const sent = config.origin_url === null ? env.ORIGIN.fetch(request.url, init) : fetch(config.origin_url + target, init);
    const response = await sent;
    return response.webSocket ? response : privately(response, identity !== undefined || bearer);
  } catch (error) {
    if (abort.signal.aborted) return problem(504, "origin_timeout", "The application does not answer", requestId);
    console.error(JSON.stringify({ level: "error", event: "origin_unreachable", request_id: requestId, detail: String(error) }));
    return problem(502, "origin_unreachable", "The application cannot be reached", requestId);
  } finally {
    clearTimeout(timer);
  }
}

function originHeaders(request, config, identity, bearer, requestId, isProxy) {
  const headers = new Headers(request.headers);
  for (const name of request.headers.keys()) {
    if (isRemoved(name)) headers.delete(name);
  }
  for (const name of request.headers.get("connection")?.split(",") ?? []) {
    if (/^[\w!#$%&'*+.^`|~-]+$/.test(name.trim())) headers.delete(name.trim());
  }
  if (request.headers.get("upgrade")?.toLowerCase() === "websocket") headers.set("upgrade", "websocket");
  if (bearer) headers.set("authorization", request.headers.get("authorization"));
  const address = clientAddress(request, config, isProxy);
  if (address) headers.set("x-forwarded-for", address);
  const host = request.headers.get("host");
  if (host) headers.set("x-forwarded-host", host);
  headers.set("x-forwarded-proto", request.url.startsWith("https:") ? "https" : "http");
  if (identity !== undefined) {
    headers.set("x-keyward-owner", identity[0]);
    headers.set("x-keyward-company", identity[1]);
    headers.set("x-keyward-key", identity[2]);
  }
  headers.set("x-request-id", requestId);
  return headers;
}

/**
 * The origin's answer with a `Cache-Control` that keeps shared caches from serving it to somebody else. What an anonymous route answers is for
 * everybody and stays as it is.
 */
function privately(response, personal) {
  if (!personal) return response;
  const answer = new Response(response.body, response);
  const value = response.headers.get("cache-control");
  const kept = (value ?? "").split(",").map((directive) => directive.trim());
  const own = kept.filter((directive) => directive !== "" && !/^(public|private|s-maxage|proxy-revalidate)\b/i.test(directive));
  answer.headers.set("cache-control", ["private", ...own].join(", "));
  return answer;
}

function problem(status, code, title, requestId) {
  const document = { type: `urn:keyward:problem:${code}`, title, status, code, detail: title, request_id: requestId };
  const headers = { "content-type": "application/problem+json", "cache-control": "no-store", "x-request-id": requestId };
  return new Response(JSON.stringify(document), { status, headers });
}
