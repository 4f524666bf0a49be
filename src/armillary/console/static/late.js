// SPDX-License-Identifier: Apache-2.0
// Libraries that draw (uPlot, Leaflet) or move (gridstack) come after a page has been painted, and only where something
// needs them: a page is seen and read without them. <template id="libraries"> has their addresses (data-uplot ...).

const asked = new Map();

const LATEST_PAINT_MS = 2000; // A browser that reports no paint (a window behind others, an old one) loads them anyway.

const painted = new Promise((done) => {
  new PerformanceObserver((seen) => seen.getEntriesByName("first-contentful-paint").length > 0 && done()).observe({
    type: "paint",
    buffered: true,
  });
  setTimeout(done, LATEST_PAINT_MS);
});

/** Loads a library of the page's, once: resolves when its global name can be used. */
export function library(name) {
  if (!asked.has(name)) asked.set(name, painted.then(() => load(document.getElementById("libraries").dataset[name])));
  return asked.get(name);
}

function load(address) {
  return new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = address;
    script.addEventListener("load", done);
    script.addEventListener("error", () => failed(new Error(`${address} was not loaded`)));
    document.head.append(script);
  });
}
