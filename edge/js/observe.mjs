// Tells what became of requests: a line in the log for what was refused, or passed although a read failed, and for a sample of the rest; a data
// point in Analytics Engine where a dataset is bound; and `Server-Timing` where it is asked for. Nothing here decides anything, costs a request its
// answer, or sees a credential.
//
// A request that passes at once looks at one field, `active`. What is told of the others is gathered by `Observed`; what they read is noted where
// it is read (edge/src/worker/io.mjs). docs/observability.md says what each field means.

import { codeOf } from "./problem.mjs";

/** What becomes of a request that passes; every other code is a problem's. */
const PASSED = new Set(["allowed", "anonymous", "bearer"]);
/** The endpoints whose requests are counted and sampled; of the others only problems are told. */
const TOLD = new Set(["gateway", "forward-auth", "introspect"]);
/** The most reads of one request that are told; introspection may need hundreds. */
const MAX_READS = 20;
const MAX_PATH = 1_024;
/** What an index of Analytics Engine may have, in bytes. */
const MAX_INDEX = 96;
const MAX_BLOB = 1_024;

/** What the isolate tells, by the settings. */
export class Observer {
  /** Whether anything may have to be told of a request that passes at once. */
  active = false;
  #matchedRule;
  #logFailure;
  #settings;
  #refused;
  #allowed;

  /** @param matchedRule gives place and path of the rule for method and path, with a space between; empty where no rule matches */
  constructor(matchedRule, logFailure) {
    this.#matchedRule = matchedRule;
    this.#logFailure = logFailure;
  }

  /** Reads the settings. Gives what is wrong with one, or `undefined`. */
  configure(env) {
    try {
      const settings = readSettings(env);
      this.#settings = settings;
      this.#refused = new Limit(settings.linesPerSecond, "refused");
      this.#allowed = new Limit(settings.linesPerSecond, "allowed");
      this.active = settings.counts || settings.logAllowed > 0 || settings.timing !== "off";
      return undefined;
    } catch (error) {
      return error.message;
    }
  }

  /** A request that passed at once; `undefined` where nothing is to be told of it. `describe` gives its details: see `Observed`. */
  passed(request, env, context, describe) {
    const settings = this.#settings;
    const told = {
      log: picked(settings.logAllowed),
      count: settings.counts && picked(settings.countAllowed),
      timing: isTimed(settings.timing, request),
    };
    if (!told.log && !told.count && !told.timing) return undefined;
    const details = describe();
    const observed = new Observed(this, request, env, context, details, told);
    observed.decided(details.code);
    return observed;
  }

  /** A request that must read something, or is refused. What it gives has an `env` that takes notes. */
  begin(request, env, context, details) {
    return new Observed(this, request, env, context, details, undefined);
  }

  /** @internal How a request of this code is told of, where that was not settled when it passed. */
  wishes(code, request, reads) {
    const settings = this.#settings;
    // Before the settings were read there is nothing to go by.
    if (settings === undefined) return { log: false, count: false, timing: false };
    const passed = PASSED.has(code);
    return {
      log: (settings.logRefused && (!passed || hasFailed(reads))) || (passed && picked(settings.logAllowed)),
      count: settings.counts && (!passed || picked(settings.countAllowed)),
      timing: isTimed(settings.timing, request),
    };
  }

