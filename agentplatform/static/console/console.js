// What forms of the console ask before they send, as no script may stand in a page.
"use strict";

document.addEventListener("submit", (event) => {
  const { question, once } = event.target.dataset;
  if (question && !window.confirm(question)) {
    event.preventDefault();
  } else if (once !== undefined) {
    for (const button of event.target.querySelectorAll("button")) button.disabled = true;
  }
});
