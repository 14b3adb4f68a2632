// The hashes that better-auth's API-key plugin stores of the keys on the command line, as JSON in their order.
import { defaultKeyHasher } from "@better-auth/api-key";

console.log(JSON.stringify(await Promise.all(process.argv.slice(2).map(defaultKeyHasher))));
