// Asks the device for a passkey, or to make one, when its button is pressed; without this script the buttons stay hidden.
"use strict";
const read = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const write = (bytes) =>
  bytes && btoa(String.fromCharCode(...new Uint8Array(bytes))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const readAll = (known) => (known || []).map((one) => ({ ...one, id: read(one.id) }));

const ask = async (options) => {
  const publicKey = { ...options, challenge: read(options.challenge) };
  if (!options.user) {
    publicKey.allowCredentials = readAll(options.allowCredentials);
    return navigator.credentials.get({ publicKey });
  }
  publicKey.user = { ...options.user, id: read(options.user.id) };
  publicKey.excludeCredentials = readAll(options.excludeCredentials);
  return navigator.credentials.create({ publicKey });
};

const tell = (credential) => {
  const { response } = credential;
  const told = { clientDataJSON: write(response.clientDataJSON) };
  if (response.attestationObject) {
    told.attestationObject = write(response.attestationObject);
    told.transports = response.getTransports ? response.getTransports() : [];
  } else {
    told.authenticatorData = write(response.authenticatorData);
    told.signature = write(response.signature);
    told.userHandle = response.userHandle ? write(response.userHandle) : null;
  }
  return JSON.stringify({ id: credential.id, rawId: write(credential.rawId), type: credential.type, response: told });
};

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const button = form.querySelector("button.passkey");
  const said = form.querySelector(".said");
  const say = (text) => {
    said.textContent = text;
  };
  form.querySelector("[data-unscripted]").hidden = true;
  if (!window.PublicKeyCredential) {
    say(form.dataset.unsupported);
    continue;
  }
  for (const part of form.querySelectorAll("[data-scripted]")) part.hidden = false;
  form.addEventListener("submit", async (event) => {
    if (form.elements.passkey.value) return;
    event.preventDefault();
    button.disabled = true;
    say(form.dataset.busy);
    try {
      form.elements.passkey.value = tell(await ask(JSON.parse(form.dataset.passkey)));
      form.submit();
    } catch (error) {
      say(error.name === "InvalidStateError" && form.dataset.known ? form.dataset.known : form.dataset.cancelled);
      button.disabled = false;
      button.focus();
    }
  });
}
