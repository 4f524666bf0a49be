// SPDX-License-Identifier: Apache-2.0
// A chart over time, of a dashboard's tile or of a device's page: uPlot draws it, a readout below it says the values
// under the pointer (else the newest), and dragging zooms. While somebody is zoomed in nothing moves: new values are
// kept, and shown when the live view is resumed by the button, a double click or Escape.
//
// A chart is {start_ms, end_ms, bucket_ms, axes: [unit, ...], series: [{label, unit, axis, at_ms, values, key}, ...]};
// it has an axis on the left and, with a second unit, one on the right. It may have thresholds, {at, axis, shape, label}:
// a line each, or where one is out of sight its label at the edge that it lies beyond; and marks, {at_ms, label}: an
// upright line each, with a label where no other is near.

import { alone, bounds, nearest, quantity, ticks, withGaps } from "./chart-rules.js";
import { axis, colour, fitted } from "./paint.js";
import { exact, plotDate } from "./zone.js";
import { worded } from "./worded.js";

const KEEP_POINTS = 5000; // of one series: older ones leave on the left
const LEAST_DRAG = 8; // pixels: less is a click
const LEAST_HEIGHT = 90;
const CHARACTER = 6.7; // width of one at the axes' size, pixels
const LINE = 14; // height of one of texts at that size, pixels

const element = (name, properties = {}) => Object.assign(document.createElement(name), properties);

export class TimePlot {
  #host;
  #bars;
  #plot = null;
  #chart = null;
  #made = "";
  #zoom = null;
  #box = element("div", { className: "plot" });
  #readout = element("div", { className: "readout" });
  #resume = element("button", { className: "button resume", type: "button", textContent: worded("Live paused – resume"), hidden: true });

