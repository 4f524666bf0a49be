// SPDX-License-Identifier: Apache-2.0
// The panel in which one tile is made or changed: the server's form on one side, on the other the tile as the dashboard
// would show it, drawn again after each change.

import { SIGNED_OUT, send } from "./form-token.js";
import { pictureUpload } from "./picture-upload.js";
import { planPlaces } from "./plan-places.js";
import { fill } from "./tile-fill.js";
import { worded } from "./worded.js";

const PAUSE_MS = 350; // after the last key before the preview is asked for
const OWN = ["own:", "device:"]; // choices that have a field beside them

/** Asks for a tile's preview; `fields` go along with the form's token. */
export async function ask(address, form, fields) {
  const answer = await send(address, form, Object.entries(fields).filter(([name]) => name !== "form_token"));
  if (!answer.ok) throw Object.assign(new Error(`preview: ${answer.status}`), { status: answer.status });
  return answer.json();
}

export class Panel {
  #dialog = document.getElementById("panel");
  #form = document.getElementById("panel-form");
  #fields = this.#form.querySelector("[data-fields]");
  #shown = this.#dialog.querySelector("[data-preview-tile]");
  #wrong = this.#form.querySelector("[data-wrong]");
  #does;
  #about = null; // id and kind of the tile
  #isNew = false;
  #answer = null; // of the newest question
  #asked = 0;
  #timer = 0;
  #wantsForm = false; // other devices were chosen: the form has to offer what those send
  #touched = new Set(); // fields that were changed since the newest question
  #opener = null;

