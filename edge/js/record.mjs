// Reads the record of a key that this isolate does not know yet: what most requests that must read anything need, so it goes straight to the
// replicated store. Every other read, and what to do when this one gives nothing, is the slow path's (edge/src/worker/io.mjs).

/**
 * What the store has under `name`: its `bytes`, where it has something; `got` and `ms` tell the log of it, as io.mjs would. `limitMs` is how long it
 * may take. The timer is not cleared: it ends with the request, and that is cheaper.
 */
export async function readRecord(env, name, limitMs, cacheTtl) {
  const begun = Date.now();
  const reading = new Promise((resolve, reject) => {
    setTimeout(resolve, limitMs);
    env.KEYS.get(name, { type: "arrayBuffer", cacheTtl }).then(resolve, reject);
  });
  const value = await reading.catch(() => undefined);
  const got = value === undefined ? "failed" : value === null ? "nothing" : "found";
  return { begun, got, ms: Date.now() - begun, bytes: value ? new Uint8Array(value) : undefined };
}
