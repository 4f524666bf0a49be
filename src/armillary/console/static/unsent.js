// SPDX-License-Identifier: Apache-2.0
// Keeps what was typed into a form whose session is over: the form was not taken, the pages are not stored by the browser,
// and going back would show it empty. It is kept in this tab alone and for the same person, until the form is filled again or
// another page is seen; secrets and files are never kept.

import { worded } from "./worded.js";

const KEY = "armillary-form";
const NEVER = "button, fieldset, output, [type=password], [type=hidden], [type=file], [autocomplete=one-time-code]";
const SECRET = /token|secret|password|key|code/i; // names of fields
const SIGNING_IN = /^\/(sign-in|signed-)/;
const { who } = document.documentElement.dataset; // nobody on pages before signing in
const here = location.pathname + location.search;

const fieldsOf = (form) => [...form.elements].filter((field) => field.name && !field.matches(NEVER) && !SECRET.test(field.name));
const isBox = (field) => field.type === "checkbox" || field.type === "radio";
const valueOf = (field) => (isBox(field) ? field.checked : field.value);

document.addEventListener("submit", ({ target }) => {
  if (target.method !== "post" || SIGNING_IN.test(location.pathname)) return;
  const form = [...document.forms].indexOf(target);
  const fields = fieldsOf(target).map((field) => [field.name, valueOf(field)]);
  sessionStorage.setItem(KEY, JSON.stringify({ who, page: here, form, action: target.getAttribute("action"), fields }));
});

/** Puts what was typed back, where the form is still the same. */
function fill(kept) {
  const form = document.forms[kept.form];
  if (!form || form.getAttribute("action") !== kept.action) return;
  const fields = fieldsOf(form);
  if (fields.map((field) => field.name).join("\n") !== kept.fields.map(([name]) => name).join("\n")) return;
  fields.forEach((field, at) => {
    if (isBox(field)) field.checked = kept.fields[at][1];
    else field.value = kept.fields[at][1];
  });
  const said = document.createElement("p");
  said.className = "notice attention";
  said.setAttribute("role", "status");
  said.textContent = worded("You had been signed out, and this was not sent. What you typed is here again: look at it, then send it.");
  form.before(said);
  said.scrollIntoView({ block: "nearest" });
}

const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
const refused = document.querySelector("[data-form-refused]"); // the page that says so
if (kept && refused) {
  kept.isUnsent = true;
  sessionStorage.setItem(KEY, JSON.stringify(kept));
  const back = Object.assign(document.createElement("a"), { className: "button primary", href: kept.page, textContent: worded("Back to the form, with what you typed") });
  refused.prepend(back);
} else if (kept && SIGNING_IN.test(location.pathname)) {
  if (new URLSearchParams(location.search).has("unsent")) sessionStorage.setItem(KEY, JSON.stringify({ ...kept, isUnsent: true }));
} else if (kept) {
  sessionStorage.removeItem(KEY);
  if (kept.isUnsent && kept.page === here && kept.who === who) fill(kept);
}
