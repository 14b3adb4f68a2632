// The control Worker's entry: hands requests to Rust and exports the Durable Object classes. Nothing is decided here; `recover.mjs` starts Rust
// again after a panic, `browser.mjs` serves what the pages load from elsewhere than Rust.

import * as bindings from "./control.js";
import module from "./control_bg.wasm";
import { answer, told } from "./browser.mjs";
import { Instance, durableObject, logFailure } from "./recover.mjs";

const instance = new Instance(bindings, module);

export const Shard = durableObject(instance, bindings, "Shard");
export const Registry = durableObject(instance, bindings, "Registry");
export const Feed = durableObject(instance, bindings, "Feed");

export default {
  async fetch(request, env, context) {
    try {
      const known = await told(env);
      return (await answer(request)) ?? (await instance.call(() => bindings.fetch(request, known, context)));
    } catch (error) {
      logFailure("control.fetch", error);
      return unavailable();
    }
  },
};

function unavailable() {
  const id = crypto.randomUUID();
  const problem = {
    type: "urn:keyward:problem:unavailable",
    title: "Unavailable",
    status: 503,
    code: "unavailable",
    detail: "The request could not be processed. Try again.",
    request_id: id,
  };
  const headers = {
    "content-type": "application/problem+json",
    "cache-control": "no-store",
    "retry-after": "1",
    "x-request-id": id,
  };
  return new Response(JSON.stringify(problem), { status: 503, headers });
}
