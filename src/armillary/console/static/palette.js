// SPDX-License-Identifier: Apache-2.0
// The command palette: Ctrl-K or Cmd-K opens it, what is typed is looked for, the arrows choose, Enter goes there.
// It follows the combobox pattern of the ARIA Authoring Practices: the focus stays in the field, and
// aria-activedescendant names the line that is chosen. Without script, the search field of the frame does the same.

import { worded } from "./worded.js";

const WAIT_MS = 120;
const dialog = document.getElementById("palette");
const field = dialog?.querySelector("[role=combobox]");
const list = dialog?.querySelector("[role=listbox]");
const count = dialog?.querySelector("[role=status]");
let chosen = -1;
let waiting = 0;
let asked = 0;

const options = () => [...list.querySelectorAll("[role=option]")];

function choose(at) {
  const found = options();
  chosen = found.length === 0 ? -1 : (at + found.length) % found.length;
  found.forEach((option, index) => option.setAttribute("aria-selected", String(index === chosen)));
  if (chosen < 0) {
    field.removeAttribute("aria-activedescendant");
    return;
  }
  field.setAttribute("aria-activedescendant", found[chosen].id);
  found[chosen].scrollIntoView({ block: "nearest" });
}

function element(name, attributes, text = "") {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

function show(groups) {
  list.replaceChildren();
  let at = 0;
  groups.forEach((group, index) => {
    const heading = `palette-group-${index}`;
    const part = element("div", { role: "group", "aria-labelledby": heading });
    part.append(element("div", { id: heading, class: "heading", role: "presentation" }, group.words));
    for (const hit of group.hits) {
      const option = element("div", { role: "option", id: `palette-option-${at}`, "aria-selected": "false" });
      option.append(element("span", { class: "name" }, hit.name));
      if (hit.where) option.append(element("span", { class: "quiet" }, hit.where));
      option.hit = hit;
      part.append(option);
      at += 1;
    }
    list.append(part);
  });
  field.setAttribute("aria-expanded", String(at > 0));
  count.textContent = at === 0 ? worded("No results.") : "";
  choose(0);
}

async function ask() {
  asked += 1;
  const number = asked;
  // With the stretch of time that the page shows, so that what is opened shows it as well.
  const query = new URLSearchParams({ q: field.value });
  const here = new URLSearchParams(location.search);
  for (const name of ["range", "start", "end"]) if (here.get(name)) query.set(name, here.get(name));
  let answer;
  try {
    answer = await fetch(`/search/lines?${query}`, { headers: { Accept: "application/json" } });
  } catch {
    answer = null;
  }
  if (number !== asked) return; // somebody typed on
  if (answer === null || !answer.ok || !answer.headers.get("content-type")?.startsWith("application/json")) {
    show([]);
    count.textContent = answer?.status === 400 ? worded("This cannot be searched for.") : worded("The service does not answer. Try again.");
    return;
  }
  show((await answer.json()).groups);
}

function go(option) {
  const { href, form } = option.hit;
  dialog.close();
  if (form) {
    const sent = [...document.forms].find((each) => each.getAttribute("action") === form);
    sent?.requestSubmit(sent.querySelector("button"));
  } else {
    location.assign(href);
  }
}

function open() {
  if (dialog.open) return;
  for (const other of document.querySelectorAll("dialog[open]")) other.close();
  field.value = "";
  list.replaceChildren();
  dialog.showModal();
  field.focus();
  ask();
}

if (dialog) {
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
    event.preventDefault();
    if (dialog.open) dialog.close();
    else open();
  });
  for (const opener of document.querySelectorAll("[data-palette]")) {
    opener.hidden = false;
    opener.addEventListener("click", open);
  }
  field.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(ask, WAIT_MS);
  });
  field.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "ArrowDown") choose(chosen + 1);
    else if (event.key === "ArrowUp") choose(chosen - 1);
    else if (event.key === "Enter") {
      if (chosen >= 0) go(options()[chosen]);
    } else return;
    event.preventDefault();
  });
  list.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) go(option);
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
}
