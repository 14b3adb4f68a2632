// Runs in an edge process: Durable Object classes that pass every request on to the object of the same name in the control process. What a
// binding throws where the object cannot be reached or fails, these throw too.

function relayed(namespace) {
  return class {
    constructor(state, env) {
      this.object = `${namespace}/${encodeURIComponent(state.id.name)}`;
      this.env = env;
    }

    async fetch(request) {
      const headers = new Headers(request.headers);
      headers.set("keyward-relay-secret", this.env.RELAY_SECRET);
      headers.set("keyward-relay-object", this.object);
      const answer = await this.env.RELAY.fetch(new Request(request, { headers, redirect: "manual" }));
      const outcome = answer.headers.get("keyward-relay");
      if (outcome === "failed") throw new Error(`${this.object} failed: ${await answer.text()}`);
      if (outcome !== "answered") throw new Error(`${this.object} is out of reach: status ${answer.status}`);
      const response = new Response(answer.body, answer);
      response.headers.delete("keyward-relay");
      return response;
    }
  };
}

export const Shard = relayed("SHARDS");
export const Feed = relayed("FEED");
export const Registry = relayed("REGISTRY");

export default {
  fetch() {
    return new Response(null, { status: 404 });
  },
};
