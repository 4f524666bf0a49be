// SPDX-License-Identifier: Apache-2.0
// What every page gains from script: ages that keep counting, ids that copy, keys, and a dialog of those keys.
// Everything here is a comfort: without it each page still reads and every form still posts.

import { showZone } from "./zone.js";
import { worded } from "./worded.js";

const STEPS = [[86400, "d"], [3600, "h"], [60, "min"]];

/** The same words as console/frame/words.py `moment`: keep the two in step (tests/console/test_console_browser.py). */
export function relative(atSeconds, nowSeconds) {
  const age = nowSeconds - atSeconds;
  const whole = Math.floor(Math.abs(age));
  if (whole < 5) return worded("just now");
  let text = `${whole} s`;
  for (const [size, unit] of STEPS) {
    if (whole >= size * 2) {
      text = `${Math.floor(whole / size).toLocaleString("en")} ${unit}`;
      break;
    }
  }
  return age > 0 ? worded("{span} ago", { span: text }) : worded("in {span}", { span: text });
}

// The server's clock, not this machine's, is what ages are counted against.
const serverNow = Number(document.documentElement.dataset.now);
const opened = Date.now();
const now = () => serverNow + (Date.now() - opened) / 1000;

function tick() {
  for (const element of document.querySelectorAll("time[data-at]")) {
    const text = relative(Number(element.dataset.at), now());
    if (element.textContent !== text) element.textContent = text;
  }
  showZone(document);
}
tick();
setInterval(tick, 5000);
document.addEventListener("htmx:afterSettle", tick);

/** Whether somebody has typed or chosen something in a part that is not sent yet, but for fields that `but` selects. */
export function isTyped(part, but = "") {
  return [...part.querySelectorAll("input, textarea, select")].some((field) => {
    if (but && field.matches(but)) return false;
    if (field.tagName === "SELECT") {
      const made = [...field.options].findIndex((option) => option.defaultSelected);
      return field.selectedIndex !== Math.max(made, 0);
    }
    if (field.type === "hidden") return false;
    // A box that says no value has "on", which is not its default.
    if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
    return field.value !== field.defaultValue;
  });
}

// Boxes that tick rows of a list that keeps up, and the one that ticks all: new-rows.js keeps them and the place on them.
export const TICKS = "[data-live-list] tr[data-row] input[type=checkbox], [data-live-list] [data-pick-all] input";

/** Whether somebody works in a part, so that it must not be drawn again: a tick, or the place on one, is kept anyway. */
export function isWorkedIn(part) {
  const at = document.activeElement;
  return isTyped(part, TICKS) || (part.contains(at) && !at.matches(TICKS));
}

// A part of a page asks for itself again every data-every seconds, unless nobody looks or somebody works in it.
let seconds = 0;
setInterval(() => {
  seconds += 1;
  if (document.hidden) return;
  for (const part of document.querySelectorAll("[data-every]")) {
    if (seconds % Number(part.dataset.every) !== 0) continue;
    if (isWorkedIn(part) || !window.htmx) continue;
    window.htmx.trigger(part, "refresh");
  }
}, 1000);

async function copy(button) {
  await navigator.clipboard.writeText(button.dataset.copy);
  button.classList.add("done");
  const said = document.getElementById("said");
  if (said) said.textContent = worded("Copied");
  setTimeout(() => button.classList.remove("done"), 1200);
}
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copy(button);
  const opener = event.target.closest("[data-opens]");
  if (opener) {
    const dialog = document.getElementById(opener.dataset.opens);
    if (dialog) {
      event.preventDefault();
      dialog.showModal();
    }
  }
});

// Rows that are ticked: all of a page by one box, which needs script; how many there are.
function picked() {
  const boxes = [...document.querySelectorAll("[data-pick]")];
  const all = document.querySelector("[data-pick-all]");
  const count = boxes.filter((box) => box.checked).length;
  if (all) {
    all.hidden = boxes.length < 2;
    all.querySelector("input").checked = count > 0 && count === boxes.length;
  }
  const said = document.querySelector("[data-picked]");
  if (said) said.textContent = count ? worded("{count} selected:", { count }) : worded("Selected rows:");
  for (const button of document.querySelectorAll(".bulk button")) button.disabled = count === 0;
}
document.addEventListener("change", (event) => {
  const all = event.target.closest?.("[data-pick-all]");
  if (all) for (const box of document.querySelectorAll("[data-pick]")) box.checked = event.target.checked;
  if (all || event.target.matches?.("[data-pick]")) picked();
});
document.addEventListener("htmx:afterSettle", picked);
window.addEventListener("pageshow", picked); // a browser that goes back ticks again what was ticked
picked();

// Leaving a filter alone for a moment sends its form, so that a choice needs no button.
for (const form of document.querySelectorAll("form[data-submits]")) {
  form.addEventListener("change", () => form.requestSubmit());
}

const PLACES = { f: "/fleet", h: "/dashboards", u: "/updates", i: "/findings", l: "/alerts", a: "/audit", s: "/settings" };
let leader = 0;
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, dialog[open]")) return;
  const help = document.getElementById("keys");
  if (event.key === "/") {
    event.preventDefault();
    document.getElementById("find")?.focus();
  } else if (event.key === "?" && help) {
    event.preventDefault();
    help.showModal();
  } else if (event.key === "g") {
    leader = Date.now();
  } else if (Date.now() - leader < 1500 && PLACES[event.key]) {
    leader = 0;
    location.assign(PLACES[event.key]);
  }
});
