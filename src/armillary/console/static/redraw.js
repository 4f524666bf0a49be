// SPDX-License-Identifier: Apache-2.0
// Parts of a page that are drawn again while somebody works in them. A builder (data-builder) is sent and drawn again at
// each choice: what was typed meanwhile stays, and so does the place. A part that asks for itself (data-every) waits.
// layout.html sets htmx's settle delay to 0: before it has settled, a choice in the new part would be heard by nobody.

import { isWorkedIn } from "./shell.js";
import { worded } from "./worded.js";

const sent = new WeakMap(); // request -> what stood in the builder's fields when it was sent
const kept = new WeakMap(); // request -> what is put into the new one

const fieldsOf = (part) => [...part.querySelectorAll("input, select, textarea")].filter((field) => field.type !== "hidden");
const valueOf = (field) => (field.type === "checkbox" ? field.checked : field.value);
const named = (part, name) => part.querySelector(`[name="${CSS.escape(name)}"]`);

function setValue(field, value) {
  if (field.type === "checkbox") field.checked = value;
  else if (field.tagName !== "SELECT" || [...field.options].some((each) => each.value === value)) field.value = value;
}

/** Whether somebody is in the midst of a text; a choice is whole when it is made. */
const isWriting = (field) => field === document.activeElement && field.matches("textarea, input:not([type=checkbox], [type=radio])");

/** Where somebody is in a part: a field by its name, a button also by what it sends. */
function placeIn(part) {
  const at = document.activeElement;
  if (!part.contains(at) || !at.name) return null;
  const button = at.tagName === "BUTTON" ? `[value="${CSS.escape(at.value)}"]` : "";
  return { selector: `[name="${CSS.escape(at.name)}"]${button}`, from: at.selectionStart ?? null, to: at.selectionEnd ?? null };
}

function goTo(part, place) {
  const field = place && part.querySelector(place.selector);
  if (!field) return;
  field.focus({ preventScroll: true });
  if (place.from !== null && field.setSelectionRange) field.setSelectionRange(place.from, place.to);
}

document.addEventListener("htmx:beforeRequest", ({ detail }) => {
  if (!detail.target.matches("[data-builder]")) return;
  sent.set(detail.xhr, new Map(fieldsOf(detail.target).map((field) => [field.name, valueOf(field)])));
});

// Nothing came back: the choice did nothing, which nobody would see.
for (const kind of ["htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(kind, ({ detail }) => {
    const said = detail.target.querySelector?.(":scope > [data-unanswered]");
    if (!said) return;
    said.textContent = worded("The service does not answer. Try again; what you typed is still here.");
    said.hidden = false;
    said.scrollIntoView({ block: "nearest" });
  });
}

document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  const part = detail.target;
  if (part.matches("[data-every]") && isWorkedIn(part)) detail.shouldSwap = false;
  const before = sent.get(detail.xhr);
  if (!before) return;
  // A button adds or takes away a row, after which names stand for other rows: then the place alone is kept.
  const isChoice = detail.requestConfig.triggeringEvent?.type === "change";
  const typed = isChoice ? fieldsOf(part).filter((field) => before.get(field.name) !== valueOf(field)) : [];
  kept.set(detail.xhr, { place: placeIn(part), typed: typed.map((field) => [field.name, valueOf(field)]) });
});

document.addEventListener("htmx:afterSwap", ({ detail, target }) => {
  const found = kept.get(detail.xhr);
  if (!found || !target.matches?.("[data-builder]")) return;
  for (const [name, value] of found.typed) {
    const field = named(target, name);
    if (field) setValue(field, value);
  }
  goTo(target, found.place);
});

// What was typed meanwhile was not sent: it is now, a field in which somebody still types when it is left.
document.addEventListener("htmx:afterSettle", ({ detail, target }) => {
  const found = kept.get(detail.xhr);
  if (!found || !target.matches?.("[data-builder]")) return;
  kept.delete(detail.xhr);
  const tell = (field) => field.dispatchEvent(new Event("change", { bubbles: true }));
  for (const [name] of found.typed) {
    const field = named(target, name);
    if (field && isWriting(field)) field.addEventListener("blur", () => tell(field), { once: true });
    else if (field) tell(field);
  }
});
