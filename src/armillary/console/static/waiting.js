// SPDX-License-Identifier: Apache-2.0
// A form that is answered late says so: after two seconds, how long it has been at work. Without script it is sent alike.

const SAYS_AFTER_MS = 2000;

for (const form of document.querySelectorAll("form[data-waiting]")) {
  const part = form.querySelector("[data-progress]");
  form.addEventListener("submit", () => {
    const began = Date.now();
    for (const button of form.querySelectorAll("button")) button.disabled = true;
    const says = () => {
      part.hidden = false;
      part.querySelector("[role=status]").textContent = `${form.dataset.waiting}: ${Math.round((Date.now() - began) / 1000)} s`;
    };
    const first = setTimeout(() => {
      says();
      const ticks = setInterval(says, 1000);
      addEventListener("pagehide", () => clearInterval(ticks), { once: true });
    }, SAYS_AFTER_MS);
    addEventListener("pagehide", () => {
      clearTimeout(first);
      part.hidden = true;
      for (const button of form.querySelectorAll("button")) button.disabled = false;
    }, { once: true });
  });
}