  /** `does`: address, catalog of the dashboard, size(tile) in pixels, apply(tile, answer, isNew), remove(id), duplicate(tile). */
  constructor(does) {
    this.#does = does;
    this.#fields.addEventListener("input", (event) => this.#changed(event));
    this.#form.addEventListener("submit", (event) => this.#submit(event));
    this.#dialog.addEventListener("close", () => {
      this.#shown.replaceChildren();
      this.#asked += 1; // an answer that is still under way comes too late
      this.#opener?.focus?.();
    });
    this.#form.querySelector("[data-remove]").addEventListener("click", () => this.#end(() => does.remove(this.#about.id)));
    this.#form.querySelector("[data-duplicate]").addEventListener("click", () => {
      const tile = this.#answer?.tile;
      if (tile) this.#end(() => does.duplicate(tile));
    });
  }
  get isOpen() {
    return this.#dialog.open;
  }
  /** Opens the panel on a tile of the draft. */
  open(tile, opener) {
    this.#begin(tile, false, opener, { kind: tile.kind, tile: JSON.stringify(tile) });
  }
  /** Opens it on a new tile, of the dashboard's template at first. */
  add(tile, template) {
    const size = { x: "0", y: "0", w: String(tile.w), h: String(tile.h) };
    const source = template ? { source: `template:${template}` } : {};
    this.#begin(tile, true, document.activeElement, { kind: tile.kind, tile_id: tile.id, ...size, ...source });
  }
  #begin(tile, isNew, opener, fields) {
    Object.assign(this.#dialog.dataset, { kind: tile.kind });
    [this.#about, this.#isNew, this.#opener, this.#answer] = [{ id: tile.id, kind: tile.kind }, isNew, opener, null];
    this.#fields.replaceChildren();
    this.#shown.replaceChildren();
    this.#form.querySelector("h2").textContent = isNew ? worded("New tile") : worded("Edit tile");
    for (const name of ["remove", "duplicate"]) this.#form.querySelector(`[data-${name}]`).hidden = isNew;
    this.#form.querySelector('[value="apply"]').textContent = isNew ? worded("Add tile") : worded("Apply");
    [this.#wantsForm, this.#touched] = [false, new Set()];
    this.#say(null);
    this.#dialog.showModal();
    this.#ask({ ...fields, want: "form" }, true).catch((error) => this.#lost(error));
  }
  #changed(event) {
    this.#typed();
    this.#touched.add(event.target);
    const isOther = event.target.matches("select[data-again]") && event.target.value !== "device:";
    if (isOther) this.#wantsForm = true;
    this.#later(isOther ? 0 : PAUSE_MS);
  }
  #later(pause) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#preview().catch((error) => this.#lost(error)), pause);
  }
  #sent() {
    const fields = Object.fromEntries(new FormData(this.#form));
    return { ...fields, kind: this.#about.kind, tile_id: this.#about.id };
  }
  #preview() {
    const fields = this.#sent();
    this.#touched.clear();
    return this.#ask(this.#wantsForm ? { ...fields, want: "form" } : fields, false);
  }
  async #ask(fields, isFirst) {
    const number = (this.#asked += 1);
    const answer = await ask(this.#does.address, this.#form, fields);
    if (number !== this.#asked) return null; // a newer question is under way
    this.#answer = answer;
    if (answer.form) {
      this.#wantsForm = false;
      this.#lay(answer.form, isFirst);
    }
    this.#say(isFirst && this.#isNew ? null : answer.error);
    if (answer.view) this.#draw(answer);
    return answer;
  }
  #lay(html, isFirst) {
    const focused = document.activeElement?.name;
    const typed = [...this.#touched].map((field) => ({ field, at: this.#named(field.name).indexOf(field) }));
    this.#fields.innerHTML = html;
    for (const pair of this.#fields.querySelectorAll("noscript")) pair.remove();
    this.#fields.classList.add("scripted");
    for (const { field, at } of typed) this.#keep(field, this.#named(field.name)[at]);
    this.#typed();
    pictureUpload(this.#fields, this.#form, this.#does.catalog);
    planPlaces(this.#fields);
    const name = isFirst ? "title" : focused;
    if (name) this.#fields.querySelector(`[name="${CSS.escape(name)}"]`)?.focus();
    for (const place of this.#fields.querySelectorAll('[name="source_device"]')) {
      place.addEventListener("change", () => {
        this.#wantsForm = true;
        this.#later(0);
      });
    }
  }
  #named(name) {
    return [...this.#fields.querySelectorAll(`[name="${CSS.escape(name)}"]`)];
  }
  /** Puts what was typed while the form was asked for into the new one, as far as that still offers it. */
  #keep(typed, field) {
    if (!field) return;
    if (field.type === "checkbox") field.checked = typed.checked;
    else if (field.tagName !== "SELECT" || [...field.options].some((each) => each.value === typed.value)) field.value = typed.value;
    this.#touched.add(field);
    this.#later(PAUSE_MS);
  }
  /** Shows the field beside a choice where it is the one that is meant. */
  #typed() {
    for (const pair of this.#fields.querySelectorAll(".pair")) pair.classList.toggle("typed", OWN.includes(pair.querySelector("select").value));
  }
  #draw(answer) {
    const [width, height] = this.#does.size(answer.tile);
    this.#shown.style.width = `${Math.max(120, width)}px`;
    this.#shown.style.height = `${height}px`;
    this.#shown.innerHTML = answer.html;
    // The tile on the board has the same ids.
    for (const each of this.#shown.querySelectorAll("[id]")) each.removeAttribute("id");
    fill(this.#shown.querySelector("[data-tile]"), answer.view);
  }
  #say(error) {
    this.#wrong.hidden = !error;
    this.#wrong.textContent = error ? `${error.message} ${error.remedy}` : "";
  }
  #lost(error) {
    if (error.status === 401) this.#say({ message: SIGNED_OUT, remedy: "" });
    else this.#say({ message: worded("The service does not answer."), remedy: worded("Try again; what you typed is still here.") });
  }
  #submit(event) {
    if (event.submitter?.value === "cancel") return;
    event.preventDefault();
    clearTimeout(this.#timer);
    this.#preview()
      .then((answer) => {
        if (answer?.tile && !answer.error) this.#end(() => this.#does.apply(answer.tile, answer, this.#isNew));
      })
      .catch((error) => this.#lost(error));
  }
  #end(then) {
    this.#opener = null;
    this.#asked += 1;
    this.#dialog.close();
    then();
  }
}