  /** @param {HTMLElement} host Is filled; its role and label move to the drawing. */
  constructor(host, { bars = false } = {}) {
    this.#host = host;
    this.#bars = bars;
    for (const name of ["role", "aria-label"]) {
      if (host.hasAttribute(name)) this.#box.setAttribute(name, host.getAttribute(name));
      host.removeAttribute(name);
    }
    host.replaceChildren(this.#box, this.#readout, this.#resume);
    this.#resume.addEventListener("click", () => this.#live());
    this.#box.addEventListener("dblclick", () => this.#live());
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.#zoom && host.isConnected) this.#live();
    });
  }

  get chart() {
    return this.#chart;
  }

  /** Times (seconds) and the values of each series as they are drawn: null is a gap. */
  get data() {
    return this.#plot.data;
  }

  /** Bounds of an axis, as they are drawn: {min, max}. */
  scale(index) {
    return this.#plot.scales[`y${index}`];
  }

  /** Whether somebody has zoomed in. */
  get isPaused() {
    return this.#zoom !== null;
  }

  /** Seconds that are shown: from, to. */
  get shown() {
    return this.#zoom ?? [this.#chart.start_ms / 1000, this.#chart.end_ms / 1000];
  }

  /** Draws a chart; one of the same series and axes in place, so that neither pointer nor zoom is lost. */
  show(chart) {
    this.#chart = chart;
    const made = JSON.stringify([chart.axes, chart.thresholds ?? [], chart.marks ?? [], chart.series.map((each) => [each.label, each.unit, each.axis])]);
    if (this.#plot && made === this.#made) this.#update();
    else this.#make(made);
  }

  /** Draws everything anew: the colours of the page have changed. */
  repaint() {
    if (this.#chart) this.#make(this.#made);
  }

  /** Fits the drawing into the room that it has. */
  fit() {
    if (!this.#plot) return;
    const [width, height] = this.#room();
    if (width > 0 && (width !== this.#plot.width || height !== this.#plot.height)) this.#plot.setSize({ width, height });
  }

  /** Adds a value that has just come; the window moves along with it. */
  add(key, at_ms, value) {
    const chart = this.#chart;
    const series = chart?.series.find((each) => each.key && each.key === key);
    if (!series || typeof value !== "number" || at_ms <= series.at_ms[series.at_ms.length - 1]) return;
    const passed = at_ms - chart.end_ms;
    if (passed > 0) {
      chart.end_ms += passed;
      chart.start_ms += passed;
    }
    series.at_ms.push(at_ms);
    series.values.push(value);
    if (series.at_ms.length > KEEP_POINTS) {
      series.at_ms.splice(0, 1);
      series.values.splice(0, 1);
    }
    this.#update();
  }

  #room() {
    return [this.#host.clientWidth, Math.max(LEAST_HEIGHT, this.#host.clientHeight - this.#readout.offsetHeight)];
  }

  #update() {
    if (!this.#plot) return;
    this.#plot.batch(() => {
      this.#plot.setData(this.#data(), false);
      const [min, max] = this.shown;
      this.#plot.setScale("x", { min, max });
    });
    this.#say();
  }

  #live() {
    if (!this.#zoom) return;
    this.#zoom = null;
    this.#resume.hidden = true;
    this.#update();
  }

  #selected(plot) {
    const { left, width } = plot.select;
    plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    if (width < LEAST_DRAG) return;
    this.#zoom = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
    this.#resume.hidden = false;
    this.#update();
  }

  #make(made) {
    const { chart } = this;
    this.#plot?.destroy();
    this.#box.replaceChildren();
    this.#made = made;
    const host = this.#host;
    const paints = chart.series.map((_each, index) => colour(host, `series-${index + 1}`));
    this.#list();
    const [width, height] = this.#room();
    const bars = this.#bars;
    const scales = Object.fromEntries(chart.axes.map((_unit, index) => [`y${index}`, { range: (_plot, low, high) => this.#range(index, low, high) }]));
    const second = chart.axes.length > 1;
    this.#plot = new uPlot(
      {
        width,
        height,
        padding: [20, second ? 0 : 22, 0, 0],
        legend: { show: false },
        cursor: {
          y: false,
          drag: { x: true, y: false, setScale: false },
          dataIdx: (plot, series, index) => nearest(plot.data[0], plot.data[series], index),
          bind: { dblclick: () => null },
        },
        tzDate: plotDate,
        scales: { x: { auto: false, min: this.shown[0], max: this.shown[1] }, ...scales },
        series: [
          {},
          ...chart.series.map((series, index) => ({
            label: series.label,
            scale: `y${series.axis}`,
            stroke: paints[index],
            fill: bars ? paints[index] : chart.series.length === 1 ? colour(host, "chart-fill") : undefined,
            width: bars ? 0 : 1.5,
            dash: index > 3 ? [6, 3] : undefined,
            spanGaps: false,
            points: bars ? { show: false } : { show: false, size: 6, fill: paints[index], filter: (plot, at) => alone(plot.data[at]) },
            paths: bars ? uPlot.paths.bars({ size: [chart.series.length > 1 ? 0.9 : 0.75, 40] }) : undefined,
          })),
        ],
        axes: [axis.time(host), ...chart.axes.map((_unit, index) => this.#axis(index))],
        hooks: {
          setSelect: [(plot) => this.#selected(plot)],
          setCursor: [() => this.#say()],
          draw: [(plot) => this.#marks(plot), (plot) => this.#limits(plot), (plot) => this.#units(plot, paints)],
        },
      },
      this.#data(),
      this.#box,
    );
    this.#say();
  }

  #axis(index) {
    return {
      ...axis.plain(this.#host),
      scale: `y${index}`,
      side: index ? 1 : 3,
      ...(index ? { grid: { show: false } } : {}),
      size: (_plot, texts) => 16 + CHARACTER * Math.max(2, ...(texts ?? []).map((text) => text.length)),
      values: (_plot, numbers, _axis, _space, step) => ticks(numbers, step),
    };
  }

  #range(index, low, high) {
    if (low === null) return [null, null];
    const limits = (this.#chart.thresholds ?? []).filter((each) => each.axis === index).map((each) => each.at);
    const [least, most] = bounds(low, high, limits);
    return this.#bars ? [Math.min(0, least), most <= 0 ? 1 : most * 1.05] : uPlot.rangeNum(least, most, 0.1, true);
  }

  /** Thresholds: a broken line and what it is called, above it; below it at the upper edge. */
  #limits(plot) {
    const { ctx, bbox } = plot;
    const line = LINE * devicePixelRatio;
    const used = { top: 0, bottom: 0 };
    ctx.save();
    ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textAlign = "right";
    ctx.lineWidth = devicePixelRatio;
    for (const each of this.#chart.thresholds ?? []) {
      const scale = plot.scales[`y${each.axis}`];
      if (scale?.min === undefined || scale.min === null) continue;
      ctx.strokeStyle = ctx.fillStyle = colour(this.#host, `limit-${each.shape}`);
      const right = bbox.left + bbox.width - 4 * devicePixelRatio;
      const at = Math.round(plot.valToPos(each.at, `y${each.axis}`, true)) + 0.5; // one sharp row of pixels
      const label = fitted(ctx, each.label, right - bbox.left - line);
      if (each.at > scale.max) {
        ctx.textBaseline = "top";
        ctx.fillText(`${label} \u2191`, right, bbox.top + line * used.top++);
      } else if (each.at < scale.min) {
        ctx.textBaseline = "bottom";
        ctx.fillText(`${label} \u2193`, right, bbox.top + bbox.height - line * used.bottom++);
      } else {
        ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
        ctx.beginPath();
        ctx.moveTo(bbox.left, at);
        ctx.lineTo(bbox.left + bbox.width, at);
        ctx.stroke();
        const isHigh = at - line < bbox.top;
        ctx.textBaseline = isHigh ? "top" : "bottom";
        ctx.fillText(label, right, at + (isHigh ? 2 : -2) * devicePixelRatio);
      }
    }
    ctx.restore();
  }

  /** Marks: an upright line and what happened, beside its foot. */
  #marks(plot) {
    const { ctx, bbox } = plot;
    const foot = bbox.top + bbox.height;
    let free = bbox.left; // from here on no label stands
    ctx.save();
    ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textBaseline = "bottom";
    ctx.lineWidth = devicePixelRatio;
    ctx.strokeStyle = ctx.fillStyle = colour(this.#host, "limit-bad");
    for (const each of this.#chart.marks ?? []) {
      const at = Math.round(plot.valToPos(each.at_ms / 1000, "x", true)) + 0.5;
      if (at < bbox.left || at > bbox.left + bbox.width) continue;
      ctx.beginPath();
      ctx.moveTo(at, bbox.top);
      ctx.lineTo(at, foot);
      ctx.stroke();
      const end = at + ctx.measureText(each.label).width + 8 * devicePixelRatio;
      if (at < free || end > bbox.left + bbox.width) continue;
      ctx.fillText(each.label, at + 4 * devicePixelRatio, foot - 2 * devicePixelRatio);
      free = end;
    }
    ctx.restore();
  }

  /** The unit above its axis, in the colour of the line where the axis has only one; two share the width. */
  #units(plot, paints) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textBaseline = "top";
    this.#chart.axes.forEach((unit, index) => {
      const of = this.#chart.series.map((each, at) => (each.axis === index ? at : -1)).filter((at) => at >= 0);
      ctx.fillStyle = this.#chart.axes.length > 1 && of.length === 1 ? paints[of[0]] : colour(this.#host, "chart-axis");
      const inner = 5 * devicePixelRatio;
      const whole = ctx.canvas.width;
      const text = fitted(ctx, unit || (this.#chart.axes.length > 1 ? worded("no unit") : ""), whole / this.#chart.axes.length - inner);
      const { width } = ctx.measureText(text);
      ctx.textAlign = index ? "left" : "right";
      ctx.fillText(text, index ? Math.min(bbox.left + bbox.width + inner, whole - width) : Math.max(bbox.left - inner, width), 1);
    });
    ctx.restore();
  }

  #list() {
    const items = this.#chart.series.map((series, index) => {
      const item = element("span", { className: "item" });
      item.append(element("i", { className: `mark series-${index + 1}` }), `${series.label} `, element("b", { textContent: "–" }));
      return item;
    });
    this.#readout.replaceChildren(...items, element("span", { className: "at" }));
  }

  /** What the readout says: the values under the pointer, else the newest. */
  #say() {
    const plot = this.#plot;
    if (!plot) return;
    const [times] = plot.data;
    const pointed = plot.cursor.left >= 0 ? plot.posToIdx(plot.cursor.left) : null;
    const values = this.#readout.querySelectorAll("b");
    this.#chart.series.forEach((series, index) => {
      const found = pointed === null ? this.#newest(series) : plot.data[index + 1][nearest(times, plot.data[index + 1], pointed)];
      values[index].textContent = quantity(found, series.unit);
    });
    const last = Math.max(...this.#chart.series.map((series) => series.at_ms[series.at_ms.length - 1] ?? -Infinity));
    const at = pointed === null ? last / 1000 : times[pointed];
    const width_s = this.#chart.bucket_ms / 1000;
    this.#readout.querySelector(".at").textContent = at === undefined || !Number.isFinite(at) ? "" : exact(this.#bars ? at - (at % width_s) : at);
    this.fit();
  }

  #newest(series) {
    return series.values[series.values.length - 1];
  }

  #data() {
    const { chart } = this;
    const count = chart.series.length;
    const tables = chart.series.map((series, place) => {
      if (!this.#bars) return withGaps(series.at_ms, series.values, chart.bucket_ms);
      // Bars stand in the middle of their stretch of time, those of several values side by side.
      const shift = chart.bucket_ms * (0.5 + ((place - (count - 1) / 2) * 0.8) / count);
      return [series.at_ms.map((at) => (at + shift) / 1000), series.values];
    });
    return tables.length === 1 ? tables[0] : uPlot.join(tables);
  }
}
