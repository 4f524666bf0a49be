// SPDX-License-Identifier: Apache-2.0
// Charts of counts over time: the server has drawn each; here it gets a readout and a zoom. Where its address
// (data-curve, a chart as JSON) does not answer, the server's drawing stays.

import { onTheme } from "./paint.js";
import { TimePlot } from "./time-plot.js";

for (const box of document.querySelectorAll("[data-curve]")) draw(box).catch(() => {});

async function draw(box) {
  const answer = await fetch(box.dataset.curve);
  if (!answer.ok) return;
  const chart = await answer.json();
  const plot = new TimePlot(box);
  plot.show(chart);
  plot.fit();
  new ResizeObserver(() => plot.fit()).observe(box);
  onTheme(() => plot.repaint());
}
