// The form for a new key, over the list or on its own page: what it shows, what it asks the API for, what is wrong with it. `birth.mjs`
// makes the key and shows it.

import { attempt, dayOf, endOfDay, here, inDays, open, Refused, stamp } from "./ui.mjs";
import { Birth } from "./birth.mjs";

const byId = (id) => document.getElementById(id);
const form = byId("create-form");
const box = byId("create-dialog") ?? byId("create-page"); // what the form stands in
const button = document.querySelector("[type=submit][form=create-form]");
const birth = new Birth(form, byId("create-birth"), button.textContent);

// The form.

// Over the list its button opens the form, with what was typed before and not sent.
byId("new-key-button")?.form.addEventListener("submit", (event) => {
  event.preventDefault();
  open(box);
  birth.getReady();
  (form.elements.owner ?? form.elements.name).focus();
});

/** Shows only the fields that the choices made so far ask for. */
function settle() {
  const days = form.elements.expires.value === "date";
  byId("create-last-day-part").hidden = !days;
  form.elements.last_day.disabled = !days; // a day that is none, and not to be seen, must not stand in the way
  byId("create-choice").hidden = form.elements.restricted.value !== "on";
}

form.addEventListener("change", settle);
form.addEventListener("reset", () => queueMicrotask(settle));
form.querySelector("[data-zone]").textContent = " in your time zone";
if (form.dataset.longest) form.elements.last_day.max = dayOf(latest());
settle();
if (box.id === "create-page") birth.getReady();

form.addEventListener("submit", (event) => {
  event.preventDefault();
  showProblems([]);
  attempt(box, button, create);
});

const CONTROLS = {
  owner: "create-owner",
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
    if (!control) continue; // an owner is asked for only in another company
    control.removeAttribute("aria-invalid");
    describe(control, byId(`${id}-help`) ? `${id}-help` : "");
  }
  const elsewhere = [];
  for (const { field, detail } of errors) {
    const id = CONTROLS[field.split(/[.[]/)[0]];
    if (!byId(id)) elsewhere.push(`${field}: ${detail}`);
    if (!byId(id) || byId(`${id}-problem`)) continue;
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
  const { owner, name, networks, restricted } = form.elements;
  const body = { name: name.value };
  const wrong = [];
  if (owner) body.owner = owner.value.trim();
  if (owner && !body.owner) wrong.push({ field: "owner", detail: "Say whose key it will be: the owner’s id." });
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
  if (chosen === "date") return form.elements.last_day.value ? endOf(form.elements.last_day.value) : null;
  return stamp(inDays(form.elements.at.value, chosen));
}

/** The end of the longest life that a key of the company may have, where that is limited. */
function latest() {
  return form.dataset.longest ? inDays(form.elements.at.value, form.dataset.longest) : null;
}

/** The end of the chosen day; on the day of the longest life that life's end. */
function endOf(day) {
  const end = endOfDay(day);
  const last = latest();
  return stamp(last && last < end && dayOf(last) === day ? last : end);
}

// Making it.

let made = false; // whether there was a key on this page

async function create() {
  try {
    await birth.make("/v1/keys", wanted, () => {
      made = true;
      form.reset();
      if (box.open) box.close();
    });
    // The list takes it up where it is on the page; else one goes to it.
    if (document.dispatchEvent(new Event("key-stored", { cancelable: true }))) location.assign(here("/admin/keys"));
  } catch (error) {
    throw error instanceof Refused ? refused(error) : error;
  }
}

/** What to say of a refusal, after what is wrong with fields stands there. */
function refused(error) {
  if (error.errors.length === 0) return error;
  const elsewhere = showProblems(error.errors);
  return new Refused(elsewhere.length > 0 ? elsewhere : ["Something is not right yet: see below."], error.status);
}

// A page that the browser kept for going back to: where it showed a key, that is gone. What was typed and not sent stays, and so does what no
// answer came to: sent again, it makes one key.
addEventListener("pageshow", (event) => {
  if (event.persisted && made) location.reload();
});
