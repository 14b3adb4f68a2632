// The list of API keys in the browser: creates, shows once, revokes and deletes keys through /v1. The server renders the list; this script
// never builds a row itself. A new key lives only in the element that shows it, and only until its dialog closes.

import { announce, attempt, call, localTimes, open } from "./ui.mjs";

const byId = (id) => document.getElementById(id);
const newKeyButton = byId("new-key-button");
const createDialog = byId("create-dialog");
const createForm = byId("create-form");
const createdDialog = byId("created-dialog");
const newKey = byId("new-key");

// Create.

newKeyButton.addEventListener("click", () => {
  createForm.reset();
  open(createDialog);
  createForm.elements.name.focus();
});

createForm.addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(createDialog, createDialog.querySelector("[type=submit]"), async () => {
    const body = { name: createForm.elements.name.value };
    const day = createForm.elements.expires.value;
    if (day) body.expires_at = endOfDay(day);
    const response = await call("POST", "/v1/keys", body);
    // Straight into the element: no variable of this script keeps the key.
    newKey.textContent = (await response.json()).key;
    createDialog.close();
    createdDialog.showModal();
    newKey.focus();
  });
});

/** The last second of a day (`2027-01-31`) in the reader's zone, as RFC 3339 in UTC. */
function endOfDay(day) {
  const [year, month, date] = day.split("-").map(Number);
  const end = new Date(year, month - 1, date, 23, 59, 59);
  end.setFullYear(year); // years below 100 mean the 20th century to the constructor
  return end.toISOString().replace(/\.\d+Z$/, "Z");
}

// The new key: closed only by the button.

byId("copy-key").addEventListener("click", async () => {
  const status = byId("copy-status");
  try {
    await navigator.clipboard.writeText(newKey.textContent);
    status.textContent = "Copied. Paste it into your secrets manager.";
  } catch {
    getSelection().selectAllChildren(newKey);
    status.textContent = "The browser does not allow copying here. The key is selected: copy it with the keyboard.";
  }
});

createdDialog.addEventListener("keydown", (event) => {
  if (event.key === "Escape") event.preventDefault();
});
createdDialog.addEventListener("cancel", (event) => event.preventDefault());
createdDialog.addEventListener("close", () => {
  // A browser may close a dialog in spite of all this (the back gesture): as long as the key is there, show it.
  if (newKey.textContent) createdDialog.showModal();
});
addEventListener("beforeunload", (event) => {
  if (newKey.textContent) event.preventDefault();
});

byId("stored-key").addEventListener("click", async () => {
  getSelection().removeAllRanges();
  newKey.replaceChildren();
  byId("copy-status").replaceChildren();
  createForm.reset();
  createdDialog.close();
  await reloadList("/admin/keys");
  announce("The key was created.");
  newKeyButton.focus();
});

// Revoke and delete.

const actions = {
  revoke: {
    dialog: byId("revoke-dialog"),
    send: (id) => call("POST", `/v1/keys/${encodeURIComponent(id)}/revoke`, {}),
    done: (name) => `“${name}” was revoked. It stops working everywhere within a few minutes.`,
  },
  delete: {
    dialog: byId("delete-dialog"),
    send: (id) => call("DELETE", `/v1/keys/${encodeURIComponent(id)}`),
    done: (name) => `“${name}” was deleted.`,
  },
};

let chosen = null; // the row that the open dialog is about: { id, name }

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-action]");
  if (!button) return;
  const { keyId, name } = button.closest("tr").dataset;
  chosen = { id: keyId, name };
  const { dialog } = actions[button.dataset.action];
  dialog.querySelector("[data-slot=name]").textContent = name;
  open(dialog);
});

for (const { dialog, send, done } of Object.values(actions)) {
  const confirm = dialog.querySelector("[data-confirm]");
  confirm.addEventListener("click", () =>
    attempt(dialog, confirm, async () => {
      const { id, name } = chosen;
      await send(id);
      dialog.close();
      await reloadList(location.href);
      announce(done(name));
      (rowOf(id)?.querySelector("button") ?? newKeyButton).focus();
    }),
  );
}

// The list.

function rowOf(id) {
  return document.querySelector(`tr[data-key-id="${CSS.escape(id)}"]`);
}

/** Fetches the page again and takes its list. Where that fails, the browser loads the page and shows what there is. */
async function reloadList(address) {
  try {
    const response = await fetch(address, { credentials: "same-origin", cache: "no-store" });
    const list = response.ok && new DOMParser().parseFromString(await response.text(), "text/html").getElementById("keys");
    if (!list) throw new Error("no list");
    localTimes(list);
    byId("keys").replaceWith(document.adoptNode(list));
    history.replaceState(null, "", address);
  } catch {
    location.assign(address);
  }
}
