// Makes a key by the form over the list, or on the form's own page. Where the browser can, it draws the key itself and sends only a
// fingerprint (blind creation): the server then never has the key. `secret.mjs` shows it, once.

import { attempt, call, open, Refused } from "./ui.mjs";
import { showOnce } from "./secret.mjs";

const byId = (id) => document.getElementById(id);
let drawer; // a promise of what draws keys, or of null where this browser cannot; undefined until it is wanted
const form = byId("create-form");
const box = byId("create-dialog") ?? byId("create-page"); // what the form stands in

const BORN_HERE = "The key is made in this browser. The server gets only a fingerprint of it and never sees the key.";
const BORN_THERE = "The server makes the key, shows it to you once, and keeps only a fingerprint of it.";
const WAS_BORN_HERE = "This key was made in this browser: the server never saw it.";
const NO_ANSWER =
  "No answer came. The key may have been made all the same: press Create again without changing anything, then there is still only one. " +
  "Otherwise look for it in the list and revoke it.";

// The form.

/** Opens the form over the list, with what was typed before and not sent. */
export function openForm() {
  open(box);
  getReady();
  form.elements.name.focus();
}

/** Shows only the fields that the choices made so far ask for. */
function settle() {
  byId("create-last-day-part").hidden = form.elements.expires.value !== "date";
  byId("create-choice").hidden = form.elements.restricted.value !== "on";
}

form.addEventListener("change", settle);
form.addEventListener("reset", () => queueMicrotask(settle));
form.querySelector("[data-zone]").textContent = " in your time zone";
settle();
if (box.id === "create-page") getReady();

form.addEventListener("submit", (event) => {
  event.preventDefault();
  showProblems([]);
  attempt(box, document.querySelector("[type=submit][form=create-form]"), create);
});

const CONTROLS = {
  name: "create-name",
  expires_at: "create-expires",
  permissions: "create-permissions",
  allowed_ips: "create-networks",
};

/** Says what is wrong at the fields that it is wrong with; gives what no field shows. */
function showProblems(errors) {
  for (const id of Object.values(CONTROLS)) {
    byId(`${id}-problem`)?.remove();
    const control = byId(id);
    control.removeAttribute("aria-invalid");
    describe(control, byId(`${id}-help`) ? `${id}-help` : "");
  }
  const elsewhere = [];
  for (const { field, detail } of errors) {
    const id = CONTROLS[field.split(/[.[]/)[0]];
    if (!id) elsewhere.push(`${field}: ${detail}`);
    if (!id || byId(`${id}-problem`)) continue;
    const problem = document.createElement("small");
    problem.className = "problem";
    problem.id = `${id}-problem`;
    problem.textContent = detail;
    const control = byId(id);
    const help = byId(`${id}-help`);
    if (control.tagName === "FIELDSET") control.append(problem);
    else {
      (help ?? control).after(problem);
      control.setAttribute("aria-invalid", "true");
    }
    describe(control, help ? `${help.id} ${problem.id}` : problem.id);
  }
  const first = Object.values(CONTROLS).find((id) => byId(`${id}-problem`));
  if (first) (byId(first).tagName === "FIELDSET" ? byId(first).querySelector("input:checked, input") : byId(first)).focus();
  return elsewhere;
}

function describe(control, ids) {
  if (ids) control.setAttribute("aria-describedby", ids);
  else control.removeAttribute("aria-describedby");
}

/** What the API is to make; a refusal where the form does not say it. */
function wanted() {
  const { name, networks, restricted } = form.elements;
  const body = { name: name.value };
  const wrong = [];
  const end = expiry();
  if (end === null) wrong.push({ field: "expires_at", detail: "Choose the last day." });
  else if (end) body.expires_at = end;
  if (restricted.value === "on") {
    const chosen = [...form.querySelectorAll("[name=permission]:checked")].map((box) => box.value);
    body.permissions = [...chosen, ...lines(form.elements.narrower?.value ?? "")];
    if (body.permissions.length === 0) wrong.push({ field: "permissions", detail: "Choose at least one, or everything." });
  }
  if (lines(networks.value).length > 0) body.allowed_ips = lines(networks.value);
  if (wrong.length > 0) throw new Refused([], 422, wrong);
  return body;
}

const lines = (text) =>
  text
    .split(/[\n,]/)
    .map((line) => line.trim())
    .filter(Boolean);

/** When the key expires; `undefined`: never, `null`: the day is missing. */
function expiry() {
  const chosen = form.elements.expires.value;
  if (!chosen) return undefined;
  if (chosen === "date") return form.elements.last_day.value ? endOfDay(form.elements.last_day.value) : null;
  // By the server's clock when it made the page, and what has passed since: a wrong clock here makes no difference.
  const now = Number(form.elements.at.value) * 1000 + performance.now();
  return stamp(new Date(now + Number(chosen) * 86_400_000));
}

/** The last second of a day (`2027-01-31`) in the reader's zone. */
function endOfDay(day) {
  const [year, month, date] = day.split("-").map(Number);
  const end = new Date(year, month - 1, date, 23, 59, 59);
  end.setFullYear(year); // years below 100 mean the 20th century to the constructor
  return stamp(end);
}

/** RFC 3339 in UTC with seconds. */
const stamp = (date) => date.toISOString().replace(/\.\d+Z$/, "Z");

// What draws keys.

/** Loads what draws keys, once the form is open, and says where the key will be made. */
function getReady() {
  const { script, wasm } = form.dataset;
  if (drawer || !script || !wasm) return;
  const loaded = import(script).then(async (module) => {
    await module.default({ module_or_path: wasm });
    return module;
  });
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error("it takes too long")), 15_000));
  drawer = Promise.race([loaded, late]).catch(() => null);
  drawer.then((module) => {
    byId("create-birth").textContent = module ? BORN_HERE : `This browser cannot make the key itself. ${BORN_THERE}`;
  });
}

