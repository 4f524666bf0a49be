// SPDX-License-Identifier: Apache-2.0
// A picture that is uploaded from a tile's panel: chosen as a file, sent, and taken for the tile.

import { worded } from "./worded.js";

const element = (name, properties = {}, ...inner) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...inner);
  return made;
};

/** Puts a field for a file in the place of the link to the page that uploads; `form` has the form's token. */
export function pictureUpload(fields, form, catalog) {
  for (const box of fields.querySelectorAll("[data-upload]")) {
    const file = element("input", { type: "file", accept: ".png,.jpg,.jpeg,.svg,image/png,image/jpeg,image/svg+xml" });
    const said = element("p", { className: "hint" });
    said.setAttribute("role", "status");
    box.replaceChildren(element("label", { className: "field" }, worded("Or upload one: PNG, JPEG or SVG"), file), said);
    file.addEventListener("input", (event) => event.stopPropagation()); // the tile has not changed yet
    file.addEventListener("change", () => {
      if (!file.files.length) return;
      said.textContent = worded("Sending it.");
      send(box.dataset.upload, file.files[0], form, catalog)
        .then((answer) => taken(fields, answer, said))
        .catch((error) => (said.textContent = error.message));
    });
  }
}

async function send(address, file, form, catalog) {
  const body = new FormData();
  body.set("form_token", form.elements.form_token.value);
  body.set("file_name", file.name);
  if (catalog) body.set("catalog", catalog);
  body.set("picture", file);
  const answer = await fetch(address, { method: "POST", body });
  const found = await answer.json().catch(() => null);
  if (answer.ok && found) return found;
  throw new Error(found?.message ? `${found.message} ${found.remedy}` : worded("The service did not take it. Try again."));
}

/** Chooses the picture in the tile's form. */
function taken(fields, answer, said) {
  const choice = fields.querySelector('select[name="image"]');
  choice.prepend(new Option(answer.name, answer.image));
  choice.value = answer.image;
  said.textContent = answer.removed.length ? worded("Uploaded, without {parts}.", { parts: answer.removed.join(", ") }) : worded("Uploaded.");
  choice.dispatchEvent(new Event("input", { bubbles: true }));
}
