// One key's own pages in the browser: times to the second, a dialog instead of the page that asks for a reason, how far a revocation has
// come as it goes on, and in a rotation the old key's use as it falls. The server renders all of it; this only keeps it fresh.

import { announce, dayOf, endOfDay, localTimes, open, say, stamp } from "./ui.mjs";

const byId = (id) => document.getElementById(id);

// Times that only these pages have.

const FORMATS = {
  second: new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" }),
  clock: new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }),
};

function times(root) {
  for (const [show, format] of Object.entries(FORMATS)) {
    for (const time of root.querySelectorAll(`time[data-show=${show}]`)) time.textContent = format.format(new Date(time.dateTime));
  }
  // What a bar of the hours says when it is pointed at begins with its hour.
  for (const bar of root.querySelectorAll(".plot g[data-at]")) {
    const title = bar.querySelector("title");
    const counts = title.textContent.slice(title.textContent.lastIndexOf(": "));
    title.textContent = FORMATS.clock.format(new Date(bar.dataset.at)) + counts;
  }
}

times(document);

// A dialog instead of a page of its own.

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-opens]");
  const dialog = link && byId(link.dataset.opens);
  if (!dialog || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  open(dialog);
  dialog.querySelector("input:not([type=hidden])")?.focus();
});

for (const form of document.querySelectorAll("form[method=post]:not(#rotate-form)")) {
  // Sent twice by a double click it would only say that it was done before.
  form.addEventListener("submit", (event) => {
    if (form.ariaBusy === "true") event.preventDefault();
    else setTimeout(() => (form.ariaBusy = "false"), 15_000); // who stops a page that does not come can send it again
    form.ariaBusy = "true";
  });
}
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[aria-busy]")) form.ariaBusy = "false";
});

// The end of a day is meant in the reader's zone.

const changeForm = byId("change-form");

if (changeForm) {
  const field = changeForm.elements.day;
  const help = byId("change-expires-help");
  const stored = field.dataset.end ?? "";
  if (stored) field.value = dayOf(new Date(stored));
  const first = field.value;
  help.textContent = help.textContent.replace("(UTC)", "in your time zone");
  changeForm.addEventListener("submit", () => {
    changeForm.elements.exact_end.value = !field.value ? "" : stored && field.value === first ? stored : stamp(endOfDay(field.value));
  });
}

// Parts of the page that are fetched again.

const GONE = "gone";

/** What is said above a part of the page that could not be fetched, by the part's id, and how often in a row it could not. */
const stale = new Map();

/** Says that the part `id` is not fresh, after the second time; with the way in, where nobody is signed in any more. */
function missed(id, status) {
  const known = stale.get(id) ?? { count: 0, said: null };
  known.count += 1;
  stale.set(id, known);
  if (known.count < 2) return;
  if (!known.said) {
    known.said = document.createElement("div");
    const alert = Object.assign(document.createElement("div"), { className: "alert", role: "alert" });
    alert.id = `${id}-stale`;
    known.said.append(alert);
    byId(id).before(known.said);
  }
  if (known.status === status) return;
  known.status = status;
  const why = status === 401 ? "your session has ended" : "no answer comes";
  say(known.said, [`What is shown here is not fresh any more: ${why}. This page goes on trying.`], status === 401);
}

function came(id) {
  stale.get(id)?.said?.remove();
  stale.delete(id);
}

/** Takes the part `id` from the page as it is now; gives it, `GONE` where the page has it no more, or null where no page came. */
async function refresh(id) {
  const old = byId(id);
  try {
    const response = await fetch(location.pathname + location.search, { credentials: "same-origin", cache: "no-store" });
    if (!response.ok) {
      missed(id, response.status);
      return null;
    }
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const fresh = page.getElementById(id);
    if (!fresh && !page.querySelector("h1")) {
      missed(id, 0);
      return null;
    }
    came(id);
    if (!fresh) return GONE;
    localTimes(fresh);
    times(fresh);
    // What the reader opened stays open, and who stands on something in it goes on standing there.
    if (old.querySelector("details[open]")) fresh.querySelector("details")?.setAttribute("open", "");
    const stops = (part) => [...part.querySelectorAll("a, summary, [tabindex]")];
    const place = stops(old).indexOf(document.activeElement);
    old.replaceWith(document.adoptNode(fresh));
    stops(fresh)[place]?.focus({ preventScroll: true });
    return fresh;
  } catch {
    missed(id, 0);
    return null;
  }
}

/** Ends when the page is seen. */
function seen() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((done) => document.addEventListener("visibilitychange", () => done(seen()), { once: true }));
}

// How far the last change has come.

const SECOND = 1000;

/** How far this machine's clock is from the server's, so that a wrong clock counts right. */
const skew = Number(byId("propagation")?.dataset.now ?? Date.now()) - Date.now();
const left = (time) => new Date(time.dateTime) - (Date.now() + skew);

function count() {
  for (const end of document.querySelectorAll("#propagation [data-until]")) {
    let rest = end.querySelector(".left");
    if (!rest) {
      rest = document.createElement("span");
      rest.className = "left";
      rest.ariaHidden = "true"; // a number that changes each second is noise to those who listen
      end.append(rest);
    }
    const seconds = Math.ceil(left(end.querySelector("time")) / SECOND);
    rest.textContent = seconds > 0 ? ` (in ${seconds} s)` : " (now)";
  }
}

const STAGES = {
  announced: "The change is announced.",
  over: "The change is in effect everywhere.",
};

/** Looks again when there can be something new, and less often where there was nothing; each stage is said once to those who listen. */
async function follow() {
  let said = byId("propagation").dataset.state;
  let vain = 0; // how often in a row nothing new came
  while (said !== "over") {
    const end = document.querySelector("#propagation [data-until=guaranteed] time");
    const due = end ? left(end) + SECOND / 4 : SECOND;
    await new Promise((done) => setTimeout(done, Math.max(due, SECOND * 2 ** vain)));
    await seen();
    const fresh = await refresh("propagation");
    const state = fresh === GONE ? "over" : fresh?.dataset.state;
    vain = fresh && state !== said ? 0 : Math.min(vain + 1, 4);
    if (!fresh) continue;
    if (fresh === GONE) byId("propagation").remove();
    if (state !== said) announce(STAGES[state]);
    said = state;
    count();
  }
}

if (byId("propagation")) {
  count();
  setInterval(count, SECOND);
  follow();
}

// Rotation: the old one's use. `rotate.mjs` makes the new key.

if (byId("progress")?.hasAttribute("data-live")) {
  setInterval(async () => {
    // Without its steps the page is about something else now: the successor ended.
    if (!document.hidden && (await refresh("progress")) === GONE) location.reload();
  }, 10 * SECOND);
}
