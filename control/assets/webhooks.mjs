// Webhooks in the browser: copies the secret that is shown once and takes it off the page when the reader leaves it; times that are
// typed are the reader's own.

const secret = document.getElementById("new-secret");
const copy = document.getElementById("copy-secret");

if (secret && copy) {
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    const status = document.getElementById("copy-status");
    try {
      await navigator.clipboard.writeText(secret.textContent);
      status.textContent = "Copied. Paste it into your secrets manager.";
    } catch {
      getSelection().selectAllChildren(secret);
      status.textContent = "The browser does not allow copying here. The secret is selected: copy it with the keyboard.";
    }
  });
  // A page that the browser keeps for the way back would show it again.
  addEventListener("pagehide", () => secret.replaceChildren());
}

const again = document.getElementById("again-form");

if (again) {
  const { since, zone } = again.elements;
  document.getElementById("again-since-help").textContent = "A day and a time, in your time zone.";
  const minutes = () => (since.value ? -new Date(since.value).getTimezoneOffset() : 0);
  again.addEventListener("submit", () => {
    zone.value = String(minutes());
  });
}
