// A new key in the browser: shown once, in the dialog or on the page, copied, downloaded, and gone. The key lives only in the element that
// shows it and in the link that downloads it, and only until the reader says that it is stored, or leaves.

const byId = (id) => document.getElementById(id);
const dialog = byId("created-dialog");
const shown = byId("new-key");
const download = byId("download-key");
const status = byId("copy-status");

const time = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

let stored = null; // what to do when the key is stored

/**
 * Shows `key` in the dialog, with a sentence on its `birth` and with what the API said of what was `made`; the promise ends when the reader has
 * stored it.
 */
export function showOnce(key, birth, made) {
  shown.textContent = key;
  byId("created-end").textContent = made.expires_at ? `It works until ${time.format(new Date(made.expires_at))}.` : "It does not expire.";
  const owner = byId("created-owner");
  if (owner) owner.textContent = made.owner;
  download.href = `data:text/plain,${encodeURIComponent(`${download.dataset.variable}=${key}\n`)}`;
  dialog.showModal();
  status.textContent = birth; // now: those who listen hear only what changes while it is there
  shown.focus();
  return new Promise((resolve) => {
    stored = resolve;
  });
}

function forget() {
  getSelection().removeAllRanges();
  shown.replaceChildren();
  download.removeAttribute("href");
  status.replaceChildren();
}

byId("copy-key")?.addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(shown.textContent);
    status.textContent = "Copied. Paste it into your secrets manager.";
  } catch {
    getSelection().selectAllChildren(shown);
    status.textContent = "The browser does not allow copying here. The key is selected: copy it with the keyboard.";
  }
});
download?.addEventListener("click", () => {
  status.textContent = "Downloaded as keyward.env. Move it to where it belongs, and delete the copy in your downloads.";
});

if (dialog) {
  // Closed only by the button.
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "Escape") event.preventDefault();
  });
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  dialog.addEventListener("close", () => {
    // A browser may close a dialog in spite of all this (the back gesture): as long as the key is there, show it.
    if (shown.textContent) dialog.showModal();
  });
  addEventListener("beforeunload", (event) => {
    if (shown.textContent) event.preventDefault();
  });
  byId("stored-key").addEventListener("click", () => {
    forget();
    dialog.close();
    stored?.();
  });
} else if (shown) {
  // The part of a page.
  byId("copy-key").hidden = false;
}

// A page that the browser keeps for its back button must not keep the key.
addEventListener("pagehide", () => {
  if (shown?.textContent) forget();
});
