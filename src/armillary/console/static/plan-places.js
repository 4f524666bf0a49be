// SPDX-License-Identifier: Apache-2.0
// Places on a floor plan, set on the picture: a click puts the chosen place there, or a new one; arrows move it. The
// fields of each place say the same, for keys and for exact figures. What is sent is the JSON below, which stays.

import { worded } from "./worded.js";

const STEP = 0.01;
const FAR = 0.05; // with Shift
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const element = (name, properties = {}, ...inner) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...inner);
  return made;
};
/** A share of the picture, to a thousandth. */
export const share = (value) => Math.round(Math.min(1, Math.max(0, value)) * 1000) / 1000;

export function planPlaces(fields) {
  const box = fields.querySelector("[data-places]");
  if (box) new Places(box, fields.querySelector('textarea[name="places"]'), fields).show();
}

class Places {
  #box;
  #text;
  #choice;
  #own;
  #called;
  #list = [];
  #chosen = -1;
  #rows = element("div");
  #plan = element("div", { className: "plan-edit" });

  constructor(box, text, fields) {
    [this.#box, this.#text] = [box, text];
    this.#choice = fields.querySelector('select[name="image"]');
    this.#own = fields.querySelector('input[name="image.own"]');
    this.#called = JSON.parse(box.dataset.called);
    this.#plan.addEventListener("click", (event) => this.#clicked(event));
    for (const field of [this.#choice, this.#own]) field.addEventListener("change", () => this.show());
    this.#choice.addEventListener("input", () => this.show());
    text.addEventListener("change", () => this.show());
  }

  /** Draws picture, marks and rows as the JSON says. */
  show() {
    try {
      this.#list = JSON.parse(this.#text.value || "[]");
      if (!Array.isArray(this.#list)) throw new Error("no list");
    } catch {
      this.#box.replaceChildren(element("p", { className: "hint", textContent: worded("The JSON of the places is not valid: correct it below.") }));
      return;
    }
    const image = this.#choice.value === "own:" ? this.#own.value : this.#choice.value;
    const says = image ? worded("Click on the picture to put a place there.") : worded("Choose a picture, then click on it to put places there.");
    const add = element("button", { type: "button", className: "button small", textContent: worded("Add a place") });
    add.addEventListener("click", () => this.#add(0.5, 0.5));
    this.#plan.hidden = !image;
    this.#box.replaceChildren(element("p", { className: "hint", textContent: says }), this.#plan, this.#rows, add);
    this.#draw(image);
  }

  #draw(image) {
    const picture = this.#plan.querySelector("img") ?? element("img", { alt: "Floor plan", draggable: false });
    const address = image ? `/pictures/${image.split("/").map(encodeURIComponent).join("/")}` : "";
    if (address && picture.getAttribute("src") !== address) picture.src = address;
    this.#plan.replaceChildren(picture, ...this.#list.map((place, at) => this.#mark(place, at)));
    this.#rows.replaceChildren(...this.#list.map((place, at) => this.#row(place, at)));
  }

  #name(place, at) {
    return place.label || this.#called[place.device] || place.device || (place.property ? `${place.property} = ${place.equals}` : worded("Place {number}", { number: at + 1 }));
  }

  #mark(place, at) {
    const mark = element("button", { type: "button", className: "place-mark", textContent: String(at + 1) });
    mark.setAttribute("aria-label", worded("{place}: {left} from the left, {top} from the top. Arrows move it.", { place: this.#name(place, at), left: percent(place.x), top: percent(place.y) }));
    mark.setAttribute("aria-pressed", String(at === this.#chosen));
    mark.style.left = percent(place.x);
    mark.style.top = percent(place.y);
    mark.addEventListener("click", (event) => {
      event.stopPropagation();
      this.#choose(at);
    });
    mark.addEventListener("keydown", (event) => {
      const way = KEYS[event.key];
      if (!way) return;
      event.preventDefault();
      const step = event.shiftKey ? FAR : STEP;
      this.#move(at, (place.x ?? 0) + way[0] * step, (place.y ?? 0) + way[1] * step);
      this.#plan.querySelectorAll(".place-mark")[at].focus();
    });
    return mark;
  }

  #row(place, at) {
    const device = place.property
      ? element("p", { className: "small", textContent: worded("Device whose {property} is {value}", { property: place.property, value: place.equals }) })
      : this.#field(worded("Device (name or id)"), this.#called[place.device] ?? place.device ?? "", { list: "devices-known" }, (typed) => {
          if (typed !== this.#called[place.device]) place.device = typed;
        });
    const label = this.#field(worded("Label"), place.label ?? "", { maxlength: 80 }, (typed) => {
      if (typed) place.label = typed;
      else delete place.label;
    });
    const axis = (name, words) =>
      this.#field(words, String(Math.round((place[name] ?? 0) * 1000) / 10), { type: "number", min: 0, max: 100, step: 0.1 }, (typed) => (place[name] = share(Number(typed) / 100)));
    const remove = element("button", { type: "button", className: "button small", textContent: worded("Remove") });
    remove.setAttribute("aria-label", worded("Remove place {number}", { number: at + 1 }));
    remove.addEventListener("click", () => {
      this.#list.splice(at, 1);
      this.#chosen = -1;
      this.#keep();
    });
    const pair = element("div", { className: "halves" }, axis("x", worded("From the left (%)")), axis("y", worded("From the top (%)")));
    const row = element("fieldset", { className: "press" }, element("legend", { textContent: at === this.#chosen ? worded("Place {number}, chosen: click on the picture to move it", { number: at + 1 }) : worded("Place {number}", { number: at + 1 }) }), device, label, pair, remove);
    row.addEventListener("focusin", () => this.#choose(at, row));
    return row;
  }

  /** A field that changes a place when it is left: without a name, so that only the JSON is sent. */
  #field(words, value, attributes, change) {
    const input = element("input", { value, autocomplete: "off" });
    for (const [name, each] of Object.entries(attributes)) input.setAttribute(name, String(each));
    input.addEventListener("input", (event) => event.stopPropagation());
    input.addEventListener("change", () => {
      change(input.value.trim());
      this.#tell();
      this.#marks();
    });
    return element("label", { className: "field" }, words, input);
  }

  #clicked(event) {
    const area = this.#plan.querySelector("img").getBoundingClientRect();
    if (!area.width || !area.height) return;
    const [x, y] = [(event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height];
    if (this.#chosen < 0) this.#add(x, y);
    else this.#move(this.#chosen, x, y);
  }

  #add(x, y) {
    this.#list.push({ device: "", x: share(x), y: share(y) });
    this.#chosen = this.#list.length - 1;
    this.#keep();
    this.#rows.lastElementChild.querySelector("input").focus();
  }

  #move(at, x, y) {
    Object.assign(this.#list[at], { x: share(x), y: share(y) });
    this.#keep();
  }

  /** Marks a place as the one that a click moves; `row` has the focus already. */
  #choose(at, row = null) {
    if (at === this.#chosen) return;
    this.#chosen = at;
    this.#marks();
    [...this.#rows.children].forEach((each, number) => {
      each.querySelector("legend").textContent = `Place ${number + 1}${number === at ? ", chosen: click on the picture to move it" : ""}`;
    });
    if (!row) this.#plan.querySelectorAll(".place-mark")[at].focus();
  }

  #marks() {
    const picture = this.#plan.querySelector("img");
    this.#plan.replaceChildren(picture, ...this.#list.map((place, at) => this.#mark(place, at)));
  }

  #keep() {
    this.#tell();
    this.#draw(this.#choice.value === "own:" ? this.#own.value : this.#choice.value);
  }

  #tell() {
    this.#text.value = JSON.stringify(this.#list, null, 1);
    this.#text.dispatchEvent(new Event("input", { bubbles: true }));
  }
}

const percent = (value) => `${Math.round((value ?? 0) * 1000) / 10}%`;
