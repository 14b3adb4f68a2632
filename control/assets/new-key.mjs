// The form for a new key, over the list or on its own page: what it shows, what it asks the API for, what is wrong with it. `birth.mjs`
// makes the key and shows it.

import { attempt, open, Refused } from "./ui.mjs";
import { Birth } from "./birth.mjs";

const byId = (id) => document.getElementById(id);
const form = byId("create-form");
const box = byId("create-dialog") ?? byId("create-page"); // what the form stands in
const button = document.querySelector("[type=submit][form=create-form]");
const birth = new Birth(form, byId("create-birth"), button.textContent);

// The form.

/** Opens the form over the list, with what was typed before and not sent. */
export function openForm() {
  open(box);
  birth.getReady();
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
if (box.id === "create-page") birth.getReady();

form.addEventListener("submit", (event) => {
  event.preventDefault();
  showProblems([]);
  attempt(box, button, create);
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

// Making it.

let stored = () => location.assign("/admin/keys");

/** What happens when somebody says that the key is stored, instead of going to the list. */
export function whenStored(work) {
  stored = work;
}

async function create() {
  try {
    await birth.make("/v1/keys", wanted, () => {
      form.reset();
      if (box.open) box.close();
    });
    stored();
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

// A page that the browser kept for going back to has a form that was sent, and no key.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
