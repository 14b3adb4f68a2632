// hono's bearer authentication over KV, as its documentation ("Bearer Auth Middleware") sets it up: `verifyToken` looks the token up. The store has
// digests only, and each request reads it once: the middleware has no memory of its own.

import { Hono } from "hono";
import { bearerAuth } from "hono/bearer-auth";
import { sha256 } from "hono/utils/crypto";

const PERMISSION = "orders.read";

const app = new Hono();

app.use("*", bearerAuth({ verifyToken }));
app.all("*", (c) => c.body(null));

/** Whether the token's record is there, lives, and may read orders. */
async function verifyToken(token, c) {
  const record = await c.env.KEYS.get(await sha256(token), { type: "json", cacheTtl: 60 });
  if (record === null || record.expires_at <= Date.now() || !record.permissions.includes(PERMISSION)) return false;
  c.set("owner", record.owner);
  return true;
}

export default app;
