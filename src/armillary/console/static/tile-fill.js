// SPDX-License-Identifier: Apache-2.0
// Puts what tiles say where it belongs: on a dashboard, on its editor, in a preview. The views are made by the server
// (console/dashboards/pages_tiles.py); nothing here decides what is shown.

import { worded } from "./worded.js";

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
  if (!same) return false; // other devices: they are laid out anew
  rows.forEach((row, at) => {
    [...row.querySelectorAll("[data-bar]")].forEach((bar, index) => {
      const { share, text } = view.rows[at].bars[index];
      bar.querySelector("rect").setAttribute("width", `${share}%`);
      setText(bar.querySelector("[data-text]"), text, false);
    });
  });
  return true;
}

function fillSpots(tile, view) {
  const spots = [...tile.querySelectorAll("[data-spot]")];
  spots.forEach((spot, index) => {
    const said = view.spots[index];
    spot.setAttribute("class", `spot ${said.shape || "calm"}${said.stale ? " stale" : ""}`);
    setText(spot.querySelector("[data-text]"), said.text, false);
  });
}

function fillKpi(tile, view) {
  setText(tile.querySelector("[data-kpi]"), view.text);
  tile.querySelector(".kpi").className = `kpi ${view.shape || "calm"}`;
  const line = tile.querySelector("[data-spark]");
  if (Boolean(line) !== Boolean(view.spark)) return false;
  if (line) {
    line.setAttribute("points", view.spark.points);
    line.closest("svg").setAttribute("aria-label", worded("From {low} to {high}", view.spark));
  }
  return true;
}

function fillGauge(tile, view) {
  setText(tile.querySelector("[data-kpi]"), view.text);
  tile.querySelector(".gauge").className = `gauge ${view.shape || "calm"}`;
  tile.querySelector("[data-arc]").setAttribute("stroke-dasharray", `${view.share} 200`);
}

/** A symbol of a state as the server draws it, taken from a tile that has one. */
const shapeOf = (kind) => document.querySelector(`template[data-shape="${kind}"]`).content.cloneNode(true);

function fillAlerts(tile, view) {
  const lineOf = (line) => {
    const time = make("time", { dateTime: line.when.iso, title: line.when.exact, textContent: line.when.relative });
    time.dataset.at = String(line.when.at);
    const about = make("span", { className: "quiet" }, [
      make("span", { className: "out-of-sight", textContent: `${line.severity}, ` }),
      make("a", { href: line.device_href, textContent: line.label }),
      ", ",
      time,
      line.stage_words ? `, ${line.stage_words}` : "",
    ]);
    const why = make("a", { href: line.href, textContent: line.text });
    return make("li", { className: line.stage }, [shapeOf(line.shape), make("div", {}, [why, about])]);
  };
  tile.querySelector("[data-lines]").replaceChildren(...view.lines.map(lineOf));
  tile.querySelector("[data-said]").replaceChildren(...(view.said ? [shapeOf("good"), view.said] : []));
}

const FILL = {
  kpi: fillKpi,
  gauge: fillGauge,
  alerts: fillAlerts,
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

/** Fills a tile with its view; false where it has to be laid out anew: first data, or none any more. */
export function fill(tile, view) {
  if (tile.dataset.state !== view.state) return false;
  if (view.state !== "ok") return true;
  tile.classList.toggle("old", view.stale);
  setText(tile.querySelector("[data-note]"), view.note, false);
  const time = tile.querySelector(".tile-foot time");
  if (time && view.age) {
    Object.assign(time, { dateTime: view.age.iso, title: view.age.exact, textContent: view.age.relative });
    time.dataset.at = String(view.age.at);
  }
  return FILL[view.kind]?.(tile, view) !== false;
}

/** Puts single values that have just come into all tiles of a page that show them. */
export function take(page, items) {
  for (const item of items) {
    for (const cell of page.querySelectorAll(`[data-key="${CSS.escape(item.key)}"]`)) {
      const text = item.texts[cell.closest("[data-tile]").dataset.tile];
      if (text === undefined) continue;
      setText(cell, text);
      const gauge = cell.closest(".gauge svg");
      if (gauge && typeof item.value === "number") {
        const [low, high] = [Number(gauge.dataset.low), Number(gauge.dataset.high)];
        const share = Math.min(100, Math.max(0, (100 * (item.value - low)) / (high - low)));
        gauge.querySelector("[data-arc]").setAttribute("stroke-dasharray", `${share} 200`);
      }
    }
    for (const chart of page.querySelectorAll("line-chart")) chart.take?.(item);
  }
}
