// Makes the database of better-auth: its tables, one person, and that person's keys, which are the lines of a file.
//
//   node seed.mjs FILE KEYS

import { readFileSync } from "node:fs";
import { argv } from "node:process";
import { getMigrations } from "better-auth/db/migration";
import { PERMISSIONS, open } from "./auth.mjs";

const keys = readFileSync(argv[3], "utf8").split("\n").filter((line) => line !== "");
let drawn = 0;
const { database, options, auth } = open(argv[2], () => keys[drawn++]);

const { runMigrations } = await getMigrations(options);
await runMigrations();
database.exec("BEGIN");
const { internalAdapter } = await auth.$context;
const { id: userId } = await internalAdapter.createUser({ name: "Ann", email: "ann@example.com", emailVerified: true });
while (drawn < keys.length) await auth.api.createApiKey({ body: { userId, permissions: PERMISSIONS } });
database.exec("COMMIT");
database.close();
