// SPDX-License-Identifier: Apache-2.0
// The live telemetry chart of a device page: uPlot for the drawing, server-sent events for new points.
// It reads two addresses named on its element: data-series (JSON of past points) and data-live (event stream).

import { listen } from "./live.js";
import { onTheme } from "./paint.js";
import { TimePlot } from "./time-plot.js";
import { exact } from "./zone.js";
import { worded } from "./worded.js";

const element = document.querySelector("[data-chart]");
if (element) start(element);

async function start(box) {
  let metric = box.dataset.metric;
  let plot = null;
  const isFixed = box.hasAttribute("data-fixed"); // a stretch that has a begin and an end: the table alone is live
  const status = document.getElementById("live-status");

  function say(state, text) {
    if (!status) return;
    status.className = `pulse ${state}`;
    status.textContent = text;
  }

  async function load() {
    const answer = await fetch(`${box.dataset.series}?metric=${encodeURIComponent(metric)}&${box.dataset.range}`);
    if (!answer.ok) {
      say("lost", worded("no data: the service did not answer"));
      return;
    }
    const found = await answer.json();
    plot ??= new TimePlot(box);
    plot.show(found);
    plot.fit();
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
        time.title = exact(point.at_ms / 1000);
        time.textContent = worded("just now");
      }
    }
    if (!isFixed) plot?.add(point.metric, point.at_ms, point.value);
  }

  await load();
  listen(box.dataset.live, { point: take }, say, () => load().catch(() => {}));
  new ResizeObserver(() => plot?.fit()).observe(box);
  onTheme(() => plot?.repaint());
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
