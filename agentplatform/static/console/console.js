// What pages of the console do by themselves, as no script may stand in one.
"use strict";

document.addEventListener("submit", (event) => {
  const { question, once } = event.target.dataset;
  if (question && !window.confirm(question)) {
    event.preventDefault();
  } else if (once !== undefined) {
    for (const button of event.target.querySelectorAll("button")) button.disabled = true;
  }
});

// What has made a secret must not be sent again when its page is loaded again.
document.addEventListener("DOMContentLoaded", () => {
  const shown = document.querySelector("[data-reload]");
  if (shown) window.history.replaceState(null, "", shown.dataset.reload);
});
