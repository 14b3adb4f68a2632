// The edge's reads, each with a limit in time: the replicated store and the objects. Gives text, `null` where the store says that there is
// nothing, and `undefined` where there is no usable answer. Which read is needed, and what an answer is worth, is the verifier's business.

/** The value under `name` in the replicated store, kept at this location for `cacheTtl` seconds. */
export function stored(env, name, cacheTtl, limit) {
  return within(limit, () => env.KEYS.get(name, { cacheTtl }));
}

/** An object's answer to GET, or to POST where there is a body. */
export function ask(env, binding, name, path, body, limit) {
  return within(limit, async (signal) => {
    const objects = env[binding];
    const init = body === undefined ? { signal } : { method: "POST", body, signal };
    const response = await objects.get(objects.idFromName(name)).fetch("http://object" + path, init);
    if (response.status === 200) return response.text();
    await response.body?.cancel();
    return response.ok ? "" : undefined;
  });
}

/** Resolves after `ms` milliseconds. */
export function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** What `work` gives; `undefined` where it fails or takes longer than `limit` milliseconds. */
function within(limit, work) {
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
