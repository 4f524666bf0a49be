// SPDX-License-Identifier: Apache-2.0
// Charts that the server has drawn get axes, a readout and a zoom here. A chart as JSON stands behind the address of one
// (data-curve), or within it (data-plot); where an address does not answer, the server's drawing stays.

import { onTheme } from "./paint.js";
import { TimePlot } from "./time-plot.js";

for (const box of document.querySelectorAll("[data-curve]")) fetched(box).catch(() => {});
for (const box of document.querySelectorAll("[data-plot]")) draw(box, JSON.parse(box.querySelector("script").textContent));

async function fetched(box) {
  const answer = await fetch(box.dataset.curve);
  if (answer.ok) draw(box, await answer.json());
}

function draw(box, chart) {
  const plot = new TimePlot(box);
  plot.show(chart);
  plot.fit();
  new ResizeObserver(() => plot.fit()).observe(box);
  onTheme(() => plot.repaint());
}
