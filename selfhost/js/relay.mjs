// Runs in the control process, on a socket of its own: lets the edge processes of this machine reach the control plane's Durable Objects, as a
// binding with `script_name` does on Cloudflare. Only who knows this start's secret is served.

export default {
  async fetch(request, env) {
    if (request.headers.get("keyward-relay-secret") !== env.RELAY_SECRET) return new Response(null, { status: 403 });
    const [namespace, name] = request.headers.get("keyward-relay-object").split("/");
    const headers = new Headers(request.headers);
    headers.delete("keyward-relay-secret");
    headers.delete("keyward-relay-object");
    const objects = env[namespace];
    try {
      const stub = objects.get(objects.idFromName(decodeURIComponent(name)));
      const answer = await stub.fetch(new Request(request, { headers, redirect: "manual" }));
      return marked(answer, "answered");
    } catch (error) {
      return marked(new Response(String(error), { status: 500 }), "failed");
    }
  },
};

// Tells an object's own answer from any other.
function marked(answer, outcome) {
  const response = new Response(answer.body, answer);
  response.headers.set("keyward-relay", outcome);
  return response;
}
