/* Passkeys: hands the browser what the page asks for, and its answer back in the form. */
"use strict";

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
  .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const listed = (keys) => (keys || []).map((one) => ({ ...one, id: bytes(one.id) }));

async function make(asked) {
  const user = { ...asked.user, id: bytes(asked.user.id) };
  const made = await navigator.credentials.create({
    publicKey: { ...asked, user, challenge: bytes(asked.challenge), excludeCredentials: listed(asked.excludeCredentials) },
  });
  return answer(made, { attestationObject: text(made.response.attestationObject) });
}

async function prove(asked) {
  const found = await navigator.credentials.get({
    publicKey: { ...asked, challenge: bytes(asked.challenge), allowCredentials: listed(asked.allowCredentials) },
  });
  const said = found.response;
  return answer(found, {
    authenticatorData: text(said.authenticatorData),
    signature: text(said.signature),
    userHandle: said.userHandle ? text(said.userHandle) : null,
  });
}

function answer(key, more) {
  return JSON.stringify({
    id: key.id,
    rawId: text(key.rawId),
    type: key.type,
    response: { clientDataJSON: text(key.response.clientDataJSON), ...more },
    clientExtensionResults: {},
  });
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (!window.PublicKeyCredential) continue;
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    const field = form.querySelector("input[name=answer]");
    if (field.value) return;
    event.preventDefault();
    const trouble = form.querySelector("[data-trouble]");
    trouble.hidden = true;
    try {
      const asked = JSON.parse(form.dataset.asked);
      field.value = await (form.dataset.passkey === "make" ? make(asked) : prove(asked));
      form.submit();
    } catch {
      trouble.hidden = false;
    }
  });
}
