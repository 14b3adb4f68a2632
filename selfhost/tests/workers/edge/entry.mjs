// Stands in for the edge Worker in tests of the arrangement: passes requests to whatever a test names.

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const [, part, name] = url.pathname.split("/");
    try {
      if (part === "variable") return new Response(env[name] ?? "(none)");
      if (part === "kv") return Response.json(await env.KEYS.getWithMetadata("k:1", { cacheTtl: 60 }));
      if (part === "origin") return await fetch(env.ORIGIN_URL + "/seen?x=1", request);
      const objects = env[part];
      const target = "https://object.internal/" + url.pathname.split("/").slice(3).join("/") + url.search;
      return await objects.get(objects.idFromName(decodeURIComponent(name))).fetch(target, request);
    } catch (error) {
      return new Response(String(error), { status: 599 });
    }
  },
};
