// SPDX-License-Identifier: Apache-2.0
// What maps decide: the projection, which devices are drawn as one mark, and the nearest place. Pure.

import { worded } from "./worded.js";

/** The latitude where Web Mercator ends: there the world is a square (EPSG:3857). */
export const EDGE_LATITUDE = 85.0511287798066;
const EARTH_KM = 6371.0088; // mean radius, IUGG

/** How far a longitude (degrees) is from the map's west edge, in widths of the map. */
export const across = (lon) => (lon + 180) / 360;

/** How far a latitude (degrees) is from the map's north edge, in heights of the map (EPSG:3857). */
export function down(lat) {
  const angle = (Math.max(-EDGE_LATITUDE, Math.min(EDGE_LATITUDE, lat)) * Math.PI) / 180;
  return Math.max(0, 0.5 - Math.log(Math.tan(Math.PI / 4 + angle / 2)) / (2 * Math.PI));
}

/** Pixels of the whole map at a zoom. */
export const widthAt = (zoom) => 256 * 2 ** zoom;

// Worst first. "calm" is a device that nothing is asked of; one not heard of is never drawn as good.
const WORST = ["bad", "attention", "unknown", "good", "calm"];

/** The state that a dot is drawn in. */
export function stateOf(dot) {
  const state = dot.shape || "calm";
  return dot.stale && (state === "good" || state === "calm") ? "unknown" : state;
}

export const worst = (states) => WORST.find((each) => states.includes(each)) ?? "calm";

/** Dots worst first, then by their names. */
export const worstFirst = (dots) =>
  [...dots].sort((a, b) => WORST.indexOf(stateOf(a)) - WORST.indexOf(stateOf(b)) || a.label.localeCompare(b.label, "en"));

/**
 * Groups of dots ({lat, lon, …}) that lie within `reach` pixels of the first of each group at a zoom, as
 * {dots, lat, lon, state}: the middle of the group and its worst state. Takes time in proportion to the dots.
 */
export function clusters(dots, zoom, reach) {
  const width = widthAt(zoom);
  const cells = new Map();
  const found = [];
  for (const dot of dots) {
    const [x, y] = [across(dot.lon) * width, down(dot.lat) * width];
    const [column, row] = [Math.floor(x / reach), Math.floor(y / reach)];
    let mine = null;
    for (let c = column - 1; c <= column + 1; c++)
      for (let r = row - 1; r <= row + 1; r++)
        for (const each of cells.get(`${c},${r}`) ?? [])
          if (Math.hypot(each.x - x, each.y - y) < reach && (!mine || Math.hypot(each.x - x, each.y - y) < Math.hypot(mine.x - x, mine.y - y))) mine = each;
    if (!mine) {
      mine = { x, y, dots: [] };
      found.push(mine);
      const key = `${column},${row}`;
      cells.set(key, [...(cells.get(key) ?? []), mine]);
    }
    mine.dots.push(dot);
  }
  return found.map(({ dots: members }) => ({
    dots: members,
    lat: members.reduce((sum, each) => sum + each.lat, 0) / members.length,
    lon: members.reduce((sum, each) => sum + each.lon, 0) / members.length,
    state: worst(members.map(stateOf)),
  }));
}

/** Kilometres between two places, along the great circle (haversine). */
export function kilometres(a, b) {
  const radians = (degrees) => (degrees * Math.PI) / 180;
  const half = Math.sin(radians(b.lat - a.lat) / 2) ** 2 + Math.cos(radians(a.lat)) * Math.cos(radians(b.lat)) * Math.sin(radians(b.lon - a.lon) / 2) ** 2;
  return 2 * EARTH_KM * Math.asin(Math.min(1, Math.sqrt(half)));
}

const WINDS = [worded("north"), worded("north-east"), worded("east"), worded("south-east"), worded("south"), worded("south-west"), worded("west"), worded("north-west")];

/** "Zürich, 4 km south-west": the place nearest to a point, and where it lies from there; "" where none is known. */
export function nearest(point, places) {
  let [best, distance] = [null, Infinity];
  for (const place of places) {
    const away = kilometres(point, place);
    if (away < distance) [best, distance] = [place, away];
  }
  if (!best) return "";
  if (distance < 1) return best.name;
  const turn = Math.atan2((best.lon - point.lon) * Math.cos((point.lat * Math.PI) / 180), best.lat - point.lat);
  return `${best.name}, ${distance.toFixed(0)} km ${WINDS[(Math.round((turn / Math.PI) * 4) + 8) % 8]}`;
}

/** Names of places that find room, greatest first: `boxes` of [left, top, right, bottom], the indexes of those kept. */
export function withoutOverlap(boxes) {
  const kept = [];
  boxes.forEach((box, at) => {
    if (kept.every((other) => box[2] < boxes[other][0] || box[0] > boxes[other][2] || box[3] < boxes[other][1] || box[1] > boxes[other][3])) kept.push(at);
  });
  return kept;
}
