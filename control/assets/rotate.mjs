// The form that makes a key's successor. `birth.mjs` makes the key and shows it; the steps afterwards are in `key.mjs`.

import { attempt, inDays, stamp } from "./ui.mjs";
import { Birth } from "./birth.mjs";

const OVERLAPS = { day: 86_400, week: 7 * 86_400, now: 0 };
const form = document.getElementById("rotate-form");

if (form) {
  const button = form.querySelector("[type=submit]");
  const birth = new Birth(form, document.getElementById("rotate-birth"), button.textContent);
  birth.getReady();
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(form, button, async () => {
      await birth.make(`/v1/keys/${encodeURIComponent(form.dataset.keyId)}/rotate`, wanted, () => {});
      const on = new URL(location); // with the company, where it is another one
      on.searchParams.set("done", "made");
      on.hash = "";
      location.assign(on);
    });
  });
}

/** What the API is to make. */
function wanted() {
  const { name, overlap, life, at } = form.elements;
  const body = { name: name.value };
  if (overlap.value in OVERLAPS) body.overlap_s = OVERLAPS[overlap.value];
  if (life.value === "never") body.expires_at = null;
  else if (life.value) body.expires_at = stamp(inDays(at.value, life.value));
  return body;
}
