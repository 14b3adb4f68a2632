// An HTTP server of Node.js that asks better-auth about each request's key. It answers 200 or 401; with an origin it passes on what may pass, without
// the credential and with the identity.
//
//   node server.mjs FILE PORT [HOST:PORT of the origin]

import { Agent, createServer, request as send } from "node:http";
import { argv } from "node:process";
import { HEADER, PERMISSIONS, open } from "./auth.mjs";

const [, , file, port, origin] = argv;
const { auth } = open(file);
const agent = new Agent({ keepAlive: true });
const [host, originPort] = origin?.split(":") ?? [];

/** Besides what begins with `x-keyward-` or `x-forwarded-`. */
const REMOVED = new Set([HEADER, "authorization", "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"]);
const OWN = /^(x-keyward|x-forwarded)-/;

createServer((request, response) => {
  answer(request, response).catch((error) => {
    console.error(error);
    if (response.headersSent) response.destroy();
    else response.writeHead(502).end();
  });
}).listen(Number(port), "127.0.0.1");

async function answer(request, response) {
  const key = request.headers[HEADER] ?? "";
  const { valid, key: found } = await auth.api.verifyApiKey({ body: { key, permissions: PERMISSIONS } });
  if (!valid) response.writeHead(401).end();
  else if (origin === undefined) response.writeHead(200, { "content-length": 0 }).end();
  else await forward(request, response, found.referenceId);
}

function forward(request, response, owner) {
  const headers = { "x-keyward-owner": owner };
  for (const [name, value] of Object.entries(request.headers)) if (!REMOVED.has(name) && !OWN.test(name)) headers[name] = value;
  return new Promise((done, failed) => {
    const { method, url: path } = request;
    const sent = send({ agent, host, port: originPort, method, path, headers }, (received) => {
      response.writeHead(received.statusCode, received.headers);
      received.pipe(response).once("finish", done).once("error", failed);
      received.once("error", failed);
    });
    sent.once("error", failed);
    request.pipe(sent);
  });
}
