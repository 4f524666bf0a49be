// SPDX-License-Identifier: Apache-2.0
// Says how much of a form's files has been sent. Without script the form is sent all the same.

import { worded } from "./worded.js";

for (const form of document.querySelectorAll("form[data-upload]")) {
  const part = form.querySelector("[data-progress]");
  const bar = part.querySelector("progress");
  const says = part.querySelector("[role=status]");
  const field = form.querySelector("input[type=file]");
  const area = field.closest(".entry") || field;

  // A file that is dropped beside the field, but over its part of the form, is meant for it.
  area.addEventListener("dragover", (event) => {
    event.preventDefault();
    area.classList.add("over");
  });
  area.addEventListener("dragleave", () => area.classList.remove("over"));
  area.addEventListener("drop", (event) => {
    event.preventDefault();
    area.classList.remove("over");
    if (event.dataTransfer.files.length) field.files = event.dataTransfer.files;
  });

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const sending = new XMLHttpRequest();
    const buttons = form.querySelectorAll("button");
    const enable = (on) => buttons.forEach((button) => { button.disabled = !on; });
    const failed = (words) => {
      says.textContent = words;
      enable(true);
    };
    sending.open("POST", form.action);
    sending.setRequestHeader("Accept", "text/html");
    sending.upload.addEventListener("progress", (step) => {
      if (!step.lengthComputable) return;
      const percent = Math.floor((100 * step.loaded) / step.total);
      bar.value = percent;
      says.textContent = percent < 100 ? worded("{percent} % sent", { percent }) : worded("Sent. The service reads it now.");
    });
    sending.addEventListener("error", () => failed(worded("The connection was lost. Nothing was kept: send it again.")));
    sending.addEventListener("load", () => {
      // Where the form led on, the browser followed: go there. Else the answer says what was wrong.
      if (sending.status < 400 && sending.responseURL && new URL(sending.responseURL).pathname !== new URL(form.action).pathname) {
        location.assign(sending.responseURL);
        return;
      }
      const answer = new DOMParser().parseFromString(sending.responseText, "text/html");
      const wrong = answer.querySelector(".notice.bad, main h1");
      form.parentElement.querySelectorAll(".notice.bad").forEach((each) => each.remove());
      if (wrong) form.before(document.importNode(wrong, true));
      part.hidden = true;
      enable(true);
    });
    part.hidden = false;
    enable(false);
    sending.send(new FormData(form));
  });
}
