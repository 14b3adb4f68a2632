// How long the origin may take to begin its answer, counted from when it has the whole request, and what is done when that is over. What is sent
// and what becomes of the answer is gateway.mjs.

import { handOver } from "./upload.mjs";

/** Instead of an answer: it did not begin in time. */
export const TIMED_OUT = Symbol("timed out");
/** Instead of an answer: the request's body broke off. */
export const BROKE_OFF = Symbol("broke off");

/**
 * The answer `sent` to a request without a body, or `TIMED_OUT`. Then nobody waits for it any more, and it ends with the client's request.
 *
 * This is most requests, and a signal, or clearing the timer, costs up to 20 µs of CPU each. Neither is needed: a timer ends with the request,
 * and one that is over after the answer began changes nothing.
 */
export function inTime(sent, limitMs) {
  return new Promise((resolve, reject) => {
    setTimeout(resolve, limitMs, TIMED_OUT);
    sent.then(resolve, reject);
  });
}

/**
 * What `send` gives when the body of `request` is put into `init` and handed over, or `TIMED_OUT` or `BROKE_OFF`; then what is being sent is cut off,
 * so that the origin does not take it for whole.
 */
export async function answerToBody(request, init, send, limitMs) {
  const abort = new AbortController();
  let timer;
  let answered = false;
  let gaveUp;
  const giveUp = (why) => {
    gaveUp = { why };
    abort.abort();
  };
  const { body, whole } = handOver(request);
  init.body = body;
  init.signal = abort.signal;
  whole.then((isWhole) => {
    if (answered) return;
    if (isWhole) timer = setTimeout(giveUp, limitMs, TIMED_OUT);
    else giveUp(BROKE_OFF);
  });
  try {
    return await send();
  } catch (error) {
    if (gaveUp === undefined) throw error;
    return gaveUp.why;
  } finally {
    answered = true;
    clearTimeout(timer);
  }
}
