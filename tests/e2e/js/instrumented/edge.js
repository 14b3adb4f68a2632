// The generated bindings, with a way to spoil the next decision of the warm path, which runs while JavaScript waits for it.

import { decide as real, take_feed } from "./bindings.js";

export * from "./bindings.js";

let spoil;

/** The next decision panics; `panicSoon` is how. */
export function panicNext(panicSoon) {
  spoil = panicSoon;
}

export function decide(...request) {
  if (spoil !== undefined) {
    const panicSoon = spoil;
    spoil = undefined;
    panicSoon();
    take_feed(0, "");
  }
  return real(...request);
}
