// What the administration page loads to draw keys in the browser: the crate `browser/` as WebAssembly, and its bindings. The Worker runs
// nothing of it. It is served under addresses that name its content, and Rust is told those addresses as if they were settings.

import script from "./browser.js.bin";
import wasm from "./browser.wasm.bin";

const HEADERS = {
  "cache-control": "public, max-age=31536000, immutable",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "referrer-policy": "same-origin",
  "x-content-type-options": "nosniff",
};

let files; // by address; a promise once they were asked for

/** The files by the path that they are served at. Their hashes are reckoned once per isolate, with the first request. */
function served() {
  files ??= Promise.all([
    file("BROWSER_SCRIPT", "browser", "mjs", "text/javascript; charset=utf-8", script),
    file("BROWSER_WASM", "browser", "wasm", "application/wasm", wasm),
  ]).then((all) => new Map(all.map((one) => [one.path, one])));
  return files;
}

async function file(variable, name, ending, type, body) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", body));
  const hash = [...digest.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return { variable, path: `/assets/${name}.${hash}.${ending}`, type, body };
}

/** `env` with the addresses in it. */
export async function told(env) {
  const known = Object.create(env);
  for (const { variable, path } of (await served()).values()) known[variable] = path;
  return known;
}

/** The answer to a request for one of the files; for another request none. */
export async function answer(request) {
  if (request.method !== "GET" && request.method !== "HEAD") return undefined;
  const found = (await served()).get(new URL(request.url).pathname);
  if (!found) return undefined;
  const headers = { ...HEADERS, "content-type": found.type, "x-request-id": crypto.randomUUID().replaceAll("-", "") };
  return new Response(request.method === "HEAD" ? null : found.body, { headers });
}
