// Opens a service in the web view: the verifier is made here and leaves this phone only on the way to the provider.
"use strict";

const toBase64url = (bytes) => btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

async function open(target) {
  const verifier = toBase64url(crypto.getRandomValues(new Uint8Array(32)));
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  const answer = await fetch("/ticket", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ target, code_challenge: toBase64url(new Uint8Array(hash)) }),
  });
  if (!answer.ok) throw new Error(String(answer.status));
  const { ticket, enter } = await answer.json();
  // A real app loads this address in its web view; the ticket is good once, for a minute, with this verifier.
  location.assign(`${enter}?${new URLSearchParams({ ticket, code_verifier: verifier })}`);
}

for (const button of document.querySelectorAll("[data-target]")) {
  button.addEventListener("click", async () => {
    const fault = document.getElementById("fault");
    fault.hidden = true;
    button.disabled = true;
    try {
      await open(button.dataset.target);
    } catch {
      fault.hidden = false;
    } finally {
      button.disabled = false;
    }
  });
}
