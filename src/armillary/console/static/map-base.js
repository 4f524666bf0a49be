// SPDX-License-Identifier: Apache-2.0
// The ground of a map: land, lakes, borders and names of places, drawn on one canvas below the devices from the map pack.
// A view of the world loads one file; from DETAIL_ZOOM on, the files of the regions that are seen.

import { BORDER, LAKE, LAND, readPack } from "./map-pack.js";
import { nearest, widthAt, withoutOverlap } from "./map-rules.js";
import { colour } from "./paint.js";
import { worded } from "./worded.js";

export const DETAIL_ZOOM = 6;
// How many of the greatest places are named at zoom 0; each zoom doubles it, and what finds no room is left out.
const NAMED_AT_ZOOM_0 = 24;
const MOST_NAMES = 120;
const FONT = "12px system-ui, sans-serif";

/** The files of the pack, each loaded once for all maps of a page. */
class Pack {
  #files = new Map();
  #index = null;
  constructor(address) {
    this.ready = load(address).then(async (answer) => (this.#index = await answer.json()));
  }
  get known() {
    return this.#index !== null;
  }
  /** A file's content; null while it comes (`then` is called when it has come or failed), or where there is only sea. */
  part(name, then) {
    const address = this.#index?.files[name];
    if (!address) return EMPTY;
    if (!this.#files.has(name)) {
      this.#files.set(name, null);
      load(address)
        .then((answer) => answer.arrayBuffer())
        .then((content) => this.#files.set(name, readPack(content)))
        .catch((error) => this.#files.set(name, { ...EMPTY, failed: String(error.message ?? error) }))
        .then(then);
    }
    return this.#files.get(name);
  }
  /** Names of the regions between two corners (in widths of the map, from north-west). */
  regions(west, north, east, south) {
    const size = this.#index.region_degrees;
    const latitude = (y) => (Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180) / Math.PI;
    const column = (x) => Math.floor((Math.max(0, Math.min(0.999999, x)) * 360) / size);
    const row = (y) => Math.floor((latitude(Math.max(0, Math.min(1, y))) - this.#index.south) / size);
    const two = (number) => String(number).padStart(2, "0");
    const found = [];
    for (let r = row(south); r <= row(north); r++) for (let c = column(west); c <= column(east); c++) found.push(`r${two(r)}c${two(c)}`);
    return found;
  }
}

const EMPTY = { lines: [], places: [] };
const packs = new Map();

async function load(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(worded("The map could not be loaded ({status}).", { status: answer.status }));
  return answer;
}

/**
 * A layer of Leaflet that draws the ground; `told` is called each time with the nearest place, with what failed, and with
 * how many places are named, null while they come.
 */
export function ground(element, address, told) {
  if (!packs.has(address)) packs.set(address, new Pack(address));
  const pack = packs.get(address);
  const Ground = L.Renderer.extend({
    onAdd(map) {
      L.Renderer.prototype.onAdd.call(this, map);
      pack.ready.then(() => this.redraw()).catch((error) => told("", error.message));
    },
    _initContainer() {
      this._container = document.createElement("canvas");
      this._container.setAttribute("aria-hidden", "true");
      this._pen = this._container.getContext("2d");
    },
    _destroyContainer() {
      this._container.remove();
      delete this._container;
    },
    _update() {
      if (this._map._animatingZoom && this._bounds) return;
      L.Renderer.prototype._update.call(this);
      const size = this._bounds.getSize();
      L.DomUtil.setPosition(this._container, this._bounds.min);
      this._container.width = size.x * devicePixelRatio;
      this._container.height = size.y * devicePixelRatio;
      this._container.style.width = `${size.x}px`;
      this._container.style.height = `${size.y}px`;
      this.redraw();
    },
    redraw() {
      if (this._container && pack.known) draw(this, element, pack, told);
    },
  });
  return new Ground({ padding: 0.25, pane: "land" });
}

function draw(layer, element, pack, told) {
  const map = layer._map;
  const pen = layer._pen;
  const zoom = map.getZoom();
  const width = widthAt(zoom);
  const corner = map.getPixelOrigin().add(layer._bounds.min);
  const size = layer._bounds.getSize();
  pen.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  pen.clearRect(0, 0, size.x, size.y);
  const again = () => layer.redraw();
  const sights = [];
  for (let copy = Math.floor(corner.x / width); copy <= Math.floor((corner.x + size.x) / width); copy++) {
    sights.push({ left: copy * width - corner.x, top: -corner.y, width, size });
  }
  const seen = (sight) => [-sight.left / width, -sight.top / width, (size.x - sight.left) / width, (size.y - sight.top) / width];
  const regions = zoom >= DETAIL_ZOOM ? [...new Set(sights.flatMap((sight) => pack.regions(...seen(sight))))] : [];
  let parts = regions.map((name) => pack.part(name, again));
  const comes = parts.includes(null);
  const world = zoom < DETAIL_ZOOM || comes ? pack.part("world", again) : EMPTY;
  if (!regions.length || comes) parts = world ? [world] : [];
  const failed = parts.find((part) => part.failed)?.failed ?? "";
  const style = Object.fromEntries(["map-land", "map-sea", "map-coast", "map-border", "map-name", "map-halo"].map((name) => [name, colour(element, name)]));
  for (const sight of sights) for (const part of parts) drawLines(pen, part.lines, sight, seen(sight), style);
  const places = parts.flatMap((part) => part.places).sort((a, b) => a.rank - b.rank);
  const named = drawNames(pen, places, sights, zoom, style);
  const centre = map.getCenter().wrap();
  told(zoom >= DETAIL_ZOOM ? nearest({ lat: centre.lat, lon: centre.lng }, places) : "", failed, comes || failed ? null : named);
}

function drawLines(pen, lines, sight, box, style) {
  const here = lines.filter((line) => line.box[0] <= box[2] && line.box[2] >= box[0] && line.box[1] <= box[3] && line.box[3] >= box[1]);
  const trace = (kind, skipsEdges) => {
    pen.beginPath();
    for (const line of here) {
      if (line.kind !== kind) continue;
      for (let i = 0; i < line.x.length; i++) {
        const [x, y] = [line.x[i] * sight.width + sight.left, line.y[i] * sight.width + sight.top];
        if (i === 0 || (skipsEdges && line.edge[i])) pen.moveTo(x, y);
        else pen.lineTo(x, y);
      }
    }
  };
  pen.lineJoin = "round";
  pen.lineWidth = 1;
  for (const [kind, fill] of [[LAND, style["map-land"]], [LAKE, style["map-sea"]]]) {
    trace(kind, false);
    pen.fillStyle = pen.strokeStyle = fill;
    pen.fill();
    pen.stroke(); // closes the seam between two regions
    trace(kind, true);
    pen.strokeStyle = style["map-coast"];
    pen.stroke();
  }
  trace(BORDER, false);
  pen.strokeStyle = style["map-border"];
  pen.setLineDash([5, 3]);
  pen.stroke();
  pen.setLineDash([]);
}

/** Names places where there is room; returns how many. */
function drawNames(pen, places, sights, zoom, style) {
  const most = NAMED_AT_ZOOM_0 * 2 ** zoom;
  const spots = [];
  for (const { left, top, width, size } of sights) {
    for (const place of places) {
      if (place.rank > most || spots.length > 4 * MOST_NAMES) break;
      const [x, y] = [place.x * width + left, place.y * width + top];
      if (x > 0 && y > 0 && x < size.x && y < size.y) spots.push({ x, y, name: place.name });
    }
  }
  pen.font = FONT;
  pen.textBaseline = "middle";
  pen.lineJoin = "round";
  const kept = withoutOverlap(spots.map(({ x, y, name }) => [x - 5, y - 9, x + 12 + pen.measureText(name).width, y + 9]));
  for (const at of kept.slice(0, MOST_NAMES)) {
    const { x, y, name } = spots[at];
    pen.fillStyle = style["map-name"];
    pen.beginPath();
    pen.arc(x, y, 1.8, 0, 2 * Math.PI);
    pen.fill();
    pen.strokeStyle = style["map-halo"];
    pen.lineWidth = 3;
    pen.strokeText(name, x + 6, y);
    pen.fillText(name, x + 6, y);
  }
  return Math.min(kept.length, MOST_NAMES);
}
