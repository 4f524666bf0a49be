// SPDX-License-Identifier: Apache-2.0
// The live telemetry chart of a device page: uPlot for the drawing, server-sent events for new points.
// It reads two addresses named on its element: data-series (JSON of past points) and data-live (event stream).

import { listen } from "./live.js";
import { axis, colour, exact } from "./paint.js";

const KEEP_POINTS = 5000; // one point a second for more than an hour; older ones leave on the left
const element = document.querySelector("[data-chart]");
if (element) start(element);

function options(metric, unit, width) {
  const number = (value) => (value === null || value === undefined ? "–" : `${value.toLocaleString("en")} ${unit}`.trim());
  return {
    width,
    height: 220,
    padding: [12, 8, 0, 0],
    cursor: { y: false },
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    series: [
      { label: "At", value: (_plot, at) => (at === null || at === undefined ? "–" : exact(at)) },
      {
        label: metric,
        stroke: colour(element, "chart-line"),
        fill: colour(element, "chart-fill"),
        width: 1.5,
        points: { show: false },
        value: (_plot, value) => number(value),
      },
    ],
    axes: [
      axis.time(element),
      { ...axis.plain(element), size: 72, values: (_plot, ticks) => ticks.map(number) },
    ],
  };
}

async function start(box) {
  let metric = box.dataset.metric;
  let plot = null;
  let unit = "";
  let points = [[], []];
  const status = document.getElementById("live-status");

  function say(state, text) {
    if (!status) return;
    status.className = `pulse ${state}`;
    status.textContent = text;
  }

  function draw() {
    if (points[0].length === 0) return;
    if (plot === null) {
      box.replaceChildren();
      plot = new uPlot(options(metric, unit, box.clientWidth), points, box);
    } else {
      plot.setData(points);
    }
  }

  async function load() {
    const answer = await fetch(`${box.dataset.series}?metric=${encodeURIComponent(metric)}&range=${box.dataset.range}`);
    if (!answer.ok) {
      say("lost", "no data: the service did not answer");
      return;
    }
    const series = await answer.json();
    unit = series.unit;
    points = [series.points.map((point) => point[0] / 1000), series.points.map((point) => point[1])];
    plot?.destroy();
    plot = null;
    draw();
  }

  function take(point) {
    const row = document.querySelector(`[data-metric-row="${CSS.escape(point.metric)}"]`);
    if (row) {
      const cell = row.querySelector("[data-value]");
      cell.textContent = point.text;
      cell.classList.remove("fresh");
      void cell.offsetWidth; // restarts the highlight
      cell.classList.add("fresh");
      const time = row.querySelector("time");
      if (time) {
        time.dataset.at = String(point.at_ms / 1000);
        time.dateTime = new Date(point.at_ms).toISOString();
        time.title = time.dateTime.replace("T", " ").replace(/\.\d+Z/, " UTC");
        time.textContent = "just now";
      }
    }
    if (point.metric !== metric || typeof point.value !== "number") return;
    const at = point.at_ms / 1000;
    if (points[0].length && at <= points[0][points[0].length - 1]) return;
    points[0].push(at);
    points[1].push(point.value);
    if (points[0].length > KEEP_POINTS) points = points.map((axis) => axis.slice(-KEEP_POINTS));
    draw();
  }

  await load();
  listen(box.dataset.live, { point: take }, say, () => load().catch(() => {}));
  new ResizeObserver(() => plot?.setSize({ width: box.clientWidth, height: 220 })).observe(box);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    plot?.destroy();
    plot = null;
    draw();
  });
  document.addEventListener("click", (event) => {
    const chosen = event.target.closest("[data-choose-metric]");
    if (!chosen) return;
    event.preventDefault();
    metric = chosen.dataset.chooseMetric;
    for (const other of document.querySelectorAll("[data-choose-metric]")) other.removeAttribute("aria-current");
    chosen.setAttribute("aria-current", "true");
    history.replaceState(null, "", chosen.href);
    load();
  });
}
