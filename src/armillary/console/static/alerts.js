// SPDX-License-Identifier: Apache-2.0
// The page of alerts, live: it is asked for again when alerts have changed, unless somebody is at work in it.

import { listen } from "./live.js";
import { isTyped } from "./shell.js";

let waits = false;

const part = () => document.querySelector("[data-alerts-live]");

/** Asks for the list again, or says that there is a newer one where that would take away what somebody ticked. */
function refresh() {
  const list = part();
  if (!list || !window.htmx) return;
  const isBusy = isTyped(list) || list.querySelector("input:focus, select:focus") !== null;
  waits = isBusy;
  if (isBusy) say("waiting", "alerts have changed");
  else window.htmx.trigger(list, "refresh");
}

let told = ["waiting", "connecting"];

function say(state, text) {
  told = [state, text];
  const status = document.getElementById("live-status");
  if (!status) return;
  status.className = `pulse small ${state}`;
  status.textContent = text;
}

/** Shows the box that ticks all, which needs script. */
function offer() {
  const all = document.querySelector("[data-tick-all]");
  if (all) all.hidden = document.querySelectorAll("[data-tick]").length < 2;
}

document.addEventListener("change", (event) => {
  if (!event.target.matches?.("[data-tick-all]")) return;
  for (const box of document.querySelectorAll("[data-tick]")) box.checked = event.target.checked;
});
document.addEventListener("focusout", () => {
  if (waits) setTimeout(refresh, 0);
});
document.addEventListener("htmx:afterSettle", () => {
  offer();
  say(...(told[1] === "alerts have changed" ? ["", "live"] : told));
});
offer();
if (part()) listen(part().dataset.alertsLive, { alerts: refresh }, say, refresh);
