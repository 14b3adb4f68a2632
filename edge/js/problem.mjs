// Problem documents (RFC 9457) that the JavaScript side answers with. Most of the edge's refusals are made in WebAssembly; these are for what
// comes after a decision, or without one.

// The codes of answers, for whoever tells of them.
const codes = new WeakMap();

/** An answer with `status` and `code` in the form of all of Keyward's. `detail` must hold no part of a credential. */
export function problem(status, code, title, requestId, { detail = title, headers } = {}) {
  const document = { type: `urn:keyward:problem:${code}`, title, status, code, detail, request_id: requestId };
  const own = { "content-type": "application/problem+json", "cache-control": "no-store", "x-request-id": requestId };
  const answer = new Response(JSON.stringify(document), { status, headers: { ...own, ...headers } });
  codes.set(answer, code);
  return answer;
}

/** The code of an answer that was made here. */
export function codeOf(answer) {
  return codes.get(answer);
}

/** The answer to a request that is not well-formed. */
export function invalid(detail, requestId) {
  return problem(400, "invalid_request", "The request is not valid", requestId, { detail });
}
