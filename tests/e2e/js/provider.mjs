// An identity provider for tests, on this machine: node-oidc-provider, which signs people in (authorization code with PKCE) and gives out JWT
// access tokens for the client that asks (client credentials, RFC 6749 §4.4; resource indicators, RFC 8707), and beside it what Cloudflare
// Access shows of itself: its keys, and assertions signed with one of them.
//
// `node provider.mjs PORT ACCESS_PORT ALGORITHM` draws new keys at every start, prints "ready" and runs until it is ended. Any client is
// known, with "secret" as its secret. One called `web@<redirect URI>` signs people in, `public@<redirect URI>` too, without a secret. People are
// whom they say they are. The header X-Claims of a token request is what the token says besides, as JSON.
// `POST /assertion` on ACCESS_PORT signs the claims in its body.

import { generateKeyPairSync, randomUUID, sign } from "node:crypto";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { Provider } from "oidc-provider";

const [port, accessPort, algorithm] = process.argv.slice(2);
const [issuer, access] = [port, accessPort].map((port) => `http://127.0.0.1:${port}`);

function draw(algorithm) {
  const kinds = { RS256: ["rsa", { modulusLength: 2048 }], ES256: ["ec", { namedCurve: "P-256" }], EdDSA: ["ed25519", {}], Ed25519: ["ed25519", {}] };
  const { privateKey, publicKey } = generateKeyPairSync(...kinds[algorithm]);
  const named = { kid: randomUUID(), alg: algorithm, use: "sig" };
  return { privateKey, jwk: { ...privateKey.export({ format: "jwk" }), ...named }, shown: { ...publicKey.export({ format: "jwk" }), ...named } };
}

const LIFETIME_S = 300;
const resources = {
  enabled: true,
  defaultResource: () => undefined,
  getResourceServerInfo: (_context, resource) => ({
    scope: "api",
    audience: resource,
    accessTokenTTL: LIFETIME_S,
    accessTokenFormat: "jwt",
    jwt: { sign: { alg: algorithm } },
  }),
};

// A client that is asked for is there: its id is whom its tokens speak of.
class Clients {
  constructor(model) {
    this.model = model;
    this.kept = new Map();
  }

  async find(id) {
    if (this.model !== "Client") return this.kept.get(id);
    const [kind, redirectUri] = id.split(/@(.*)/s);
    const usual = { client_id: id, client_secret: "secret", id_token_signed_response_alg: algorithm };
    if (!redirectUri) {
      const method = "client_secret_post";
      return { ...usual, grant_types: ["client_credentials"], redirect_uris: [], response_types: [], token_endpoint_auth_method: method };
    }
    const web = { ...usual, grant_types: ["authorization_code"], redirect_uris: [redirectUri], response_types: ["code"] };
    if (kind !== "public") return { ...web, token_endpoint_auth_method: "client_secret_basic" };
    return { ...web, client_secret: undefined, token_endpoint_auth_method: "none" };
  }

  async findByUid(uid) {
    return [...this.kept.values()].find((payload) => payload.uid === uid);
  }

  async consume(id) {
    this.kept.get(id).consumed = Math.floor(Date.now() / 1000);
  }

  async revokeByGrantId(grantId) {
    for (const [id, payload] of this.kept) if (payload.grantId === grantId) this.kept.delete(id);
  }

  async upsert(id, payload) {
    this.kept.set(id, payload);
  }

  async destroy(id) {
    this.kept.delete(id);
  }
}

const provider = new Provider(issuer, {
  adapter: Clients,
  claims: { openid: ["sub"], profile: ["name"], email: ["email"] },
  clientAuthMethods: ["client_secret_basic", "client_secret_post", "none"],
  conformIdTokenClaims: false,
  cookies: { keys: [randomUUID()] },
  enabledJWA: { clientAuthSigningAlgValues: [], idTokenSigningAlgValues: [algorithm] },
  extraTokenClaims: (context) => JSON.parse(context.get("x-claims") || "{}"),
  features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false }, resourceIndicators: resources },
  findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id, name: id }) }),
  interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
  jwks: { keys: [draw(algorithm).jwk] },
  loadExistingGrant,
  pkce: { required: () => true },
  scopes: ["openid", "api"],
  ttl: { AccessToken: LIFETIME_S, AuthorizationCode: 60, ClientCredentials: LIFETIME_S, Grant: 3600, IdToken: LIFETIME_S, Interaction: 600, Session: 3600 },
});

// Nobody is asked what this client may know of them.
async function loadExistingGrant({ oidc }) {
  const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
  grant.addOIDCScope(oidc.params.scope);
  await grant.save();
  return grant;
}

const QUESTION = `<!doctype html><title>Who are you?</title><form method="post"><label>Login <input name="login"></label>
<button>Continue</button> <button name="cancel" value="1">Cancel</button></form>`;

provider.use(async (context, next) => {
  if (!context.path.startsWith("/interaction/")) return next();
  if (context.method !== "POST") {
    context.type = "html";
    context.body = QUESTION;
    return;
  }
  const form = new URLSearchParams(await text(context.req));
  const result = form.has("cancel") ? { error: "access_denied" } : { login: { accountId: form.get("login") } };
  context.redirect(await provider.interactionResult(context.req, context.res, result));
  context.status = 303;
});

const certificate = draw("RS256");

function assertion(claims) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const input = `${part({ alg: "RS256", kid: certificate.jwk.kid, typ: "JWT" })}.${part(claims)}`;
  return `${input}.${sign("sha256", Buffer.from(input), certificate.privateKey).toString("base64url")}`;
}

const beside = createServer(async (request, response) => {
  if (request.url === "/cdn-cgi/access/certs") {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ keys: [certificate.shown], public_certs: [] }));
  } else if (request.url === "/assertion" && request.method === "POST") {
    const seconds = Math.floor(Date.now() / 1000);
    const usual = { iss: access, type: "app", iat: seconds, nbf: seconds, exp: seconds + LIFETIME_S, sub: randomUUID() };
    response.end(assertion({ ...usual, ...JSON.parse(await text(request)) }));
  } else {
    response.writeHead(404).end();
  }
});

await new Promise((resolve) => provider.listen(Number(port), "127.0.0.1", resolve));
await new Promise((resolve) => beside.listen(Number(accessPort), "127.0.0.1", resolve));
console.log("ready");
