// Whom a request acts for, as the origin is told: headers that are prepared once per key and change, among them a token that the origin can check
// with the public keys of `/.keyward/jwks.json`. Who passes, and what a key may do, is decided in WebAssembly; requests are sent on in gateway.mjs.
//
// A token lives for a minute and is replaced when half of that is over, so an origin always has time to check it. Where it cannot be signed the
// request waits, and is refused if that fails: none ever goes on without its identity.

import { BadKey, base64url, signingKeys } from "./identity_keys.mjs";

/** How long a token lives, in seconds. */
const LIFE_S = 60;
/** How long signing may take before it counts as failed, in milliseconds. */
const LIMIT_MS = 2_000;
/** How far apart two requests may see the clock, in milliseconds. */
const JITTER_MS = 5_000;
/** The most identities that are kept prepared, and the most characters of all of them together, about. */
const MAX_IDENTITIES = 10_000;
const MAX_CHARACTERS = 32_000_000;
/** About what one identity takes besides the texts that it consists of. */
const OVERHEAD = 1_000;
/** How long verifiers may keep the key set, in seconds. */
const KEY_SET_AGE_S = 300;

const OPTIONAL_HEADERS = ["permissions", "metadata"];

const encoder = new TextEncoder();

/** A setting that cannot be used; the message names it. */
class BadSetting extends Error {}

/** What is prepared, by the number or the text of an identity, and the keys that it is signed with. */
export class Identities {
  #settings = { jwks: [], issuer: "", audience: "", headers: [] };
  #keys = [];
  #importing = new Shared();
  #held = new Map();
  #characters = 0;

  /** Reads the settings and forgets what was prepared. Gives what is wrong with them, where that can be told at once. */
  configure(env) {
    this.#held.clear();
    this.#characters = 0;
    this.#keys = [];
    this.#importing = new Shared();
    try {
      this.#settings = readSettings(env);
      return undefined;
    } catch (error) {
      if (error instanceof BadSetting) return error.message;
      throw error;
    }
  }

