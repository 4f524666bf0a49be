// SPDX-License-Identifier: Apache-2.0
// What charts, heat maps and maps share: colours of the style sheet, axes, and how times are written.

import { fields } from "./zone.js";

/** A colour of the style sheet as the element would have it: `name` is a class of style.css. */
export function colour(element, name) {
  const probe = document.createElement("i");
  probe.className = name;
  element.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

const two = (number) => String(number).padStart(2, "0");

/** Times of the axis, 24 hours; the date stands where a day begins, seconds only where they tell ticks apart. */
export function tickText(atSeconds, stepSeconds) {
  const [year, month, day, hour, minute, second] = fields(atSeconds);
  const clock = `${two(hour)}:${two(minute)}`;
  if (stepSeconds < 60) return `${clock}:${two(second)}`;
  if (clock === "00:00") return `${year}-${two(month)}-${two(day)}`;
  return clock;
}

/** A text, cut at its end to what fits into a width of a canvas. */
export function fitted(pen, text, width) {
  if (pen.measureText(text).width <= width) return text;
  let short = text;
  while (short && pen.measureText(`${short}…`).width > width) short = short.slice(0, -1);
  return short && `${short}…`;
}

function plain(element) {
  const grid = colour(element, "chart-grid");
  return {
    stroke: colour(element, "chart-axis"),
    font: "12px system-ui, sans-serif",
    grid: { stroke: grid, width: 1 },
    ticks: { stroke: grid, width: 1, size: 4 },
  };
}

const HALF_CHARACTER = 3.4; // at the axes' size, pixels

/** Labels of the time axis; one that would be cut off at the right edge is left out. */
function timeTexts(plot, ticks, _axis, _space, step) {
  const room = plot.width - plot.bbox.left / devicePixelRatio;
  return ticks.map((at) => {
    const text = tickText(at, step);
    return plot.valToPos(at, "x") + text.length * HALF_CHARACTER > room ? "" : text;
  });
}

export const axis = {
  plain,
  time: (element) => ({ ...plain(element), size: 34, space: 76, values: timeTexts }),
};

/** Calls `redraw` when the colours of the page change. */
export function onTheme(redraw) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}
