// What an integrator does with a message: the library that the Standard Webhooks specification publishes decides. Reads
// `{secret, headers, body}`; says `true`, or `false` where the signature is not right.

import { text } from "node:stream/consumers";
import { Webhook, WebhookVerificationError } from "standardwebhooks";

const { secret, headers, body } = JSON.parse(await text(process.stdin));
try {
  new Webhook(secret).verify(body, headers);
  console.log("true");
} catch (error) {
  if (!(error instanceof WebhookVerificationError)) throw error;
  console.log("false");
}