  /** Makes the keys usable. Gives what is wrong with them; the Worker must then answer nobody. */
  async ready() {
    if (this.#keys.length === this.#settings.jwks.length) return undefined;
    try {
      await this.#importing.run(async () => {
        this.#keys = await signingKeys(this.#settings.jwks);
      });
      return undefined;
    } catch (error) {
      if (error instanceof BadKey) return settingError("IDENTITY_KEYS", error.message);
      throw error;
    }
  }

  /**
   * The identity with this number; `text` gives what it consists of and is asked once. 0 is no number (they are used up): then the text is asked
   * each time and stands for it.
   */
  of(number, text) {
    const name = number === 0 ? text() : number;
    return this.#held.get(name) ?? this.#keep(name, number === 0 ? name : text());
  }

  #keep(name, text) {
    const identity = new Identity(text, this.#settings, () => this.#keys[0]);
    this.#held.set(name, identity);
    this.#characters += identity.size;
    while (this.#held.size > MAX_IDENTITIES || (this.#held.size > 1 && this.#characters > MAX_CHARACTERS)) {
      const [oldest, { size }] = this.#held.entries().next().value;
      this.#held.delete(oldest);
      this.#characters -= size;
    }
    return identity;
  }

  /** The answer to a request for the public keys; `undefined` where there are none. To be asked when the keys are ready. */
  keySet(request, requestId) {
    if (this.#keys.length === 0) return undefined;
    const headers = { "x-request-id": requestId };
    if (request.method !== "GET" && request.method !== "HEAD") {
      return new Response(null, { status: 405, headers: { ...headers, allow: "GET, HEAD", "cache-control": "no-store" } });
    }
    headers["content-type"] = "application/jwk-set+json";
    headers["cache-control"] = `public, max-age=${KEY_SET_AGE_S}`;
    const body = JSON.stringify({ keys: this.#keys.map((key) => key.published) });
    return new Response(request.method === "HEAD" ? null : body, { headers });
  }
}

/** One key's identity at one revision. */
class Identity {
  #settings;
  #newest;
  #permissions;
  #expiresAt;
  #plain;
  #signing = new Shared();
  // The token may be sent at these times, in milliseconds.
  #from = Infinity;
  #until = -Infinity;

  /** `[name, value]` of each header that the origin gets. They may be sent while `isGood`. */
  headers;

  /** `text`: owner, company, key id, tier or nothing, expiry in milliseconds or 0, permissions, metadata, each on a line. `newest` gives the key that signs. */
  constructor(text, settings, newest) {
    let rest = text;
    const line = () => {
      const end = rest.indexOf("\n");
      const first = rest.slice(0, end);
      rest = rest.slice(end + 1);
      return first;
    };
    [this.owner, this.company, this.key, this.tier] = [line(), line(), line(), line()];
    this.#expiresAt = Number(line()) || Infinity;
    this.#permissions = line();
    this.#settings = settings;
    this.#newest = newest;
    this.size = OVERHEAD + 3 * text.length;
    this.#plain = [
      ["x-keyward-owner", this.owner],
      ["x-keyward-company", this.company],
      ["x-keyward-key", this.key],
    ];
    if (settings.headers.includes("permissions")) this.#plain.push(["x-keyward-permissions", this.#permissions]);
    if (settings.headers.includes("metadata")) this.#plain.push(["x-keyward-metadata", inAscii(rest)]);
    if (settings.jwks.length === 0) {
      this.headers = this.#plain;
      [this.#from, this.#until] = [-Infinity, Infinity];
    }
  }

  /** Whether `headers` can be sent at `now`; otherwise `renew` first. */
  isGood(now) {
    return now >= this.#from && now < this.#until;
  }

  /** Signs a new token. Who asks while that goes on gets the same one. Throws where it fails or takes too long. */
  renew(now) {
    return this.#signing.run(() => this.#sign(now));
  }

  async #sign(now) {
    const { issuer, audience } = this.#settings;
    const { signing, header } = this.#newest();
    const end = Math.floor(this.#expiresAt / 1000);
    const exp = Math.min(Math.floor(now / 1000) + LIFE_S, end);
    const claims = {
      iss: issuer,
      aud: audience,
      sub: this.owner,
      company: this.company,
      permissions: this.#permissions === "" ? [] : this.#permissions.split(" "),
      act: { sub: this.key },
      iat: Math.min(Math.floor(now / 1000), exp),
      exp,
    };
    const signed = `${header}.${base64url(encoder.encode(JSON.stringify(claims)))}`;
    const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, signing, encoder.encode(signed));
    this.headers = [...this.#plain, ["x-keyward-identity", `${signed}.${base64url(new Uint8Array(signature))}`]];
    // A token that ends with its key would not live longer if it were signed again.
    [this.#from, this.#until] = [now - JITTER_MS, exp === end ? this.#expiresAt : now + (LIFE_S / 2) * 1000];
  }
}

/** One piece of work for all who ask for it while it goes on. What was lost with the request that began it is begun again by the next. */
class Shared {
  #running;
  #since;

  run(work) {
    const now = Date.now();
    if (this.#running === undefined || Math.abs(now - this.#since) >= LIMIT_MS) {
      const running = work().finally(() => {
        if (this.#running === running) this.#running = undefined;
      });
      [this.#running, this.#since] = [running, now];
    }
    return inTime(this.#running);
  }
}

function inTime(promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("signing did not end in time")), LIMIT_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function readSettings(env) {
  const text = (name, fallback) => {
    const value = env[name] ?? "";
    if (typeof value !== "string") throw new BadSetting(settingError(name, "must be a text"));
    return value.trim() === "" ? fallback : value.trim();
  };
  const name = (setting, fallback) => {
    const value = text(setting, fallback);
    if (!/^[!-~]{1,255}$/.test(value)) throw new BadSetting(settingError(setting, "must be 1 to 255 visible ASCII characters without space"));
    return value;
  };
  const headers = text("IDENTITY_HEADERS", "").split(",").map((header) => header.trim()).filter((header) => header !== "");
  if (headers.some((header) => !OPTIONAL_HEADERS.includes(header))) {
    throw new BadSetting(settingError("IDENTITY_HEADERS", "must be a list of permissions and metadata"));
  }
  const keys = text("IDENTITY_KEYS", "");
  return {
    jwks: keys === "" ? [] : listOf(keys),
    issuer: name("IDENTITY_ISSUER", "keyward"),
    audience: name("IDENTITY_AUDIENCE", "keyward-origin"),
    headers,
  };
}

/** The JWKs in a text: a list of them, or a JWK Set. What a JSON parser says of a text it cannot read may quote it, so that is not passed on. */
function listOf(text) {
  const wrong = (detail) => new BadSetting(settingError("IDENTITY_KEYS", detail));
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw wrong("must be JSON: a list of private keys as JWKs, or a JWK Set");
  }
  const list = Array.isArray(value) ? value : value?.keys;
  if (!Array.isArray(list)) throw wrong("must be a list of private keys as JWKs, or a JWK Set");
  if (list.length === 0) throw wrong("holds no key; where nothing is to be signed it is left empty");
  return list;
}

function settingError(name, detail) {
  return `setting ${name}: ${detail}`;
}

/** JSON that can stand in a header: everything beyond ASCII, and DEL, escaped. */
function inAscii(json) {
  return json.replace(/[\u007f-\uffff]/g, (unit) => "\\u" + unit.charCodeAt(0).toString(16).padStart(4, "0"));
}
