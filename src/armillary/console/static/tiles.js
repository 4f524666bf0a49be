// SPDX-License-Identifier: Apache-2.0
// The drawn tiles of a dashboard as elements: <line-chart>, <heat-map>, <device-map>. Each takes a `view`, made by
// console/dashboards/pages_tiles.py, as a property and draws it; nothing here decides what is shown. Charts are uPlot's, the map is
// Leaflet's over an outline of the world and a graticule of our own: no request leaves the host.

import { quantity } from "./chart-rules.js";
import { colour, exact, onTheme, tickText } from "./paint.js";
import { TimePlot } from "./time-plot.js";

/** An element that draws `view` again when it, its size or the colours of the page change. */
class Drawn extends HTMLElement {
  #view = null;
  connectedCallback() {
    new ResizeObserver(() => this.#again()).observe(this);
    onTheme(() => this.repaint());
  }
  set view(view) {
    this.#view = view;
    this.#again();
  }
  get view() {
    return this.#view;
  }
  /** Draws again in other colours. */
  repaint() {
    this.#again();
  }
  #again() {
    if (this.#view && this.clientWidth > 0) this.draw(this.#view);
  }
}

// ---- lines and bars over time ---------------------------------------------------------------------------------

class LineChart extends Drawn {
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
    const cell = { w: (width - left) / heat.columns, h: Math.min(44, (height - FOOT) / heat.rows.length) };
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
      value === undefined ? (row?.label ?? "") : `${row.label}: ${value === null ? "no value" : quantity(value, heat.unit)}, ${exact((heat.start_ms + x * heat.bucket_ms) / 1000)}`;
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

// ---- map ------------------------------------------------------------------------------------------------------

const STEPS = [60, 30, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001];

/** Lines of equal latitude and longitude, drawn on canvas tiles: the map's own paper at every scale. */
function graticule(element) {
  const Layer = L.GridLayer.extend({
    createTile(coords) {
      const size = this.getTileSize();
      const tile = L.DomUtil.create("canvas", "leaflet-tile");
      tile.width = size.x * devicePixelRatio;
      tile.height = size.y * devicePixelRatio;
      const pen = tile.getContext("2d");
      pen.scale(devicePixelRatio, devicePixelRatio);
      const map = this._map;
      const west = coords.scaleBy(size);
      const [nw, se] = [map.unproject(west, coords.z), map.unproject(west.add(size), coords.z)];
      const step = STEPS.find((each) => each <= (se.lng - nw.lng) / 1.5) ?? STEPS[STEPS.length - 1];
      const digits = Math.max(0, Math.ceil(-Math.log10(step)));
      pen.strokeStyle = colour(element, "chart-grid");
      pen.fillStyle = colour(element, "chart-axis");
      pen.font = "11px system-ui, sans-serif";
      pen.lineWidth = 1;
      const label = (text, x, y) => {
        if (y > 10 && x + pen.measureText(text).width < size.x) pen.fillText(text, x, y);
      };
      pen.beginPath();
      for (let lng = Math.ceil(nw.lng / step) * step; lng < se.lng; lng += step) {
        const x = Math.round(map.project([0, lng], coords.z).x - west.x) + 0.5;
        pen.moveTo(x, 0);
        pen.lineTo(x, size.y);
        label(degrees(lng, digits, "E", "W"), x + 3, 11);
      }
      for (let lat = Math.ceil(se.lat / step) * step; lat < nw.lat; lat += step) {
        const y = Math.round(map.project([lat, 0], coords.z).y - west.y) + 0.5;
        pen.moveTo(0, y);
        pen.lineTo(size.x, y);
        label(degrees(lat, digits, "N", "S"), 3, y - 3);
      }
      pen.stroke();
      return tile;
    },
  });
  return new Layer({ pane: "lines" });
}

const degrees = (value, digits, plus, minus) => `${Math.abs(value).toFixed(digits)}° ${value < 0 ? minus : plus}`;

class DeviceMap extends Drawn {
  #map = null;
  #dots = null;
  #known = new Map();
  #paper = [];
  #colours = "";
  draw(view) {
    if (!this.#map) this.#make(view);
    this.#map.invalidateSize({ animate: false });
    this.#repaint();
    const gone = new Set(this.#known.keys());
    view.dots.forEach((dot) => {
      const name = dot.href;
      gone.delete(name);
      const style = { radius: 7, weight: 2, fillOpacity: 0.75, color: colour(this, "map-edge"), fillColor: colour(this, `map-${dot.shape || "calm"}`) };
      const marker = this.#known.get(name) ?? L.circleMarker([dot.lat, dot.lon], style).addTo(this.#dots);
      if (!this.#known.has(name)) {
        marker.bindTooltip("", { direction: "top", offset: [0, -8] });
        marker.on("click", () => location.assign(marker.armillaryHref));
        this.#known.set(name, marker);
      }
      marker.armillaryHref = dot.href;
      marker.setLatLng([dot.lat, dot.lon]).setStyle(style);
      const said = document.createElement("span");
      said.textContent = `${dot.label}${dot.text ? `: ${dot.text}` : ""}${dot.stale ? " (stale)" : ""}`;
      marker.setTooltipContent(said);
    });
    for (const name of gone) {
      this.#known.get(name).remove();
      this.#known.delete(name);
    }
  }
  #make(view) {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.replaceChildren();
    this.#map = L.map(this, {
      attributionControl: false,
      zoomAnimation: !still,
      fadeAnimation: false,
      markerZoomAnimation: !still,
      inertia: !still,
      worldCopyJump: true,
      scrollWheelZoom: false, // the page scrolls; + and - and the buttons zoom
      maxZoom: 18,
    });
    for (const [name, level] of Object.entries({ land: 180, lines: 190 })) this.#map.createPane(name).style.zIndex = String(level);
    this.#dots = L.layerGroup().addTo(this.#map);
    L.control.scale({ imperial: false }).addTo(this.#map);
    const spots = view.dots.map((dot) => [dot.lat, dot.lon]);
    this.#map.fitBounds(L.latLngBounds(spots).pad(0.3), { maxZoom: 15, animate: false });
    fetch(this.dataset.outline).then(async (answer) => {
      if (!answer.ok) return;
      this.outline = await answer.json();
      this.#colours = "";
      this.#repaint();
    });
  }
  #repaint() {
    const present = [colour(this, "map-land"), colour(this, "chart-grid"), colour(this, "chart-axis")].join();
    if (present === this.#colours) return;
    this.#colours = present;
    this.#paper.forEach((layer) => layer.remove());
    this.#paper = [];
    if (this.outline) {
      const [fillColor, color] = [colour(this, "map-land"), colour(this, "chart-grid")];
      const style = (feature) => (feature.properties.part === "land" ? { stroke: true, color, weight: 1, fillColor, fillOpacity: 1 } : { color, weight: 1, fill: false });
      this.#paper.push(L.geoJSON(this.outline, { style, interactive: false, pane: "land" }).addTo(this.#map));
    }
    this.#paper.push(graticule(this).addTo(this.#map));
    // The table below the map says the same in words.
    for (const drawn of this.querySelectorAll("svg")) drawn.setAttribute("aria-hidden", "true");
  }
}

customElements.define("line-chart", LineChart);
customElements.define("heat-map", HeatMap);
customElements.define("device-map", DeviceMap);
