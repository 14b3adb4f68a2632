// Cloudflare's OAuth provider in one Worker, as its documentation ("One Worker: OAuthProvider") sets it up: requests under the API route reach the
// handler with what the token stands for. Answers 200, or with the binding ORIGIN passes on, without the credential and with the identity.
//
// `/authorize` stands for the page on which a person signs in and consents: here everybody does, so that tokens are issued the ordinary way.

import { OAuthProvider } from "@cloudflare/workers-oauth-provider";

const SCOPE = "orders.read";
const REMOVED = ["authorization", "x-api-key"];
const OWN = /^(x-keyward|x-forwarded)-/;

const apiHandler = {
  async fetch(request, env, ctx) {
    if (!ctx.auth.scope.includes(SCOPE)) return new Response(null, { status: 403 });
    return env.ORIGIN === undefined ? new Response(null) : forward(request, env, ctx.props);
  },
};

const defaultHandler = {
  async fetch(request, env) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/client") return Response.json(await client(env));
    if (pathname !== "/authorize") return new Response(null, { status: 404 });
    const asked = await env.OAUTH_PROVIDER.parseAuthRequest(request);
    const userId = searchParams.get("login_hint") ?? "";
    const granted = { request: asked, userId, metadata: {}, scope: asked.scope, props: { owner: userId } };
    const { redirectTo } = await env.OAUTH_PROVIDER.completeAuthorization(granted);
    return Response.redirect(redirectTo, 302);
  },
};

/** Registers the client that tokens are issued to. */
async function client(env) {
  const { clientId, clientSecret } = await env.OAUTH_PROVIDER.createClient({
    clientName: "load",
    redirectUris: ["https://client.example.com/callback"],
    tokenEndpointAuthMethod: "client_secret_post",
  });
  return { client_id: clientId, client_secret: clientSecret };
}

function forward(request, env, { owner }) {
  const headers = new Headers(request.headers);
  for (const name of REMOVED) headers.delete(name);
  for (const name of [...headers.keys()]) if (OWN.test(name)) headers.delete(name);
  headers.set("x-keyward-owner", owner);
  const { pathname, search } = new URL(request.url);
  return fetch(env.ORIGIN + pathname + search, { method: request.method, headers, body: request.body, redirect: "manual" });
}

export default new OAuthProvider({
  apiRoute: "/orders/",
  apiHandler,
  defaultHandler,
  authorizeEndpoint: "/authorize",
  tokenEndpoint: "/oauth/token",
  scopesSupported: [SCOPE],
  requiredScopes: [SCOPE],
  resourceMetadata: { resource: "https://api.example.com", authorization_servers: ["https://api.example.com"] },
  accessTokenTTL: 24 * 60 * 60,
});
