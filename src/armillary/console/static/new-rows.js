// SPDX-License-Identifier: Apache-2.0
// Lists that keep up do not move under who reads them. When a part with rows (`tr[data-row]`) asks for itself again,
// rows that are shown stay where they are, with what they say now; those that came since wait behind a bar, "3 new",
// which loads them. Everything around the rows keeps up at once. Rows that were ticked stay ticked.

import { TICKS } from "./shell.js";
import { worded } from "./worded.js";

const PART = "[data-live-list]";
const rowsOf = (root) => [...root.querySelectorAll("tr[data-row]")];
const idsOf = (root) => rowsOf(root).map((row) => row.dataset.row);

let loads = null; // the part whose new rows somebody wants to see
let fresh = new Set(); // rows to mark once they are there
let ticked = []; // names of the boxes that were ticked in the part that is replaced
let place = null; // the box on which somebody was

/** A row that the list no longer has: it stays until the list is loaded, says so, and offers nothing. */
function parted(row) {
  const left = row.cloneNode(true);
  if (left.querySelector("[data-gone]")) return left;
  for (const control of left.querySelectorAll("input, button")) control.remove();
  const says = document.createElement("span");
  says.className = "reason";
  says.dataset.gone = "";
  says.textContent = worded("no longer in this list");
  (left.querySelector("th") ?? left.cells[0]).append(says);
  return left;
}

/** What the bar says of rows that wait and of rows that have gone; "" where there are none. */
export function words(waiting, isAll, gone) {
  const said = [];
  if (waiting) said.push(isAll ? worded("{count} or more new", { count: waiting }) : worded("{count} new", { count: waiting }));
  if (gone) said.push(worded("{count} no longer listed", { count: gone }));
  return said.join(", ");
}

/** Puts the rows that `list` shows into `next`, the same part as it is now; says what waits. */
function keep(list, next) {
  const shown = rowsOf(list);
  const came = new Map(rowsOf(next).map((row) => [row.dataset.row, row]));
  const body = next.querySelector("tr[data-row]").parentElement;
  const known = new Set(shown.map((row) => row.dataset.row));
  const waiting = [...came.keys()].filter((id) => !known.has(id));
  const last = shown.findLastIndex((row) => came.has(row.dataset.row));
  // Rows at the end of a full page are not gone: new ones have pushed them to the next page.
  const pushes = waiting.length > 0 && next.querySelector("a[rel=next]") !== null;
  let gone = 0;
  const rows = shown.map((row, at) => {
    const now = came.get(row.dataset.row);
    if (now) return now;
    if (pushes && at > last) return row.cloneNode(true);
    gone += 1;
    return parted(row);
  });
  body.replaceChildren(...rows);
  const said = words(waiting.length, waiting.length === came.size, gone);
  const button = next.querySelector("[data-load-rows]");
  button.hidden = said === "";
  button.querySelector("[data-says]").textContent = said;
}

const boxesOf = (root) => [...root.querySelectorAll("tr[data-row] input[type=checkbox]")];

document.addEventListener("htmx:beforeSwap", (event) => {
  const list = event.detail.target;
  if (!list?.matches?.(PART) || !event.detail.shouldSwap) return;
  ticked = boxesOf(list).filter((box) => box.checked).map((box) => box.name);
  place = list.contains(document.activeElement) && document.activeElement.matches(TICKS) ? document.activeElement : null;
  const came = new DOMParser().parseFromString(event.detail.serverResponse, "text/html");
  const next = came.getElementById(list.id);
  // An empty list is nothing that is read, and nothing to keep rows in.
  if (!next || rowsOf(list).length === 0 || rowsOf(next).length === 0) return;
  if (loads === list) {
    const known = new Set(idsOf(list));
    fresh = new Set(idsOf(next).filter((id) => !known.has(id)));
  } else {
    keep(list, next);
    event.detail.serverResponse = came.documentElement.outerHTML;
  }
  loads = null;
});

document.addEventListener("htmx:afterSwap", () => {
  for (const box of ticked.length > 0 ? boxesOf(document) : []) if (ticked.includes(box.name)) box.checked = true;
  ticked = [];
});

document.addEventListener("htmx:afterSettle", () => {
  // Now, and not before: shell.js has shown the box that ticks all.
  if (place) [...document.querySelectorAll(TICKS)].find((box) => box.name === place.name)?.focus({ preventScroll: true });
  place = null;
  if (fresh.size === 0) return;
  for (const row of document.querySelectorAll("tr[data-row]")) if (fresh.has(row.dataset.row)) row.classList.add("fresh");
  fresh = new Set();
});

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-load-rows]");
  const list = button?.closest(PART);
  if (!list || !window.htmx) return;
  loads = list;
  document.getElementById("main").focus({ preventScroll: true }); // the button goes, and nobody works in the list
  list.scrollIntoView({ block: "start" });
  window.htmx.trigger(list, "refresh");
});
