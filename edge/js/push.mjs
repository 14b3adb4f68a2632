// Push: while there is traffic, one request per feed group in use hangs at the Feed object, which answers when something changes. It is carried
// by `waitUntil` and armed again by the next request. What it brings is checked and judged in WebAssembly like a feed that was polled; polling
// goes on all the same, so whatever happens here costs seconds, never the bound.

/** A hanging request is given up after this: the object answers after 25 s, the platform ends it 30 s after the response. */
const LIMIT_MS = 27_000;
/** One whose end was never told, because the platform ended it, counts as lost after this. */
const LOST_MS = 31_000;
/** For how long a success is taken for a sign that push works. */
const WORKS_MS = 30_000;
/** The least time between two requests for one group. */
const SPACING_MS = 100;

// For how many poll intervals a group's object is left alone. A connection that was lost is tried again soon, but once only. All isolates lose
// theirs at the same moment when an object restarts, so each comes back after another time.
const LOST = () => 0.05 + Math.random() / 10;
const FAILED = () => 1 + Math.random() / 2;
const FULL = 6;
const NOT_SUPPORTED = 30;

/** Keeps the requests of one isolate. */
export class Push {
  /** When `arm` has something to do, by the isolate's clock: all that a warm request looks at. */
  due = Infinity;
  #instance;
  #bindings;
  #logFailure;
  #config = { push: "" };
  // By group: its latest request, and when the next one may be made. A new instance begins with a new map, in which the answers to older ones
  // find no place.
  #groups = new Map();

  constructor(instance, bindings, logFailure) {
    this.#instance = instance;
    this.#bindings = bindings;
    this.#logFailure = logFailure;
  }

  /** Begins anew, for a new instance with these settings. */
  restart(config) {
    this.#config = config;
    this.#groups = new Map();
    this.due = config.push ? 0 : Infinity;
  }

  /** Whether each group in use has a hanging request, or had one that succeeded a moment ago. After a failure the next one has to show it first. */
  works() {
    const now = Date.now();
    const hangs = (group) => group.open && group.failure === undefined && now < group.next;
    const groups = [...this.#groups.values()];
    return groups.length > 0 && groups.every((group) => hangs(group) || now < group.succeededAt + WORKS_MS);
  }

  /** Opens the request of one group that has none; where several lack one, the next requests open the others. Never throws. */
  arm(env, context) {
    if (!this.#config.push) return;
    try {
      const now = Date.now();
      let due = Infinity;
      let armed = false;
      for (let number = 0; number < this.#config.feed_groups; number += 1) {
        const stamp = this.#bindings.take_feed(number);
        if (stamp < 0) continue;
        let group = this.#groups.get(number);
        if (!armed && now >= (group?.next ?? 0)) {
          armed = true;
          group = { open: true, next: now + LOST_MS, succeededAt: group?.succeededAt ?? 0, failure: group?.failure };
          this.#groups.set(number, group);
          context.waitUntil(this.#hang(env, number, stamp, group));
        }
        due = Math.min(due, group?.next ?? 0);
      }
      this.due = due;
    } catch (error) {
      this.#logFailure("edge.push", this.#instance.failed(error));
    }
  }

  /** One request, from its beginning to what follows from its answer. */
  async #hang(env, number, stamp, group) {
    const isCurrent = () => this.#groups.get(number) === group;
    let polls = 0;
    let failure;
    try {
      // Who has nothing is answered at once: after a failure that shows whether the object answers again, before a request hangs there.
      const known = group.failure === undefined ? stamp : 0;
      const { status, text } = await ask(env, number, `${this.#config.push}?group=${number}&known=${known}`);
      if (!isCurrent()) return;
      // After a feed that is not believed, or not newer, the object would answer at once, again and again.
      const succeeded = status === 200 ? this.#bindings.take_feed(number, text) > known : status === 204;
      if (!succeeded) {
        polls = status === 404 ? NOT_SUPPORTED : status === 429 ? FULL : FAILED();
        failure = status === 200 ? "the feed is not to be believed" : `status ${status}`;
      }
    } catch (error) {
      if (!isCurrent()) return;
      polls = group.failure === undefined ? LOST() : FAILED();
      failure = String(this.#instance.failed(error));
    }
    const now = Date.now();
    group.open = false;
    group.next = now + Math.max(SPACING_MS, polls * this.#config.poll_ms);
    if (failure === undefined && group.failure === undefined) group.succeededAt = now;
    // Told when it begins and when it ends, not each time.
    if (failure !== group.failure) console.warn(JSON.stringify({ level: "warn", event: "push", group: number, failure: failure ?? null }));
    group.failure = failure;
    this.due = Math.min(this.due, group.next);
  }
}

/** Asks the Feed object of a group; gives status and text, or fails where there is no answer in time. */
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
    answer()
      .then(resolve, reject)
      .finally(() => clearTimeout(timer));
  });
}
