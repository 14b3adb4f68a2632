// better-auth with its API-key plugin over SQLite, as its documentation ("API Key", "SQLite") sets it up, with Node.js's own SQLite. Its limit of ten
// requests a day and key is off, and the database's journal is the one that does not wait for the disk: both are in its favour.

import { DatabaseSync } from "node:sqlite";
import { apiKey } from "@better-auth/api-key";
import { betterAuth } from "better-auth";

/** The name of the header that carries the key, the plugin's own default. */
export const HEADER = "x-api-key";

/** What a key may do. */
export const PERMISSIONS = { orders: ["read"] };

/** Opens the database in the file. Keys are those that `draw` gives. */
export function open(file, draw) {
  const database = new DatabaseSync(file);
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
  const options = {
    database,
    baseURL: "http://localhost",
    secret: "a secret that signs the sessions of a measurement",
    logger: { disabled: true },
    telemetry: { enabled: false },
    plugins: [apiKey({ rateLimit: { enabled: false }, ...(draw === undefined ? {} : { customKeyGenerator: draw }) })],
  };
  return { database, options, auth: betterAuth(options) };
}