  /** @internal Tells. Whatever goes wrong here is logged and costs nothing else. */
  tell(facts, told, { request, env, context, method, path }) {
    try {
      const passed = PASSED.has(facts.code);
      const limit = passed ? this.#allowed : this.#refused;
      const log = told.log && limit.allows(context);
      if (!log && !told.count) return;
      const rule = path === "" || facts.code === "ambiguous_path" ? "" : this.#matchedRule(method, path);
      const colo = request.cf?.colo;
      if (told.count) env.ANALYTICS.writeDataPoint(dataPoint(facts, rule, colo, passed ? 1 / this.#settings.countAllowed : 1));
      if (log) console.log(line(facts, rule, colo, this.#settings.logPaths ? path : undefined));
    } catch (error) {
      this.#logFailure("edge.observe", error);
    }
  }
}

/**
 * One request, from its arrival to the beginning of its answer.
 *
 * `details`: `requestId`; `endpoint`; `method` and `path` of the route that is asked for; `begun`, by the isolate's clock; of one that passed at
 * once also its `code`; its `identity` (`owner`, `company` and `key`), where that is known before anything is read.
 */
class Observed {
  /** The bindings, with a place for notes: who writes there what is read, and who the key is, is edge/src/worker/io.mjs. */
  env;
  #observer;
  #request;
  #context;
  #details;
  #told;
  #noted = { reads: [] };
  #code;
  #decidedAt;

  constructor(observer, request, env, context, details, told) {
    this.#observer = observer;
    this.#request = request;
    this.#context = context;
    this.#details = details;
    this.#told = told;
    if (details.identity !== undefined) this.#noted.identity = namesOf(details.identity);
    this.env = Object.create(env, { noted: { value: this.#noted } });
  }

  /** The request passes, as `code` says. */
  decided(code) {
    this.#decidedAt = Date.now();
    this.#code = code;
  }

  /** The answer, or the promise of one, with what was wished for; the request is told of when the answer begins. */
  answered(answer) {
    return answer instanceof Promise ? answer.then((response) => this.#finish(response)) : this.#finish(answer);
  }

  #finish(response) {
    const { requestId, endpoint, method, begun } = this.#details;
    const now = Date.now();
    const { identity, reads } = this.#noted;
    const [owner, company, key] = identity?.split("\n") ?? [];
    // What WebAssembly answered itself without a problem was let in too: a proxy's question, an introspection.
    const code = this.#noted.code ?? codeOf(response) ?? this.#code ?? (key === undefined ? "anonymous" : "allowed");
    const isTold = TOLD.has(endpoint) || !PASSED.has(code);
    const told = this.#told ?? (isTold ? this.#observer.wishes(code, this.#request, reads) : {});
    const decidedAt = this.#decidedAt ?? now;
    const facts = { requestId, code, status: response.status, endpoint, method, owner, company, key, reads };
    facts.decideMs = decidedAt - begun;
    if (this.#decidedAt !== undefined && endpoint === "gateway") facts.originMs = now - decidedAt;
    const { path } = this.#details;
    this.#observer.tell(facts, told, { request: this.#request, env: this.env, context: this.#context, method, path });
    return told.timing ? timed(response, facts) : response;
  }
}

/** An identity as edge/src/worker/respond.rs notes it, as far as it is told. */
function namesOf({ owner, company, key }) {
  return `${owner}\n${company}\n${key}`;
}

/** Which endpoint a path belongs to, and the route that is asked about there. */
export function route(request, path, forwardAuth) {
  const { method, headers } = request;
  if (!path.startsWith("/.keyward/")) {
    // A preflight is judged by the request that it announces.
    const announced = method === "OPTIONS" && headers.has("origin") ? headers.get("access-control-request-method") : null;
    return { endpoint: "gateway", method: announced ?? method, path };
  }
  if (path.startsWith("/.keyward/forward-auth/")) {
    const original = forwardAuth === "original";
    const uri = headers.get(original ? "x-original-uri" : "x-forwarded-uri") ?? "";
    const asked = headers.get(original ? "x-original-method" : "x-forwarded-method") ?? "";
    return { endpoint: "forward-auth", method: asked, path: uri.split(/[?#]/, 1)[0] };
  }
  return { endpoint: path === "/.keyward/introspect" ? "introspect" : "other", method, path: "" };
}

/** The settings, each checked; the error names the one that cannot be used. */
function readSettings(env) {
  const text = (name, shipped) => (typeof env[name] === "string" && env[name].trim() !== "" ? env[name].trim() : shipped);
  const word = (name, shipped, ...words) => {
    const value = text(name, shipped);
    if (!words.includes(value)) throw new Error(`setting ${name}: must be ${words.slice(0, -1).join(", ")} or ${words.at(-1)}`);
    return value;
  };
  const share = (name, shipped) => {
    const value = text(name, shipped);
    if (!/^(0|1|0\.\d{1,6}|1\.0{1,6})$/.test(value)) throw new Error(`setting ${name}: must be a number from 0 to 1`);
    return Number(value);
  };
  const lines = text("LOG_LINES_PER_S", "10");
  if (!/^\d{1,4}$/.test(lines) || Number(lines) < 1 || Number(lines) > 1_000) {
    throw new Error("setting LOG_LINES_PER_S: must be a whole number from 1 to 1000");
  }
  const countAllowed = share("ANALYTICS_SAMPLE", "1");
  const bound = env.ANALYTICS !== undefined;
  if (bound && typeof env.ANALYTICS.writeDataPoint !== "function") {
    throw new Error("setting ANALYTICS: must be the binding of an Analytics Engine dataset");
  }
  return {
    logRefused: word("LOG_REFUSED", "on", "on", "off") === "on",
    logAllowed: share("LOG_ALLOWED_SAMPLE", "0"),
    logPaths: word("LOG_PATHS", "off", "on", "off") === "on",
    linesPerSecond: Number(lines),
    timing: word("SERVER_TIMING", "off", "off", "asked", "on"),
    counts: bound,
    countAllowed,
  };
}

/** Whether something did not answer: what passes all the same passes by what is known from before, or by asking elsewhere. */
function hasFailed(reads) {
  return reads.some(({ got }) => got === "failed");
}

function picked(share) {
  return share > 0 && (share >= 1 || Math.random() < share);
}

function isTimed(setting, request) {
  return setting === "on" || (setting === "asked" && request.headers.has("x-keyward-timing"));
}

/** So many lines a second; how many were left out is told when the second is over. */
class Limit {
  #most;
  #event;
  #endsAt = 0;
  #written = 0;
  #leftOut = 0;

  constructor(most, event) {
    this.#most = most;
    this.#event = event;
  }

  allows(context) {
    const now = Date.now();
    // A clock that was set back begins anew, too.
    if (now >= this.#endsAt || now < this.#endsAt - 1_000) {
      this.#told();
      this.#endsAt = now + 1_000;
      this.#written = 0;
    }
    if (this.#written < this.#most) {
      this.#written += 1;
      return true;
    }
    this.#leftOut += 1;
    if (this.#leftOut === 1) context.waitUntil(new Promise((done) => setTimeout(done, this.#endsAt - now)).then(() => this.#told()));
    return false;
  }

  #told() {
    if (this.#leftOut === 0) return;
    console.log(JSON.stringify({ level: "warn", event: "left_out", of: this.#event, lines: this.#leftOut }));
    this.#leftOut = 0;
  }
}

/** One line of the log. Whatever is not known is left out. */
function line(facts, rule, colo, path) {
  const { requestId, code, status, endpoint, method, key, owner, company, decideMs, reads, originMs } = facts;
  const passed = PASSED.has(code);
  const at = rule.indexOf(" ");
  const told = {
    level: (passed ? hasFailed(reads) : status >= 500) ? "warn" : "info",
    event: passed ? "allowed" : "refused",
    request_id: requestId,
    code,
    status,
    endpoint,
    method: /^[A-Z-]{1,32}$/.test(method) ? method : "other",
    key,
    owner,
    company,
    rule: at < 0 ? undefined : Number(rule.slice(0, at)),
    rule_path: at < 0 ? undefined : rule.slice(at + 1),
    decide_ms: decideMs,
    reads: reads.length === 0 ? undefined : reads.slice(0, MAX_READS),
    origin_ms: originMs,
    colo,
    path: path === undefined || path === "" ? undefined : withoutKeys(path.slice(0, MAX_PATH)),
  };
  // JSON leaves these as they are, and some that show logs take them for the end of a line or for a command.
  return JSON.stringify(told).replace(/[\u007f-\u009f\u2028\u2029]/g, (one) => "\\u" + one.charCodeAt(0).toString(16).padStart(4, "0"));
}

/** A path without what could be a key: nobody should send one there, but some do. */
function withoutKeys(path) {
  const long = /[0-9A-Za-z]{39,}/g;
  const plain = path.replace(/%([0-9A-Fa-f]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
  return plain.match(long)?.length === path.match(long)?.length ? path.replace(long, "[long]") : "[encoded]";
}

/** What Analytics Engine is given: docs/observability.md has the queries. */
function dataPoint({ code, key, company, decideMs, originMs }, rule, colo, weight) {
  const blob = (text) => (text ?? "").slice(0, MAX_BLOB);
  return {
    indexes: [(company ?? "-").slice(0, MAX_INDEX)],
    blobs: [code, blob(key), blob(rule), blob(colo), blob(company)],
    doubles: [weight, decideMs + (originMs ?? 0), decideMs],
  };
}

/** The answer with how long the verification took (W3C Server Timing). One that switches protocols stays as it is. */
function timed(response, { decideMs, reads }) {
  if (response.status === 101 || response.webSocket) return response;
  const metrics = [`keyward;dur=${decideMs};desc="${reads.length === 0 ? "warm" : "cold"}"`];
  for (const { read, ms } of reads.slice(0, MAX_READS)) metrics.push(`keyward-${read};dur=${ms}`);
  const answer = new Response(response.body, response);
  answer.headers.append("server-timing", metrics.join(", "));
  return answer;
}
