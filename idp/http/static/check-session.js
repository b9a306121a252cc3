// Answers a department's page whether the sign-in in this browser is still the one it knows (OpenID Connect Session Management 1.0 §3.2).
"use strict";

const name = document.body.dataset.cookie;

function readState() {
  const found = document.cookie.split("; ").find((pair) => pair.startsWith(`${name}=`));
  return found ? found.slice(name.length + 1) : "";
}

async function isKnown(clientId, sessionState, origin) {
  const salt = sessionState.slice(sessionState.indexOf(".") + 1);
  const text = new TextEncoder().encode(`${clientId} ${origin} ${readState()} ${salt}`);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", text));
  const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${hex}.${salt}` === sessionState;
}

window.addEventListener("message", async (event) => {
  if (event.source === null || typeof event.data !== "string" || event.source === window) return;
  const at = event.data.lastIndexOf(" ");
  if (at < 1 || !event.data.slice(at + 1).includes(".")) {
    event.source.postMessage("error", event.origin);
    return;
  }
  const known = await isKnown(event.data.slice(0, at), event.data.slice(at + 1), event.origin);
  event.source.postMessage(known ? "unchanged" : "changed", event.origin);
});
