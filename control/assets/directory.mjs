// The pages of owners, companies and the policy in the browser: times to the second, copying what is shown once, and a question before
// what was typed is left. Everything else works by the forms themselves.

import { announce } from "./ui.mjs";

const second = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
for (const time of document.querySelectorAll("time[data-show=second]")) time.textContent = second.format(new Date(time.dateTime));

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const field = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(field.value);
      announce("Copied.");
    } catch {
      field.select();
      announce("The browser does not allow copying here. The text is selected: copy it with the keyboard.");
    }
  });
}

/** For how long a form that was sent is not sent again, in milliseconds. */
const SENT_FOR = 4000;

// A form sent twice is sent once: the second click would only show the answer to the first one again. But not for ever: the reader may
// have stayed on the page, or stopped what took too long. Signing out twice does no harm.
for (const form of document.querySelectorAll("form[method=post]:not([action^='/sign-out'])")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    setTimeout(() => delete form.dataset.sent, SENT_FOR);
  });
}
// Back from the page that came: the form can be sent again.
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

/** Whether something was typed. What was sent is saved only once another page has come, so until then it stays so. */
let typed = false;
const editor = document.querySelector("form[data-keeps]");
editor?.addEventListener("input", () => (typed = true));
addEventListener("beforeunload", (event) => {
  const unsaved = typed || editor?.dataset.keeps === "changed";
  if (unsaved && !editor.dataset.sent) event.preventDefault();
});
