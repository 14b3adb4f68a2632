// Keeps a WebAssembly instance usable after a panic. Both Workers' entry modules use it; what a caller is answered when a call is lost is theirs
// to say.
//
// A Rust panic ends in a trap: memory may be half-changed and must not be used again. Calls that were waiting inside it would wait for ever. So
// the moment an instance is lost, every pending call is rejected with `InstanceLost`; the next call starts a fresh instance with fresh globals.

/** A call ended because the instance that ran it was lost, by its own fault or by a neighbour's. */
export class InstanceLost extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = "InstanceLost";
  }
}

const CALL_LIMIT_MS = 60_000;
const ALARM_LIMIT_MS = 600_000;

/** What can end an instance: a trap, or a stack that ran out. Ordinary exceptions and rejected promises leave it whole. */
const isTrap = (error) =>
  error instanceof WebAssembly.RuntimeError || (error instanceof RangeError && /call stack/i.test(error.message));

/** One WebAssembly instance, started again when needed. */
export class Instance {
  #bindings;
  #alive = true;
  #generation = 1;
  #pending = new Set();

  /**
   * @param bindings the namespace object of the generated bindings (`import * as bindings from "./edge.js"`), built with a reset function
   * @param module the compiled module (`import module from "./edge_bg.wasm"`)
   */
  constructor(bindings, module) {
    this.#bindings = bindings;
    bindings.initSync({ module });
    this.#watch();
  }

  /** Grows by one at every restart: objects made inside an older instance must be made again. */
  get generation() {
    return this.#generation;
  }

  /** Makes sure that there is a usable instance. Cheap when there is one. Throws what the start threw, if even that fails. */
  ready() {
    if (!this.#alive) this.#restart();
  }

  /** Calls into the instance. A plain result is returned as it is; a promise is settled even if the instance is lost meanwhile. */
  call(work, limit = CALL_LIMIT_MS) {
    this.ready();
    let result;
    try {
      result = work();
    } catch (error) {
      throw this.failed(error);
    }
    return result instanceof Promise ? this.#guard(result, limit) : result;
  }

  /** For a caller that calls exports directly: tells an exception from a lost instance, and gives back what to throw. */
  failed(error) {
    return isTrap(error) ? this.#lost(error) : error;
  }

  // The timer is a last resort. It also tells the runtime that the call is still awaited, which otherwise ends a request whose promise was
  // lost with the instance before the rejection, which comes from another request, has arrived. So it stays until the outcome is here.
  #guard(promise, limit) {
    let timer, abandon;
    const outcome = new Promise((resolve, reject) => {
      timer = setTimeout(() => reject(new InstanceLost("the call did not end in time")), limit);
      abandon = reject;
      this.#pending.add(abandon);
      promise.then(resolve, (error) => reject(this.failed(error)));
    });
    return outcome.finally(() => {
      clearTimeout(timer);
      this.#pending.delete(abandon);
    });
  }

  #restart() {
    this.#bindings.__wbg_reset_state();
    this.#generation += 1;
    this.#alive = true;
  }

  // The restart follows as soon as the trap has left the stack, so that nothing that was waiting can enter the lost instance.
  #lost(cause) {
    const error = new InstanceLost("the WebAssembly instance was lost", { cause });
    if (this.#alive) queueMicrotask(() => this.#alive || this.#restart());
    this.#alive = false;
    for (const reject of this.#pending) reject(error);
    this.#pending.clear();
    return error;
  }

  // Inside a task that Rust resumes by itself nobody waits for an exception. The panic hook of the `worker` crate sets a flag, synchronously,
  // before the trap; traps without a panic (the stack ran out, memory ran out) are seen as uncaught errors.
  #watch() {
    const lost = (cause) => this.#lost(cause);
    const state = globalThis.__worker_init_state;
    if (state !== undefined) {
      Object.defineProperty(state, "criticalError", {
        get: () => !this.#alive,
        set: (value) => {
          if (value) lost(new Error("Rust panic"));
        },
      });
    }
    globalThis.addEventListener("error", (event) => {
      if (isTrap(event.error)) lost(event.error);
    });
    globalThis.addEventListener("unhandledrejection", (event) => {
      if (isTrap(event.reason)) lost(event.reason);
    });
  }
}

/**
 * A Durable Object class around the Rust class of the same name. The Rust object is made at the first call, and again in every new instance, so
 * it must keep nothing in memory that storage does not hold.
 *
 * When a call is lost, the object is aborted: what it wrote since its last await is then undone, callers see an exception at once, and the next
 * request starts the object anew.
 */
export function durableObject(instance, bindings, name) {
  return class {
    #state;
    #env;
    #inner;
    #generation = 0;

    constructor(state, env) {
      this.#state = state;
      this.#env = env;
    }

    fetch(request) {
      return this.#call("fetch", request, CALL_LIMIT_MS);
    }

    alarm() {
      return this.#call("alarm", undefined, ALARM_LIMIT_MS);
    }

    async #call(method, argument, limit) {
      try {
        return await instance.call(() => this.#object()[method](argument), limit);
      } catch (error) {
        logFailure(`${name}.${method}`, error);
        if (error instanceof InstanceLost) this.#state.abort(`${name}: ${error.message}`);
        throw error;
      }
    }

    #object() {
      if (this.#generation !== instance.generation) {
        this.#inner = new bindings[name](this.#state, this.#env);
        this.#generation = instance.generation;
      }
      return this.#inner;
    }
  };
}

/** One JSON line in the log. Errors are told by name and message; a request, and so a credential, is never part of it. */
export function logFailure(where, error) {
  const cause = error?.cause === undefined ? undefined : String(error.cause);
  console.error(JSON.stringify({ level: "error", event: "call_failed", where, error: String(error), cause }));
}
