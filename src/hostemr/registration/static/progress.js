// Reads out a broadcast's progress: only when the line changes, which is every tenth part of the way.
function readOut() {
  const heard = document.getElementById("heard");
  const line = document.querySelector("[data-summary]")?.dataset.summary;
  if (heard && line && heard.textContent !== line) heard.textContent = line;
}

document.addEventListener("htmx:afterSwap", readOut);
