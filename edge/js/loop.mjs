// Loop protection (RFC 8586): a deployment adds its own name to `CDN-Loop` of what it forwards, and takes nothing that carries it already. Every
// edge of a deployment has the same name, other deployments have others, so they may stand behind each other.
//
// The header is a client's word. All that it can do with it is have its own request refused, so nothing else is derived from it; what others
// wrote there is passed on as it came.

const NAME = "cdn-loop";

/** Whether the request has passed this deployment before. */
export function hasPassed(request, name) {
  const value = request.headers.get(NAME);
  return value !== null && value.split(",").some((entry) => entry.split(";", 1)[0].trim() === name);
}

/** Notes in the headers of what is forwarded that the request has passed this deployment. */
export function notePassage(headers, request, name) {
  const before = request.headers.get(NAME);
  headers.set(NAME, before ? `${before}, ${name}` : name);
}
