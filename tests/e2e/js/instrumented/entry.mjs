// Stands before the edge's real entry (real.mjs): records what is given to Analytics Engine, and spoils single requests that ask for it, by their
// `x-spoil`. What is spoilt are the real bindings and the real WebAssembly; nothing of this is part of what is built.

import * as bindings from "./edge.js";
import real from "./real.mjs";
import { panicNext } from "./edge.js";

const ANALYTICS = { writeDataPoint: (point) => console.log(JSON.stringify({ event: "data_point", ...point })) };

// A Rust panic: the isolate's state is borrowed whenever Rust asks for the time within it, and asking for it once more then is a bug. Armed until
// it happens; the time is asked for outside, too.
function panicSoon() {
  const { now } = Date;
  Date.now = () => {
    try {
      bindings.take_feed(0);
    } catch (error) {
      Date.now = now;
      throw error;
    }
    return now();
  };
}

/** Objects that answer as `how` says. */
function objects(how) {
  const answer = async () => {
    switch (how) {
      case "throws":
        throw new Error("the object failed");
      case "hangs":
        return new Promise(() => {});
      case "empty":
        return new Response("");
      case "garbage":
        return new Response("<html>busy</html>");
      default:
        return new Response("spoilt", { status: Number(how) });
    }
  };
  return { idFromName: (name) => name, get: () => ({ fetch: answer }) };
}

function spoilt(env, [what, how]) {
  switch (what) {
    case "panic-at-once":
      panicNext(panicSoon);
      return env;
    case "panic-in-task":
      panicSoon();
      return env;
    case "panic-after-read": {
      const get = (...what) => {
        panicSoon();
        return env.KEYS.get(...what);
      };
      return { ...env, KEYS: { get } };
    }
    case "objects":
      return { ...env, SHARDS: objects(how), FEED: objects(how), REGISTRY: objects(how) };
    default:
      throw new Error(`cannot spoil ${what}`);
  }
}

export default {
  fetch(request, env, context) {
    const bound = { ...env, ANALYTICS };
    const spoil = request.headers.get("x-spoil");
    return real.fetch(request, spoil === null ? bound : spoilt(bound, spoil.split(" ")), context);
  },
};
