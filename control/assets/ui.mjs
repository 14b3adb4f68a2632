// What every page of the administration needs in the browser: calls of the API, dialogs, sentences for everybody, times in the reader's
// zone. What a page alone needs is in a module of its own.

const ENDED = "Your session has ended. Nothing that you typed is lost: sign in in a new tab, then come back and try again.";
/** Where one signs in, and is told then to close the tab. */
const SIGN_IN = "/sign-in?return=%2Fadmin%2Fsigned-in";

/** What fields are called, where the form that they are in does not say it itself. */
const FIELDS = { name: "Name", expires_at: "Expiry" };

/**
 * A refusal, with the sentences to show; the API's own with its status and with what is wrong by field. Status 0: no answer came; 401: nobody is
 * signed in any more.
 */
export class Refused extends Error {
  constructor(sentences, status = 0, errors = []) {
    super(sentences.join(" "));
    this.sentences = sentences;
    this.status = status;
    this.errors = errors;
  }
}

// Calls.

/** The path in the company that the page is about, where that is another one than the reader's own. */
export function here(path) {
  const { company } = document.body.dataset;
  return company ? `${path}${path.includes("?") ? "&" : "?"}company=${encodeURIComponent(company)}` : path;
}

/** Calls the API and gives what it answers; undefined where that is nothing. */
export async function call(method, path, body, more = {}) {
  const headers = { accept: "application/json", ...more };
  if (body !== undefined) headers["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(here(path), {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error",
    });
  } catch {
    throw unanswered(method);
  }
  if (response.status === 204) return undefined;
  // An answer that was cut on its way says no more than none.
  if (response.ok) return response.json().catch(() => Promise.reject(unanswered(method)));
  const { status } = response;
  if (status === 401) throw new Refused([ENDED], status);
  const problem = await response.json().catch(() => null);
  const errors = Array.isArray(problem?.errors) ? problem.errors : [];
  throw new Refused(reasons(problem, errors, status), status, errors);
}

function unanswered(method) {
  const may = method === "GET" ? "Try again." : "It may have been done nevertheless: reload the list before you try again.";
  return new Refused([`No answer came. ${may}`]);
}

function reasons(problem, errors, status) {
  if (errors.length > 0) return errors.map(({ field, detail }) => `${FIELDS[field] ?? field}: ${detail}`);
  return [problem?.detail || problem?.title || `This was refused (status ${status}). Try again later.`];
}

// Dialogs.

/** Says sentences in a dialog; where the session has `ended`, with the way in, in a tab of its own: this one keeps what was typed. */
export function say(dialog, sentences, ended = false) {
  const paragraphs = sentences.map((sentence) => {
    const paragraph = document.createElement("p");
    paragraph.textContent = sentence;
    return paragraph;
  });
  if (ended) {
    const way = Object.assign(document.createElement("a"), { href: SIGN_IN, target: "_blank", rel: "noopener", textContent: "Sign in in a new tab" });
    const paragraph = document.createElement("p");
    paragraph.append(way);
    paragraphs.push(paragraph);
  }
  dialog.querySelector("[role=alert]").replaceChildren(...paragraphs);
}

export function open(dialog) {
  say(dialog, []);
  dialog.showModal();
}

/** Runs `work` with the button locked; a refusal is said in the dialog, which stays open as it is. */
export async function attempt(dialog, button, work) {
  if (button.ariaBusy === "true") return;
  say(dialog, []);
  button.ariaBusy = "true";
  try {
    await work();
  } catch (error) {
    if (error instanceof Refused) say(dialog, error.sentences, error.status === 401);
    else say(dialog, ["Something went wrong on this page. Reload it and try again."]);
  } finally {
    button.ariaBusy = "false";
  }
}

for (const button of document.querySelectorAll("[data-close]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}

// Times in forms.

const loaded = Date.now();

/** RFC 3339 in UTC with seconds. */
export const stamp = (date) => date.toISOString().replace(/\.\d+Z$/, "Z");

/**
 * The present after a number of days. `at`: the server's clock when it made the page, in seconds, so that a wrong clock here makes no difference;
 * with what has passed since. A machine that sleeps stops the one of the two clocks for that, somebody who sets the time back the other.
 */
export function inDays(at, days) {
  const passed = Math.max(Date.now() - loaded, performance.now());
  return new Date(Number(at) * 1000 + passed + Number(days) * 86_400_000);
}

/** The day in the reader's zone, as a date field has it. */
export function dayOf(date) {
  const two = (number) => String(number).padStart(2, "0");
  return `${String(date.getFullYear()).padStart(4, "0")}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** The last second of a day (`2027-01-31`) in the reader's zone. */
export function endOfDay(day) {
  const [year, month, date] = day.split("-").map(Number);
  const end = new Date(year, month - 1, date, 23, 59, 59);
  end.setFullYear(year); // years below 100 mean the 20th century to the constructor
  return end;
}

// The page.

/** Says a sentence to everybody, those who listen to the page included. */
export function announce(sentence) {
  document.getElementById("status").textContent = sentence;
}

/** Rewrites the times in `root` to the reader's zone. */
export function localTimes(root) {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
  for (const time of root.querySelectorAll("time[datetime]")) {
    const text = format.format(new Date(time.dateTime));
    time.title = text;
    if (time.dataset.show === "exact") time.textContent = text;
    if (time.dataset.show === "day") time.textContent = day.format(new Date(time.dateTime));
  }
}

localTimes(document);

// What is folded on a phone is shown on a wide screen by the style sheet; whoever asks whether it is open hears the same.
if (matchMedia("(width > 60rem)").matches) {
  for (const folds of document.querySelectorAll("details.folds")) folds.open = true;
}
