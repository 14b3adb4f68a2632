// The shipped edge with one more address: `/decisions?n=…` decides n times about the request that the buffer holds, as the entry does for each request, and
// says how many it let pass. The modules are the edge's own, so what it knows of keys, feed and policy came by ordinary requests.

import * as bindings from "./edge.js";
import edge from "./entry.mjs";

const PASS = 1;
/** How many arguments `decide` takes. With others it may still let a key pass, and what is measured is something else. */
const ARGUMENTS = 8;
const encoder = new TextEncoder();

export default {
  async fetch(request, env, context) {
    const url = new URL(request.url);
    if (url.pathname !== "/decisions") return edge.fetch(request, env, context);
    const n = Number(url.searchParams.get("n"));
    const text = await request.text();
    const buffer = new Uint8Array(bindings.linear_memory().buffer, bindings.buffer(), bindings.buffer_len());
    const [method, path, key] = text.split("\n");
    const { written } = encoder.encodeInto(method + path + key, buffer);
    if (bindings.decide.length !== ARGUMENTS) throw new Error(`decide takes ${bindings.decide.length} arguments`);
    const now = Date.now(); // asking the runtime for the time is no part of a decision
    let passed = 0;
    for (let i = 0; i < n; i += 1) {
      if ((bindings.decide(method.length, path.length, key.length, 0, written, 0, false, now) & 7) === PASS) passed += 1;
    }
    return Response.json({ passed });
  },
};
