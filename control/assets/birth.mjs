// Makes a key for a form, and shows it once. Where the browser can, it draws the key itself and sends only a fingerprint (blind creation):
// the server then never has the key. What the form asks for is the business of the form's own script.

import { call, Refused } from "./ui.mjs";
import { showOnce } from "./secret.mjs";

const HERE = "The key is made in this browser. The server gets only a fingerprint of it and never sees the key.";
const THERE = "The server makes the key, shows it to you once, and keeps only a fingerprint of it.";
const WAS_HERE = "This key was made in this browser: the server never saw it.";
const CANNOT = "This browser cannot make the key itself.";

export class Birth {
  #form;
  #note;
  #button;
  #drawer; // a promise of what draws keys, or of null where this browser cannot; undefined until it is wanted
  #begun = null; // what no answer has come to: { typed, id, path, body, blind }

  /** `form` has the addresses of what draws keys; `note` says where the key is made; `button` is the name of the button that makes it. */
  constructor(form, note, button) {
    this.#form = form;
    this.#note = note;
    this.#button = button.trim();
  }

  /** Loads what draws keys, once the form is seen, and says where the key will be made. */
  getReady() {
    const { script, wasm } = this.#form.dataset;
    if (this.#drawer || !script || !wasm) return;
    const loaded = import(script).then(async (module) => {
      await module.default({ module_or_path: wasm });
      return module;
    });
    const late = new Promise((_, reject) => setTimeout(() => reject(new Error("it takes too long")), 15_000));
    this.#drawer = Promise.race([loaded, late]).catch(() => null);
    this.#drawer.then((module) => {
      this.#note.textContent = module ? HERE : `${CANNOT} ${THERE}`;
    });
  }

  /**
   * Makes the key by a POST to `path` of what `wanted()` gives, calls `done`, and shows the key; ends when it is stored. Sent again after no
   * answer came, with nothing changed, it is still the same key.
   */
  async make(path, wanted, done) {
    const typed = JSON.stringify([path, ...new FormData(this.#form)]);
    if (this.#begun?.typed !== typed) this.#begun = await this.#begin(typed, path, wanted());
    const { id, body, blind } = this.#begun;
    let key, made;
    try {
      made = await call("POST", path, body, { "idempotency-key": id });
      this.#begun = null;
      key = blind ? await this.#putTogether(blind, made) : asMade(made);
    } catch (error) {
      throw this.#refused(error);
    }
    done();
    await showOnce(key, blind ? WAS_HERE : THERE, made);
  }

  /** Everything that one key needs. The secret is drawn here and stays in WebAssembly until the server has said the tag. */
  async #begin(typed, path, body) {
    const id = crypto.randomUUID();
    const told = this.#note.textContent;
    const module = await this.#drawer;
    if (!module && this.#drawer && this.#note.textContent !== told) {
      // Nobody has read yet that the key will be made elsewhere.
      throw new Refused([`${CANNOT} Press ${this.#button} again, and the server makes it.`], 422);
    }
    if (!module) return { typed, id, path, body, blind: null };
    const { prefix, shard } = await call("GET", "/v1/format");
    const blind = module.BlindKey.draw(prefix, shard);
    return { typed, id, path, body: { ...body, digest: blind.digest() }, blind };
  }

  /** The whole key, from what was drawn here and the server's tag. Nobody has it where that fails, so it is revoked then. */
  async #putTogether(blind, made) {
    const { problemWithKey } = await this.#drawer;
    try {
      const key = blind.assemble(made.tag);
      if (!problemWithKey(key)) return key;
    } catch {
      // Told below.
    }
    const end = { reason: "the browser could not put it together" };
    const revoked = await call("POST", `/v1/keys/${encodeURIComponent(made.id)}/revoke`, end).then(() => true, () => false);
    const what = `The server made “${made.name}”, but this browser could not put the key together. Nobody has it, so nobody can use it`;
    throw new Refused([revoked ? `${what}; it was revoked again.` : `${what}. Revoke it in the list.`], 422);
  }

  /** What to say of a refusal. With none at all, and with 409, it may be under way; everything else was not done, and is begun anew. */
  #refused(error) {
    if (!(error instanceof Refused) || !this.#begun) return error;
    if (error.status !== 0 && error.status < 500) {
      if (error.status !== 409) this.#begun = null;
      return error;
    }
    const again = `press ${this.#button} again without changing anything, then there is still only one`;
    const sentence = `No answer came. The key may have been made all the same: ${again}. Otherwise look for it in the list and revoke it.`;
    return new Refused([sentence], error.status);
  }
}

/** The key that the server made. */
function asMade({ key, name }) {
  if (key) return key;
  throw new Refused([`“${name}” was made, but its key was lost on the way here. Revoke it in the list and make a new one.`], 422);
}
