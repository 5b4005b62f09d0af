// Writing a broadcast: the preview, its problems and the number of recipients follow what is typed.
// Without it there is the button «Show the preview»; the three views need no script at all.

const QUIET_MS = 400;
const DESKTOP_PX = 720;

const pane = document.querySelector(".preview");
const stage = pane.querySelector(".stage");
const frame = stage.querySelector("iframe");

// The pane is narrower than a mail program's window, so the window is drawn smaller.
function scale() {
  const width = stage.clientWidth;
  const small = document.getElementById("view-desktop").checked && width > 0 && width < DESKTOP_PX;
  const factor = small ? width / DESKTOP_PX : 1;
  frame.style.width = small ? `${DESKTOP_PX}px` : "";
  frame.style.height = small ? `${100 / factor}%` : "";
  frame.style.transform = small ? `scale(${factor})` : "";
}
new ResizeObserver(scale).observe(stage);
pane.addEventListener("change", scale);

const form = document.getElementById("compose");
if (form) {
  followText(form, pane.dataset.preview);
  followTarget(form, pane.dataset.recipients);
}

// How many would get it depends on two fields only, and takes the database longer than the preview takes us.
function followTarget(form, address) {
  const recipients = document.getElementById("recipients");
  const { category, fixed_version: version } = form.elements;
  let timer = 0;
  let asking = null;

  // A live region speaks whenever it changes, so it changes only with its words.
  function say(words) {
    if (recipients.textContent !== words) recipients.textContent = words;
  }

  async function ask() {
    asking?.abort();
    const mine = (asking = new AbortController());
    const slow = setTimeout(say, 600, "Counting who would get it …");
    try {
      const query = new URLSearchParams({ category: category.value, fixed_version: version.value });
      const response = await fetch(`${address}?${query}`, { redirect: "manual", signal: mine.signal });
      if (response.ok) say((await response.json()).recipients);
    } catch (error) {
      // Of the service being out of reach the preview tells.
      if (error.name !== "AbortError") say("");
    } finally {
      clearTimeout(slow);
    }
  }

  function later() {
    clearTimeout(timer);
    timer = setTimeout(ask, QUIET_MS);
  }

  version.addEventListener("input", later);
  category.addEventListener("change", later);
  ask();
}

function followText(form, address) {
  const trouble = document.getElementById("preview-state");
  const plain = pane.querySelector(".plain");
  // What the service found missing stays beside its field until somebody types there.
  const refused = new Set(form.querySelectorAll("[aria-invalid]"));
  let timer = 0;
  let asking = null;
  let checking = false;
  let checked = false;
  // What was refused is not saved either.
  let saved = document.querySelector(".notice.bad") ? "" : new URLSearchParams(new FormData(form)).toString();
  form.querySelector("button[value=preview]").hidden = true;

  async function ask() {
    asking?.abort();
    const mine = (asking = new AbortController());
    try {
      const response = await send(mine.signal);
      const trouble = troubleOf(response);
      if (trouble) {
        say(trouble, response.type === "opaqueredirect");
      } else if (response.ok) {
        say("");
        show(await response.json());
      } else {
        say("The preview cannot be made at the moment. What you write is not lost.");
      }
    } catch (error) {
      if (error.name !== "AbortError") say("The service cannot be reached. What you write is not lost.");
    }
  }

  async function send(signal) {
    const once = () =>
      fetch(address, {
        method: "POST",
        body: new URLSearchParams(new FormData(form)),
        headers: { "x-csrf-token": form.elements.csrf.value },
        redirect: "manual",
        signal,
      });
    const response = await once();
    return response.status === 403 && (await renew()) ? once() : response;
  }

  // Who has signed in again, in another tab, has a session whose forms carry another token.
  async function renew() {
    const response = await fetch(form.getAttribute("action"), { redirect: "manual" });
    if (!response.ok) return false;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const token = page.querySelector("#compose [name=csrf]")?.value;
    if (!token || token === form.elements.csrf.value) return false;
    form.elements.csrf.value = token;
    return true;
  }

  // Why saving would lead away from what was typed; nothing where it would not.
  function troubleOf(response) {
    if (response.type === "opaqueredirect") return "You are signed out. What you wrote is still here, but not saved. Sign in in another tab, then come back to this one and save.";
    if (response.status === 413) return "This text is far too long to be taken. Shorten it, then save.";
    if (response.status === 403) return "You cannot save this now: your role may have been changed. Copy what you wrote before you leave this page.";
    return "";
  }

  // A page that has lain open for hours is asked first, since the form would be gone with what is on it.
  async function mayBeSent() {
    try {
      const response = await send();
      const trouble = troubleOf(response);
      say(trouble, response.type === "opaqueredirect");
      return !trouble;
    } catch {
      say("The service cannot be reached, so nothing was saved. What you wrote is still here; try again in a minute.");
      return false;
    }
  }

  function show(answer) {
    plain.textContent = answer.text;
    // Not by src: that would add an entry to the history for every pause in typing.
    if (answer.shown) {
      pane.querySelector(".nothing")?.remove();
      frame.contentWindow.location.replace(`${address}.html`);
    }
    for (const field of form.querySelectorAll("input[name], select[name], textarea[name]")) {
      if (refused.has(field) && !field.value.trim()) continue;
      // What nobody has typed yet is not wrong; saving says what is missing.
      if (field.type !== "hidden") mark(field, field.value.trim() ? answer.problems[field.name] : "");
    }
  }

  function mark(field, problem) {
    const around = field.closest(".field");
    const id = `${field.name}-problem`;
    let words = document.getElementById(id);
    if (!problem) {
      words?.remove();
      around.classList.remove("wrong");
      field.removeAttribute("aria-invalid");
      describe(field, id, false);
      return;
    }
    if (!words) {
      words = document.createElement("p");
      words.className = "problem";
      words.id = id;
      around.append(words);
    }
    words.textContent = problem;
    around.classList.add("wrong");
    field.setAttribute("aria-invalid", "true");
    describe(field, id, true);
  }

  function describe(field, id, add) {
    const others = (field.getAttribute("aria-describedby") ?? "").split(/\s+/).filter((one) => one && one !== id);
    const all = add ? [id, ...others] : others;
    if (all.length) field.setAttribute("aria-describedby", all.join(" "));
    else field.removeAttribute("aria-describedby");
  }

  function say(words, signedOut = false) {
    trouble.textContent = words;
    trouble.hidden = !words;
    if (!signedOut) return;
    const link = document.createElement("a");
    link.href = "/board/sign-in";
    link.target = "_blank";
    link.textContent = "Sign in (opens a new tab)";
    trouble.append(" ", link);
  }

  form.addEventListener("input", (event) => {
    refused.delete(event.target);
    clearTimeout(timer);
    timer = setTimeout(ask, QUIET_MS);
  });
  form.addEventListener("submit", async (event) => {
    if (checked) {
      saved = null;
      return;
    }
    event.preventDefault();
    if (checking) return;
    checking = true;
    checked = await mayBeSent();
    checking = false;
    if (checked) form.requestSubmit(event.submitter);
    else trouble.scrollIntoView({ block: "center" });
  });
  window.addEventListener("pageshow", () => {
    checked = false;
  });
  window.addEventListener("beforeunload", (event) => {
    if (saved !== null && new URLSearchParams(new FormData(form)).toString() !== saved) event.preventDefault();
  });
  // After «back», or with a draft at hand, there is something to show already.
  if (form.elements.title.value || form.elements.contents.value) ask();
}
