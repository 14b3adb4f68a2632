// Stands in for generated bindings: the same exports, and the same ways to fail as an instance that traps.

let count = 0;
globalThis.__worker_init_state = { criticalError: false, instanceId: 0 };

export function initSync() {
  count = 0;
}

export function __wbg_reset_state() {
  count = 0;
}

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const trap = () => new WebAssembly.RuntimeError("unreachable");

// A panic inside a task that Rust resumes by itself: the hook sets the flag, the trap goes nowhere, and the promise stays unsettled.
async function panic() {
  globalThis.__worker_init_state.criticalError = true;
  return new Promise(() => {});
}

export function fetch(request, env) {
  const { pathname } = new URL(request.url);
  switch (pathname) {
    case "/count":
      return new Response(String(++count));
    case "/trap":
      throw trap();
    case "/stack":
      throw new RangeError("Maximum call stack size exceeded");
    case "/trap-late":
      return sleep(20).then(() => Promise.reject(trap()));
    case "/panic-late":
      return sleep(20).then(panic);
    case "/error":
      return Promise.reject(new Error("not a trap"));
    case "/never":
      return new Promise(() => {});
    default:
      return env.SHARDS.get(env.SHARDS.idFromName("abcd")).fetch(request);
  }
}

class Rows {
  constructor(state) {
    this.sql = state.storage.sql;
    this.sql.exec("CREATE TABLE IF NOT EXISTS rows (path TEXT)");
  }

  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname.endsWith("late")) await sleep(20);
    if (pathname.includes("write")) this.sql.exec("INSERT INTO rows VALUES (?)", pathname);
    if (pathname.endsWith("trap")) throw trap();
    if (pathname.endsWith("panic-late")) await panic();
    return new Response(`${[...this.sql.exec("SELECT * FROM rows")].length} rows`);
  }
}

export class Shard extends Rows {}
export class Registry extends Rows {}
export class Feed extends Rows {}
