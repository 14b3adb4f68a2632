// An identity provider for tests, on this machine: node-oidc-provider, which gives out JWT access tokens for the client that asks
// (client credentials, RFC 6749 §4.4; resource indicators, RFC 8707), and beside it what Cloudflare Access shows of itself: its keys,
// and assertions signed with one of them.
//
// `node provider.mjs PORT ACCESS_PORT ALGORITHM` draws new keys at every start, prints "ready" and runs until it is ended. Any client is
// known, with "secret" as its secret. The header X-Claims of a token request is what the token says besides, as JSON.
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
    return {
      client_id: id,
      client_secret: "secret",
      grant_types: ["client_credentials"],
      id_token_signed_response_alg: algorithm,
      redirect_uris: [],
      response_types: [],
      token_endpoint_auth_method: "client_secret_post",
    };
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
  clientAuthMethods: ["client_secret_post"],
  enabledJWA: { clientAuthSigningAlgValues: [], idTokenSigningAlgValues: [algorithm] },
  extraTokenClaims: (context) => JSON.parse(context.get("x-claims") || "{}"),
  features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false }, resourceIndicators: resources },
  jwks: { keys: [draw(algorithm).jwk] },
  scopes: ["api"],
  ttl: { ClientCredentials: LIFETIME_S },
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
