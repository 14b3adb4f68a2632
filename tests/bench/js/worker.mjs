// The verifier in JavaScript as a Worker: it answers a proxy's question about a request, or forwards the request itself, as `MODE` says.

import { forward } from "./gateway.mjs";
import { credential, verify } from "./verifier.mjs";

export default {
  async fetch(request, env) {
    const { headers } = request;
    const requestId = crypto.randomUUID();
    const asks = env.MODE === "verify";
    const method = asks ? headers.get("x-original-method") : request.method;
    const target = asks ? headers.get("x-original-uri") : request.url.slice(request.url.indexOf("/", request.url.indexOf("//") + 2));
    if (!method || !target) return refused(400, requestId);
    const mark = target.indexOf("?");
    const { status, record } = await verify(env, credential(headers), method, mark < 0 ? target : target.slice(0, mark));
    if (status !== 200) return refused(status, requestId);
    if (!asks) return forward(request, target, env, record, requestId);
    return new Response(null, { headers: { "cache-control": "no-store", "x-request-id": requestId } });
  },
};

function refused(status, requestId) {
  const headers = { "content-type": "application/problem+json", "cache-control": "no-store", "x-request-id": requestId };
  if (status === 401) headers["www-authenticate"] = 'Bearer realm="api"';
  return new Response(JSON.stringify({ status, request_id: requestId }), { status, headers });
}