// Making it.

let begun = null; // a creation that no answer has come to: { typed, id, body, blind }
let stored = () => location.assign("/admin/keys");

/** What happens when somebody says that the key is stored, instead of going to the list. */
export function whenStored(work) {
  stored = work;
}

async function create() {
  const typed = JSON.stringify([...new FormData(form)]);
  try {
    if (begun?.typed !== typed) begun = await begin(typed, wanted());
    const { id, body, blind } = begun;
    const made = await (await call("POST", "/v1/keys", body, { "idempotency-key": id })).json();
    begun = null;
    show(blind ? await putTogether(blind, made) : asMade(made), blind ? WAS_BORN_HERE : BORN_THERE);
  } catch (error) {
    throw error instanceof Refused ? refused(error) : error;
  }
}

function show(key, birth) {
  form.reset();
  if (box.open) box.close();
  showOnce(key).then(() => stored());
  byId("copy-status").textContent = birth;
}

/** The key that the server made. */
function asMade({ key, name }) {
  if (key) return key;
  throw new Refused([`“${name}” was made, but its key was lost on the way here. Revoke it in the list and make a new one.`], 422);
}

/** What to say of a refusal, after what is wrong with fields stands there. */
function refused(error) {
  if (begun && (error.status === 0 || error.status >= 500)) return new Refused([NO_ANSWER], error.status);
  // With 409 it may be under way; everything else was not done, and is begun anew.
  if (error.status !== 409) begun = null;
  if (error.errors.length === 0) return error;
  const elsewhere = showProblems(error.errors);
  return new Refused(elsewhere.length > 0 ? elsewhere : ["Something is not right yet: see below."], error.status);
}

/** Everything that one creation needs. The secret is drawn here and stays in WebAssembly until the server has said the tag. */
async function begin(typed, body) {
  const id = crypto.randomUUID();
  const told = byId("create-birth").textContent;
  const module = await drawer;
  if (!module && drawer && byId("create-birth").textContent !== told) {
    // Nobody has read yet that the key will be made elsewhere.
    throw new Refused(["This browser cannot make the key itself. Press Create again, and the server makes it."], 422);
  }
  if (!module) return { typed, id, body, blind: null };
  const { prefix, shard } = await (await call("GET", "/v1/format")).json();
  const blind = module.BlindKey.draw(prefix, shard);
  return { typed, id, body: { ...body, digest: blind.digest() }, blind };
}

/** The whole key, from what was drawn here and the server's tag. Nobody has it where that fails, so it is revoked then. */
async function putTogether(blind, made) {
  const { problemWithKey } = await drawer;
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

// A page that the browser kept for going back to has a form that was sent, and no key.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
