// Passkeys: a form with data-passkey asks the browser for one, puts the answer into its field and is sent.
// Without script, or in a browser without passkeys, these forms stay hidden and the other ways remain.

const NAMES = {
  NotAllowedError: "Nothing was sent: it was cancelled, or it took too long. Try again, or use another way.",
  InvalidStateError: "This device has a passkey for this account already.",
  SecurityError: "This page was opened under a name that passkeys do not belong to.",
};

function toBytes(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (character) => character.charCodeAt(0));
}

function toText(buffer) {
  const plain = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(plain).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

// Older browsers do not read the JSON form of the options (WebAuthn Level 3, 5.1.8 and 5.1.9).
function readOptions(kind, options) {
  if (kind === "create" && PublicKeyCredential.parseCreationOptionsFromJSON) {
    return PublicKeyCredential.parseCreationOptionsFromJSON(options);
  }
  if (kind === "get" && PublicKeyCredential.parseRequestOptionsFromJSON) {
    return PublicKeyCredential.parseRequestOptionsFromJSON(options);
  }
  const list = (known) => (known ?? []).map((one) => ({ ...one, id: toBytes(one.id) }));
  const read = { ...options, challenge: toBytes(options.challenge) };
  if (kind === "create") {
    return { ...read, user: { ...options.user, id: toBytes(options.user.id) }, excludeCredentials: list(options.excludeCredentials) };
  }
  return { ...read, allowCredentials: list(options.allowCredentials) };
}

function writeAnswer(credential) {
  const { response } = credential;
  const answer = { id: credential.id, rawId: toText(credential.rawId), type: credential.type, response: {}, clientExtensionResults: {} };
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (response[name]) answer.response[name] = toText(response[name]);
  }
  return JSON.stringify(answer);
}

async function ask(event) {
  const form = event.currentTarget;
  event.preventDefault();
  const kind = form.dataset.passkey;
  const button = form.querySelector("button");
  const problem = form.querySelector("[data-problem]");
  problem.hidden = true;
  button.disabled = true;
  try {
    const publicKey = readOptions(kind, JSON.parse(form.dataset.options));
    form.elements.assertion.value = writeAnswer(await navigator.credentials[kind]({ publicKey }));
    form.submit();
    // A file that is saved leaves the page as it is.
    if ("download" in form.dataset) setTimeout(() => (button.disabled = false), 3000);
  } catch (error) {
    problem.textContent = NAMES[error.name] ?? "The browser could not do this. Use another way.";
    problem.hidden = false;
    button.disabled = false;
  }
}

function isPlace(name) {
  return location.hostname === name || location.hostname.endsWith(`.${name}`);
}

for (const part of document.querySelectorAll("[data-passkey-part]")) {
  const form = part.querySelector("form[data-passkey]");
  if (!form || !window.PublicKeyCredential) continue;
  const here = isPlace(part.dataset.passkeyPart);
  part.hidden = false;
  form.hidden = !here;
  part.querySelector("[data-elsewhere]").hidden = here;
  form.addEventListener("submit", ask);
}
