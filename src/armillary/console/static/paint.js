// SPDX-License-Identifier: Apache-2.0
// What charts, heat maps and maps share: colours of the style sheet, axes, and how times are written.

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

/** Times of the axis in UTC, 24 hours; the date stands where a day begins, seconds only where they tell ticks apart. */
export function tickText(atSeconds, stepSeconds) {
  const at = new Date(atSeconds * 1000);
  const clock = `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`;
  if (stepSeconds < 60) return `${clock}:${two(at.getUTCSeconds())}`;
  if (clock === "00:00") return `${at.getUTCFullYear()}-${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())}`;
  return clock;
}

/** A moment, exactly. */
export const exact = (atSeconds) => new Date(atSeconds * 1000).toISOString().slice(0, 19).replace("T", " ") + " UTC";

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
