// The list of API keys in the browser: opens the form for a new key over it, and revokes and deletes keys through /v1. The server renders
// the list; this script never builds a row itself.

import { announce, attempt, call, localTimes, open } from "./ui.mjs";
import { openForm, whenStored } from "./new-key.mjs";

const byId = (id) => document.getElementById(id);
const newKeyButton = byId("new-key-button");

newKeyButton.form.addEventListener("submit", (event) => {
  event.preventDefault();
  openForm();
});

whenStored(async () => {
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
