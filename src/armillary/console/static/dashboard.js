// SPDX-License-Identifier: Apache-2.0
// Keeps a dashboard fresh: the data of all tiles in one request now and then, single values as they come. What tiles
// say is made by the server (console/dashboards/pages_tiles.py); this file puts it where it belongs.

import { listen } from "./live.js";

const REFRESH_MS = 10_000; // charts of many devices, tables with new rows
const page = document.querySelector("[data-dashboard]");
const tiles = new Map([...document.querySelectorAll("[data-tile]")].map((tile) => [tile.dataset.tile, tile]));
const status = document.getElementById("live-status");

function say(state, text) {
  status.className = `pulse small ${state}`;
  status.textContent = text;
}

const make = (name, properties = {}, children = []) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};

/** Marks a value that has changed, for as long as the style sheet says. */
function flash(element) {
  element.classList.remove("fresh");
  void element.offsetWidth; // restarts the highlight
  element.classList.add("fresh");
}

function setText(element, text, lights = true) {
  if (!element || element.textContent === text) return;
  element.textContent = text;
  if (lights) flash(element);
}

function cellOf(cell) {
  const made = make("td", { className: `number${cell.stale ? " stale" : ""}${cell.whole ? " whole" : ""}`, textContent: cell.text });
  if (cell.key) made.dataset.key = cell.key;
  return made;
}

function fillTable(tile, view) {
  const rows = [...tile.querySelectorAll("tbody tr")];
  const same = rows.length === view.rows.length && rows.every((row, index) => row.cells[0].textContent === view.rows[index].label);
  if (!same) {
    const headOf = (row) => make("th", { scope: "row" }, [row.href ? make("a", { href: row.href, textContent: row.label }) : row.label]);
    const made = view.rows.map((row) => make("tr", {}, [headOf(row), ...row.cells.map(cellOf)]));
    tile.querySelector("tbody").replaceChildren(...made);
    return;
  }
  rows.forEach((row, at) => {
    view.rows[at].cells.forEach((cell, column) => {
      const shown = row.cells[column + 1];
      shown.classList.toggle("stale", cell.stale);
      setText(shown, cell.text);
    });
  });
}

function fillBars(tile, view) {
  const rows = [...tile.querySelectorAll("[data-bar-row]")];
  const same = rows.length === view.rows.length && rows.every((row, index) => row.querySelector("a").getAttribute("href") === view.rows[index].href);
  if (!same) return location.reload(); // other devices: the page lays them out
  rows.forEach((row, at) => {
    [...row.querySelectorAll("[data-bar]")].forEach((bar, index) => {
      const { share, text } = view.rows[at].bars[index];
      bar.querySelector("rect").setAttribute("width", `${share}%`);
      setText(bar.querySelector("[data-text]"), text, false);
    });
  });
}

function fillSpots(tile, view) {
  const spots = [...tile.querySelectorAll("[data-spot]")];
  spots.forEach((spot, index) => {
    const said = view.spots[index];
    spot.setAttribute("class", `spot ${said.shape || "calm"}${said.stale ? " stale" : ""}`);
    setText(spot.querySelector("[data-text]"), said.text, false);
  });
}

const FILL = {
  kpi(tile, view) {
    setText(tile.querySelector("[data-kpi]"), view.text);
    tile.querySelector(".kpi").className = `kpi ${view.shape || "calm"}`;
  },
  line: (tile, view) => draw(tile, "line-chart", view),
  bar: (tile, view) => (view.rows ? fillBars(tile, view) : draw(tile, "line-chart", view)),
  heatmap: (tile, view) => draw(tile, "heat-map", view),
  map: (tile, view) => draw(tile, "device-map", view),
  "floor-plan": fillSpots,
  "last-values": fillTable,
  property: fillTable,
};

function draw(tile, name, view) {
  const element = tile.querySelector(name);
  if (element) customElements.whenDefined(name).then(() => (element.view = view));
}

function show(views) {
  for (const [id, view] of Object.entries(views)) {
    const tile = tiles.get(id);
    if (!tile) continue;
    if (tile.dataset.state !== view.state) return location.reload(); // first data, or none any more: laid out anew
    if (view.state !== "ok") continue;
    tile.classList.toggle("old", view.stale);
    setText(tile.querySelector("[data-note]"), view.note, false);
    const time = tile.querySelector(".tile-foot time");
    if (time && view.age) {
      Object.assign(time, { dateTime: view.age.iso, title: view.age.exact, textContent: view.age.relative });
      time.dataset.at = String(view.age.at);
    }
    FILL[view.kind]?.(tile, view);
  }
  return undefined;
}

let asking = false;
async function refresh() {
  if (asking || document.hidden) return;
  asking = true;
  try {
    const answer = await fetch(page.dataset.data);
    if (answer.ok) show((await answer.json()).tiles);
  } finally {
    asking = false;
  }
}

function take(items) {
  for (const item of items) {
    for (const cell of page.querySelectorAll(`[data-key="${CSS.escape(item.key)}"]`)) {
      const text = item.texts[cell.closest("[data-tile]").dataset.tile];
      if (text !== undefined) setText(cell, text);
    }
    for (const chart of page.querySelectorAll("line-chart")) chart.take?.(item);
  }
}

if (page) {
  show(JSON.parse(document.getElementById("tile-data").textContent));
  setInterval(() => refresh().catch(() => say("lost", "connection lost, trying again")), REFRESH_MS);
  listen(page.dataset.live, { values: (said) => take(said.items) }, say, () => refresh().catch(() => {}));
}
