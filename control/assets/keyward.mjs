// The list of API keys in the browser: creates, shows once, revokes and deletes keys through /v1, and rewrites
// times to the reader's zone. The server renders the list; this script never builds a row itself. A new key
// lives only in the element that shows it, and only until its dialog closes.

const byId = (id) => document.getElementById(id);
const newKeyButton = byId("new-key-button");
const createDialog = byId("create-dialog");
const createForm = byId("create-form");
const createdDialog = byId("created-dialog");
const newKey = byId("new-key");

const ENDED = "Your session has ended. Open a new sign-in link, then try again.";
const FIELDS = { name: "Name", expires_at: "Expiry" };

/** A refusal, with the sentences to show. */
class Refused extends Error {
  constructor(sentences) {
    super(sentences.join(" "));
    this.sentences = sentences;
  }
}

// Calls.

async function call(method, path, body) {
  const headers = { accept: "application/json" };
  if (body !== undefined) headers["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error",
    });
  } catch {
    throw new Refused(["No answer came. It may have been done nevertheless: reload the list before you try again."]);
  }
  if (response.ok) return response;
  throw new Refused(response.status === 401 ? [ENDED] : await reasons(response));
}

async function reasons(response) {
  const problem = await response.json().catch(() => null);
  const errors = Array.isArray(problem?.errors) ? problem.errors : [];
  if (errors.length > 0) return errors.map(({ field, detail }) => `${FIELDS[field] ?? field}: ${detail}`);
  return [problem?.detail || problem?.title || `This was refused (status ${response.status}). Try again later.`];
}

// Dialogs.

function say(dialog, sentences) {
  const paragraphs = sentences.map((sentence) => {
    const paragraph = document.createElement("p");
    paragraph.textContent = sentence;
    return paragraph;
  });
  dialog.querySelector("[role=alert]").replaceChildren(...paragraphs);
}

function open(dialog) {
  say(dialog, []);
  dialog.showModal();
}

/** Runs `work` with the button locked; a refusal is said in the dialog, which stays open as it is. */
async function attempt(dialog, button, work) {
  if (button.ariaBusy === "true") return;
  say(dialog, []);
  button.ariaBusy = "true";
  try {
    await work();
  } catch (error) {
    say(dialog, error instanceof Refused ? error.sentences : ["Something went wrong on this page. Reload it and try again."]);
  } finally {
    button.ariaBusy = "false";
  }
}

for (const button of document.querySelectorAll("[data-close]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}

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

function announce(sentence) {
  byId("status").textContent = sentence;
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

function localTimes(root) {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  for (const time of root.querySelectorAll("time[datetime]")) {
    const text = format.format(new Date(time.dateTime));
    time.title = text;
    if (time.dataset.show === "exact") time.textContent = text;
  }
}

localTimes(document);
