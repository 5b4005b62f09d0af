// What every page of the console does with script; without it all of this is merely missing.

// Times are written in UTC; readers see their own zone, with the UTC one at hand.
function showLocalTimes(root) {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  for (const time of root.querySelectorAll("time[data-local]")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) {
      time.title = time.textContent;
      time.textContent = format.format(at);
      time.removeAttribute("data-local");
    }
  }
}

// A table that is wider than its place is scrolled by keyboard too.
function reachTables() {
  for (const place of document.querySelectorAll(".table")) {
    if (place.scrollWidth > place.clientWidth) place.tabIndex = 0;
    else if (!place.hasAttribute("role")) place.removeAttribute("tabindex");
  }
}

// A click beside an open menu, or Escape, closes it.
function closeMenus(event) {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (event.type === "keydown" ? event.key === "Escape" : !menu.contains(event.target)) {
      menu.open = false;
      if (event.type === "keydown") menu.querySelector("summary").focus();
    }
  }
}

const DOWNLOAD_MS = 3000;

// A second click must not send a form twice. The server is safe from that; the reader's patience is not.
function sendOnce(event) {
  const form = event.target;
  if (event.defaultPrevented || form.target) return;
  const able = (yes) => {
    for (const button of form.querySelectorAll("button")) button.disabled = !yes;
  };
  setTimeout(able, 0, false);
  // A file that is saved leaves the page as it is.
  if ("download" in form.dataset) setTimeout(able, DOWNLOAD_MS, true);
}

// After the browser's «back» the page is as it was, with its buttons disabled.
function enableAgain(event) {
  if (!event.persisted) return;
  for (const button of document.querySelectorAll("button[disabled]")) button.disabled = false;
}

showLocalTimes(document);
reachTables();
window.addEventListener("resize", reachTables);
document.addEventListener("htmx:afterSwap", reachTables);
document.addEventListener("htmx:afterSwap", (event) => showLocalTimes(event.detail.target ?? document));
document.addEventListener("click", closeMenus);
document.addEventListener("keydown", closeMenus);
document.addEventListener("submit", sendOnce);
window.addEventListener("pageshow", enableAgain);
// On a phone the menu is longer than the screen is wide.
document.querySelector(".side [aria-current]")?.scrollIntoView({ inline: "nearest", block: "nearest" });
// Where something was refused, a keyboard and a screen reader begin at what has to be mended.
const refusal = document.querySelector('main .notice[role="alert"]:not([hidden])');
if (refusal) {
  refusal.tabIndex = -1;
  refusal.focus();
}
