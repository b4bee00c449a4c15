/* The steward's desk: keys 1, 2, 3 press the three answers. The page works without this file. */
"use strict";

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
  if (/INPUT|TEXTAREA|SELECT/.test(event.target.tagName)) return;
  const answer = document.querySelector(`button[data-key="${CSS.escape(event.key)}"]`);
  if (!answer) return;
  event.preventDefault();
  answer.click();
});

// A double press makes one decision.
document.addEventListener("submit", (event) => {
  if (event.target.id !== "decide") return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "1";
});

// Coming back to the page with the browser's button, one may decide again.
window.addEventListener("pageshow", () => {
  const form = document.getElementById("decide");
  if (form) delete form.dataset.sent;
});
