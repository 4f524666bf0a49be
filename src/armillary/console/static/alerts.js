// SPDX-License-Identifier: Apache-2.0
// The page of alerts, live: it is asked for again when alerts have changed, unless somebody types in it. Rows that are
// ticked stay so (new-rows.js).

import { listen } from "./live.js";
import { isTyped } from "./shell.js";
import { worded } from "./worded.js";

const CHANGED = worded("alerts have changed");
let waits = false;

const TICKS = "input[type=checkbox]";
const part = () => document.querySelector("[data-alerts-live]");
const isBusy = (list) => isTyped(list, TICKS) || list.querySelector(`input:not(${TICKS}):focus, select:focus`) !== null;

/** Asks for the list again, or says that there is a newer one where that would take away what somebody types. */
function refresh() {
  const list = part();
  if (!list || !window.htmx) return;
  waits = isBusy(list);
  if (waits) say("waiting", CHANGED);
  else window.htmx.trigger(list, "refresh");
}

// Somebody has begun to type since the list was asked for.
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (detail.target !== part() || !isBusy(detail.target)) return;
  detail.shouldSwap = false;
  waits = true;
  say("waiting", CHANGED);
});

let told = ["waiting", worded("connecting")];

function say(state, text) {
  told = [state, text];
  const status = document.getElementById("live-status");
  if (!status) return;
  status.className = `pulse small ${state}`;
  status.textContent = text;
}

/** Shows the box that ticks all, which needs script; it is ticked where all are. */
function offer() {
  const all = document.querySelector("[data-tick-all]");
  const boxes = [...document.querySelectorAll("[data-tick]")];
  if (!all) return;
  all.hidden = boxes.length < 2;
  all.checked = boxes.length > 0 && boxes.every((box) => box.checked);
}

document.addEventListener("change", (event) => {
  if (event.target.matches?.("[data-tick-all]")) {
    for (const box of document.querySelectorAll("[data-tick]")) box.checked = event.target.checked;
  } else if (event.target.matches?.("[data-tick]")) offer();
});
document.addEventListener("focusout", () => {
  if (waits) setTimeout(refresh, 0);
});
document.addEventListener("htmx:afterSettle", () => {
  offer();
  say(...(told[1] === CHANGED ? ["", worded("live")] : told));
});
offer();
if (part()) listen(part().dataset.alertsLive, { alerts: refresh }, say, refresh);
