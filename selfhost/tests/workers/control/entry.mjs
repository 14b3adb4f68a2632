// Stands in for the control Worker in tests of the arrangement: says what it was given, and has objects that remember.

const object = (kind) =>
  class {
    constructor(state) {
      this.state = state;
    }

    async fetch(request) {
      const url = new URL(request.url);
      if (url.pathname === "/throw") throw new Error("on purpose");
      const count = ((await this.state.storage.get("count")) ?? 0) + 1;
      await this.state.storage.put("count", count);
      const seen = { kind, name: this.state.id.name, url: request.url, method: request.method, count };
      if (url.pathname === "/echo") return new Response(request.body, { status: 207, headers: { "x-seen": JSON.stringify(seen) } });
      return Response.json({ ...seen, headers: [...request.headers.keys()] });
    }
  };

export const Shard = object("Shard");
export const Feed = object("Feed");
export const Registry = object("Registry");

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    if (url.pathname === "/variable") return new Response(env[url.searchParams.get("name")] ?? "(none)");
    if (url.pathname === "/put") {
      await env.KEYS.put("k:1", "from control", { metadata: { rev: 1 }, expirationTtl: 600 });
      return new Response("done");
    }
    return env.SHARDS.get(env.SHARDS.idFromName("abcd")).fetch(request);
  },
};
