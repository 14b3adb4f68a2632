// The list of API keys in the browser: takes up a key that was made in the dialog over it (`new-key.mjs`), revokes keys through /v1, and lets
// no key into the search. The server renders the list; this script never builds a row itself.

import { announce, attempt, call, here, localTimes, open } from "./ui.mjs";

const byId = (id) => document.getElementById(id);

document.addEventListener("key-stored", async (event) => {
  event.preventDefault();
  await reloadList(here("/admin/keys"));
  announce("The key was created.");
  byId("new-key-button").focus();
});

// Revoke, in a dialog instead of on a page of its own.

const dialog = byId("revoke-dialog");
const confirm = dialog.querySelector("[data-confirm]");

let chosen = null; // the row that the open dialog is about: { id, name }

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-action=revoke]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const { keyId, name } = link.closest("tr").dataset;
  chosen = { id: keyId, name };
  dialog.querySelector("[data-slot=name]").textContent = name;
  open(dialog);
});

confirm.addEventListener("click", () =>
  attempt(dialog, confirm, async () => {
    const { id, name } = chosen;
    await call("POST", `/v1/keys/${encodeURIComponent(id)}/revoke`, {});
    dialog.close();
    await reloadList(location.href);
    announce(`“${name}” was revoked. It stops working everywhere within a few minutes.`);
    (rowOf(id)?.querySelector(".actions a") ?? byId("new-key-button") ?? byId("main")).focus();
  }),
);

// The search. What is searched for stands in the page's address, where no key may be.

const KEY = /[0-9A-Za-z]_[0-9A-Za-z]{40}/;

document.addEventListener("submit", (event) => {
  if (!event.target.matches("form.filters")) return;
  for (const field of event.target.querySelectorAll("input[type=search], input[type=text]")) {
    byId(`${field.id}-problem`)?.remove();
    if (!KEY.test(field.value)) continue;
    event.preventDefault();
    field.value = "";
    const problem = document.createElement("small");
    problem.className = "problem";
    problem.id = `${field.id}-problem`;
    problem.textContent = "That was a key. Never paste one here: search for its name or its id.";
    field.after(problem);
    field.setAttribute("aria-describedby", problem.id);
    field.setAttribute("aria-invalid", "true");
    field.focus();
  }
});

// The list.

function rowOf(id) {
  return document.querySelector(`tr[data-key-id="${CSS.escape(id)}"]`);
}

// Back from another page, the list that the browser kept may have changed; the form over it is as it was left.
addEventListener("pageshow", (event) => {
  if (event.persisted) reloadList(location.href, () => {});
});

/** Fetches the page again and takes its list. Where that fails, the browser loads the page and shows what there is. */
async function reloadList(address, otherwise = load) {
  try {
    const response = await fetch(address, { credentials: "same-origin", cache: "no-store" });
    const list = response.ok && new DOMParser().parseFromString(await response.text(), "text/html").getElementById("keys");
    if (!list) throw new Error("no list");
    localTimes(list);
    // What the reader unfolded stays so.
    if (document.querySelector("#keys details.folds[open]")) list.querySelector("details.folds")?.setAttribute("open", "");
    byId("keys").replaceWith(document.adoptNode(list));
    history.replaceState(null, "", address);
  } catch {
    otherwise(address);
  }
}

/** Also where the page is there already, with a fragment: with one the browser would only scroll. */
function load(address) {
  const url = new URL(address, location);
  url.hash = "";
  location.replace(url);
}
