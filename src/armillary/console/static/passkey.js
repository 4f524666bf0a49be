// SPDX-License-Identifier: Apache-2.0
// Asks the browser for a passkey and puts its answer into the form: WebAuthn has no form of its own.

import { worded } from "./worded.js";

const bytes = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const keys = (listed) => listed.map((each) => ({ ...each, id: bytes(each.id) }));

// Name of the browser's error -> what to do about it.
const WORDS = {
  NotAllowedError: worded("It was cancelled, or took too long. Try again."),
  InvalidStateError: worded("This key or device has a passkey for this token already. Use another one."),
  SecurityError: worded("The browser allows no passkey at this address. Open the console at its public address."),
  NotSupportedError: worded("This key is of a kind that the console does not take. Use another one."),
};

async function asked(kind, options) {
  options.challenge = bytes(options.challenge);
  if (kind === "get") {
    options.allowCredentials = keys(options.allowCredentials);
    return navigator.credentials.get({ publicKey: options });
  }
  options.user.id = bytes(options.user.id);
  options.excludeCredentials = keys(options.excludeCredentials);
  return navigator.credentials.create({ publicKey: options });
}

function answer(found) {
  const response = { clientDataJSON: text(found.response.clientDataJSON) };
  for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (found.response[name]) response[name] = text(found.response[name]);
  }
  return JSON.stringify({ id: found.id, rawId: text(found.rawId), type: found.type, response });
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const says = form.querySelector("[role=status]");
  const button = form.querySelector("button");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!window.PublicKeyCredential) {
      says.textContent = worded("This browser has no passkeys, or does not trust this console's certificate.");
      return;
    }
    button.disabled = true;
    says.textContent = worded("The browser asks you now.");
    try {
      form.elements.answer.value = answer(await asked(form.dataset.passkey, JSON.parse(form.dataset.options)));
      form.submit();
    } catch (error) {
      says.textContent = WORDS[error.name] || worded("The browser refused: {reason}", { reason: error.message });
      button.disabled = false;
    }
  });
}
