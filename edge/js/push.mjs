// Push: while there is traffic, one request per feed group in use hangs at the Feed object, which answers when something changes. It is carried
// by `waitUntil` and armed again by the next request. What it brings is checked and judged in WebAssembly like a feed that was polled; polling
// goes on all the same, so whatever happens here costs seconds, never the bound.

import { logFailure } from "./recover.mjs";

/** A hanging request is given up after this: the object answers after 25 s, the platform ends it 30 s after the response. */
const LIMIT_MS = 27_000;
/** When one whose end was never told counts as lost, by the platform's fault. */
const LOST_MS = 31_000;
/** How long a success is taken for a sign that push works. */
const WORKS_MS = 30_000;
/** The least time between two requests for one group. */
const SPACING_MS = 100;
/** How long it is left alone, in poll intervals: where it failed, where the object has no room, where it does not push. */
const FAILED = 1;
const FULL = 6;
const UNSUPPORTED = 30;

export class Push {
  /** When `arm` has something to do, by the isolate's clock: all that a warm request looks at. */
  due = Infinity;
  #instance;
  #bindings;
  #config = { push: "", poll_ms: 0, feed_groups: 0 };
  /** By group: its present request, and when the next one may be made. A new instance begins with a new map: older answers find no place. */
  #groups = new Map();

  constructor(instance, bindings) {
    this.#instance = instance;
    this.#bindings = bindings;
  }

  /** Begins anew, for a new instance. `config.push` is the path to ask; empty where push is off. */
  restart(config) {
    this.#config = config;
    this.#groups = new Map();
    this.due = config.push ? 0 : Infinity;
  }

  /** Whether each group in use has a hanging request, or had one that succeeded a moment ago. */
  works() {
    const now = Date.now();
    const groups = [...this.#groups.values()];
    return groups.length > 0 && groups.every((group) => (group.open && now < group.next) || now < group.succeededAt + WORKS_MS);
  }

  /** Opens the request of one group that has none; of several groups each takes a request that carries it. Never throws. */
  arm(env, context) {
    if (!this.#config.push) return;
    try {
      const now = Date.now();
      let due = Infinity;
      let armed = false;
      for (let number = 0; number < this.#config.feed_groups; number += 1) {
        const stamp = this.#bindings.feed_stamp(number);
        if (stamp < 0) continue;
        let group = this.#groups.get(number);
        if (!armed && now >= (group?.next ?? 0)) {
          armed = true;
          group = { open: true, next: now + LOST_MS, succeededAt: group?.succeededAt ?? 0, failing: group?.failing };
          this.#groups.set(number, group);
          context.waitUntil(this.#hang(env, number, stamp, group));
        }
        due = Math.min(due, group?.next ?? 0);
      }
      this.due = due;
    } catch (error) {
      logFailure("edge.push", this.#instance.failed(error));
    }
  }

  /** One request, from its beginning to what follows from its answer. */
  async #hang(env, number, stamp, group) {
    let pause = FAILED * this.#config.poll_ms;
    let failure;
    try {
      const { status, text } = await ask(env, number, `${this.#config.push}?group=${number}&known=${stamp}`);
      if (this.#groups.get(number) !== group) return;
      if (status === 200) this.#bindings.pushed(number, text);
      if (status === 404) pause = UNSUPPORTED * this.#config.poll_ms;
      if (status === 429) pause = FULL * this.#config.poll_ms;
      // A feed that was not believed leaves the stamp where it was: the same question would be answered at once, again and again.
      if (status === 204 || (status === 200 && this.#bindings.feed_stamp(number) > stamp)) pause = 0;
      else failure = status === 200 ? "the feed is not to be believed" : `status ${status}`;
    } catch (error) {
      failure = String(this.#instance.failed(error));
    }
    if (this.#groups.get(number) !== group) return;
    const now = Date.now();
    group.open = false;
    group.next = now + Math.max(SPACING_MS, pause);
    if (failure === undefined) group.succeededAt = now;
    // Told when it changes, not every time.
    if (failure !== group.failing) console.warn(JSON.stringify({ level: "warn", event: "push", group: number, failure: failure ?? null }));
    group.failing = failure;
    this.due = Math.min(this.due, group.next);
  }
}

/** Asks the Feed object of a group; gives status and text, or throws where there is no answer in time. */
function ask(env, number, target) {
  return new Promise((resolve, reject) => {
    const abort = new AbortController();
    const timer = setTimeout(() => {
      reject(new Error("no answer in time"));
      abort.abort();
    }, LIMIT_MS);
    const answer = async () => {
      const response = await env.FEED.get(env.FEED.idFromName(String(number))).fetch("http://object" + target, { signal: abort.signal });
      return { status: response.status, text: await response.text() };
    };
    answer().then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
