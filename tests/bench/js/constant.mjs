// The floor of a verifier: a Worker that answers a constant.

export default {
  fetch() {
    return new Response(null, { headers: { "cache-control": "no-store" } });
  },
};
