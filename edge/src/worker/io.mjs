// The edge's reads, each with a limit in time: the replicated store and the objects. Gives text, `null` where the store says that there is
// nothing, and `undefined` where there is no usable answer. Which read is needed, and what an answer is worth, is the verifier's business.
// Where `env` is that of one request (edge/js/observe.mjs), it takes notes of what is read. And the body of a question, with a limit in size.

/** What a name in the store, by its first letter, and an object, by its binding, are called in notes. */
const STORED = { k: "kv-record", i: "kv-record", f: "kv-feed", p: "kv-policy" };
const OBJECTS = { SHARDS: "shard", FEED: "feed", REGISTRY: "registry" };

/** The value under `name` in the replicated store, kept at this location for `cacheTtl` seconds. */
export function stored(env, name, cacheTtl, limit) {
  return within(env, STORED[name[0]] ?? "kv", limit, () => env.KEYS.get(name, { cacheTtl }));
}

/** An object's answer to GET, or to POST where there is a body. */
export function ask(env, binding, name, path, body, limit) {
  return within(env, OBJECTS[binding] ?? "object", limit, async (signal) => {
    const objects = env[binding];
    const init = body === undefined ? { signal } : { method: "POST", body, signal };
    const response = await objects.get(objects.idFromName(name)).fetch("http://object" + path, init);
    if (response.status === 200) return response.text();
    await response.body?.cancel();
    return response.ok ? "" : undefined;
  });
}

/** The body of `request` as text; `null` where it has more than `most` bytes, `undefined` where it breaks off or is not UTF-8. */
export async function body(request, most) {
  let text = "";
  let read = 0;
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  try {
    if (Number(request.headers.get("content-length")) > most) return null;
    for await (const piece of request.body ?? []) {
      read += piece.byteLength;
      if (read > most) return null;
      text += decoder.decode(piece, { stream: true });
    }
    return text + decoder.decode();
  } catch {
    return undefined;
  }
}

/** Resolves after `ms` milliseconds. */
export function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Notes something about the request that `env` is of: the problem's `code`, or the key's `identity`. */
export function note(env, what, text) {
  if (env.noted !== undefined) env.noted[what] = text;
}

/** What `work` gives within `limit` milliseconds, noted as `read`. */
async function within(env, read, limit, work) {
  const begun = Date.now();
  const value = await limited(limit, work);
  const got = value === undefined ? "failed" : value === null ? "nothing" : "found";
  env.noted?.reads.push({ read, ms: Date.now() - begun, got });
  return value;
}

/** What `work` gives; `undefined` where it fails or takes longer than `limit` milliseconds. */
function limited(limit, work) {
  return new Promise((resolve) => {
    const abort = new AbortController();
    const timer = setTimeout(() => {
      resolve(undefined);
      abort.abort();
    }, limit);
    const done = (value) => {
      clearTimeout(timer);
      resolve(value);
    };
    Promise.resolve(abort.signal)
      .then(work)
      .then(done, () => done(undefined));
  });
}
