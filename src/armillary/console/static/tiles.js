// SPDX-License-Identifier: Apache-2.0
// The drawn tiles of a dashboard as elements: <line-chart>, <heat-map>, <device-map>. Each takes a `view`, made by
// console/dashboards/pages_tiles.py, as a property and draws it; nothing here decides what is shown. Charts are uPlot's, the map
// is device-map.js: no request leaves the host.

import { quantity } from "./chart-rules.js";
import "./device-map.js";
import { Drawn } from "./drawn.js";
import { colour, tickText } from "./paint.js";
import { TimePlot } from "./time-plot.js";
import { exact } from "./zone.js";
import { worded } from "./worded.js";

// ---- lines and bars over time ---------------------------------------------------------------------------------

class LineChart extends Drawn {
  static needs = "uplot";
  #plot = null;
  draw({ chart }) {
    this.#plot ??= new TimePlot(this, { bars: this.hasAttribute("bars") });
    this.#plot.show(chart);
    this.#plot.fit();
  }
  repaint() {
    this.#plot?.repaint();
  }
  get plot() {
    return this.#plot;
  }
  /** Adds a value that has just come, where this chart shows that value of that device. */
  take(item) {
    this.#plot?.add(item.key, item.at_ms, item.value);
  }
}

// ---- heat map -------------------------------------------------------------------------------------------------

const LABELS = 150;
const FOOT = 20;

class HeatMap extends Drawn {
  #canvas = null;
  draw({ heat }) {
    if (!this.#canvas) {
      this.#canvas = document.createElement("canvas");
      this.#canvas.setAttribute("aria-hidden", "true");
      this.#canvas.addEventListener("pointermove", (event) => this.#tell(event));
      this.replaceChildren(this.#canvas);
    }
    const scale = devicePixelRatio;
    const [width, height] = [this.clientWidth, this.clientHeight];
    const canvas = this.#canvas;
    canvas.width = width * scale;
    canvas.height = height * scale;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    const left = Math.min(LABELS, width * 0.4);
    const cell = { w: (width - left) / heat.columns, h: (height - FOOT) / heat.rows.length };
    Object.assign(this, { left, cell });
    const [ink, hot, cold, line] = ["chart-axis", "chart-line", "chart-fill", "chart-grid"].map((name) => colour(this, name));
    pen.font = "12px system-ui, sans-serif";
    pen.textBaseline = "middle";
    const labels = shortened(pen, heat.rows.map((row) => row.label), left - 8);
    heat.rows.forEach((row, y) => {
      pen.fillStyle = ink;
      if (cell.h >= 11) pen.fillText(labels[y], 0, (y + 0.5) * cell.h);
      row.values.forEach((value, x) => {
        const box = [left + x * cell.w, y * cell.h, Math.max(1, cell.w - 1), Math.max(1, cell.h - 1)];
        pen.fillStyle = value === null ? line : cold;
        pen.globalAlpha = value === null ? 0.35 : 1;
        pen.fillRect(...box);
        if (value !== null) {
          pen.globalAlpha = heat.high > heat.low ? 0.08 + (0.92 * (value - heat.low)) / (heat.high - heat.low) : 0.5;
          pen.fillStyle = hot;
          pen.fillRect(...box);
        }
        pen.globalAlpha = 1;
      });
    });
    pen.fillStyle = ink;
    const every = Math.ceil(84 / cell.w);
    for (let x = 0; x < heat.columns; x += every) {
      const text = tickText((heat.start_ms + x * heat.bucket_ms) / 1000, heat.bucket_ms / 1000);
      const at = left + x * cell.w;
      if (at + pen.measureText(text).width <= width) pen.fillText(text, at, heat.rows.length * cell.h + FOOT / 2);
    }
  }
  #tell(event) {
    const { heat } = this.view;
    const x = Math.floor((event.offsetX - this.left) / this.cell.w);
    const y = Math.floor(event.offsetY / this.cell.h);
    const row = heat.rows[y];
    const value = row?.values[x];
    this.#canvas.title =
      value === undefined ? (row?.label ?? "") : `${row.label}: ${value === null ? worded("no value") : quantity(value, heat.unit)}, ${exact((heat.start_ms + x * heat.bucket_ms) / 1000)}`;
  }
}

/** Labels of rows, each as wide as it may be: cut at the end while that tells them apart, else in the middle. */
function shortened(pen, labels, width) {
  const fits = (text) => pen.measureText(text).width <= width;
  const ended = labels.map((label) => cut(label, fits, (size) => `${label.slice(0, size)}…`));
  return ended.map((label, at) => {
    if (label === labels[at] || ended.filter((each) => each === label).length === 1) return label;
    // What differs is as a rule the beginning (a number) or the end (a place): the end gets the more room.
    const whole = labels[at];
    return cut(whole, fits, (size) => `${whole.slice(0, Math.ceil(size / 3))}…${whole.slice(whole.length - Math.floor((size * 2) / 3))}`);
  });
}

function cut(text, fits, shorter) {
  let size = text.length;
  let short = text;
  while (size > 2 && !fits(short)) short = shorter(--size);
  return short;
}

customElements.define("line-chart", LineChart);
customElements.define("heat-map", HeatMap);
