// What a resource server does with a token: a library for OAuth 2.0 asks the endpoint. Reads `{edge, caller, token, hint}`; says what the library
// makes of the answer: `{result}`, or `{status, challenges}` where it is refused.

import { text } from "node:stream/consumers";
import * as oauth from "openid-client";

const { edge, caller, token, hint } = JSON.parse(await text(process.stdin));
const server = { issuer: edge, introspection_endpoint: `${edge}/.keyward/introspect` };
// The endpoint takes a key as Bearer credential (RFC 7662 §2.1), which the library leaves to its user.
const authenticate = (_server, _client, _body, headers) => headers.set("authorization", `Bearer ${caller}`);
const config = new oauth.Configuration(server, "a-resource-server", {}, authenticate);
oauth.allowInsecureRequests(config); // plain HTTP, on one machine
try {
  console.log(JSON.stringify({ result: await oauth.tokenIntrospection(config, token, hint && { token_type_hint: hint }) }));
} catch (error) {
  if (error.code !== "OAUTH_WWW_AUTHENTICATE_CHALLENGE") throw error;
  console.log(JSON.stringify({ status: error.status, challenges: error.cause }));
}
