// SPDX-License-Identifier: Apache-2.0
// Reads a file of the map pack: lines and places of a part of the world, as docs/concepts/map.md describes it. Pure.

import { across, down } from "./map-rules.js";

const VERSION = 1;
export const LAND = 0;
export const LAKE = 1;
export const BORDER = 2;
// What one file may hold at most: the greatest of the pack has a twentieth of it.
const MAX_POINTS = 1_000_000;
const MAX_NAME_BYTES = 200;

/** The file is not a map pack or is damaged; the message says where. */
export class PackError extends Error {}

const damaged = (at, what) => new PackError(`The map file is damaged at byte ${at}: ${what}. Reload the page; if it stays, install the service again.`);

/**
 * Lines and places of the file `content` (an ArrayBuffer). A line has `x` and `y` (both from 0 to 1, Web Mercator, from
 * west and from north), its `box` of both, and `edge`, which is 1 where the part of the line that ends at a point runs
 * along the edge of the file's part of the world and is not to be drawn as coast.
 * Throws PackError where anything is wrong, and only that.
 */
export function readPack(content) {
  const bytes = new Uint8Array(content);
  let at = 0;
  const byte = () => {
    if (at >= bytes.length) throw damaged(at, "it ends too early");
    return bytes[at++];
  };
  const count = (most, what) => {
    const from = at;
    let number = 0;
    for (let place = 1; ; place *= 128) {
      const next = byte();
      number += (next & 127) * place;
      if (number > most) throw damaged(from, `${what} is more than ${most}`);
      if (next < 128) return number;
      if (place > most) throw damaged(from, `${what} has too many digits`);
    }
  };
  for (const letter of "AMAP") if (byte() !== letter.charCodeAt(0)) throw damaged(at - 1, "it does not begin as a map file");
  if (byte() !== VERSION) throw damaged(at - 1, `its version is not ${VERSION}`);
  const word = () => byte() | (byte() << 8);
  const signed = () => (word() << 16) >> 16;
  const [west, south, size, units] = [signed(), signed(), word(), word()];
  if (west < -180 || west > 180 || south < -100 || south > 90 || size < 1 || size > 360 || units < 1) throw damaged(5, "it lies outside the world");
  const most = size * units;
  const step = () => {
    const number = count(2 * most + 1, "a step");
    return number % 2 ? -(number + 1) / 2 : number / 2;
  };
  const inside = (value) => {
    if (value < 0 || value > most) throw damaged(at, "a point lies outside its part of the world");
    return value;
  };
  const lines = [];
  let points = 0;
  for (let left = count(MAX_POINTS, "the number of lines"); left > 0; left--) {
    const kind = byte();
    if (kind > BORDER) throw damaged(at - 1, `there is no line of kind ${kind}`);
    const length = count(MAX_POINTS, "the number of points");
    points += length;
    // Each point takes two bytes at least: what a file claims is bounded by what it holds.
    if (points > MAX_POINTS || 2 * length > bytes.length - at) throw damaged(at, "it has fewer points than it says");
    const line = { kind, x: new Float64Array(length), y: new Float64Array(length), edge: new Uint8Array(length), box: [1, 1, 0, 0] };
    let [east, north] = [0, 0];
    for (let i = 0; i < length; i++) {
      const before = [east, north];
      east = inside(east + step());
      north = inside(north + step());
      line.x[i] = across(west + east / units);
      line.y[i] = down(south + north / units);
      line.edge[i] = (east === before[0] && (east === 0 || east === most)) || (north === before[1] && (north === 0 || north === most)) ? 1 : 0;
      line.box = [Math.min(line.box[0], line.x[i]), Math.min(line.box[1], line.y[i]), Math.max(line.box[2], line.x[i]), Math.max(line.box[3], line.y[i])];
    }
    lines.push(line);
  }
  const places = [];
  const text = new TextDecoder("utf-8", { fatal: true });
  for (let left = count(MAX_POINTS, "the number of places"); left > 0; left--) {
    const rank = count(MAX_POINTS, "a rank");
    const lon = west + inside(count(most, "a place")) / units;
    const lat = south + inside(count(most, "a place")) / units;
    const length = count(MAX_NAME_BYTES, "the length of a name");
    if (length > bytes.length - at) throw damaged(at, "it ends too early");
    let name;
    try {
      name = text.decode(bytes.subarray(at, at + length));
    } catch {
      throw damaged(at, "a name is not text");
    }
    at += length;
    places.push({ rank, name, lat, lon, x: across(lon), y: down(lat) });
  }
  if (at !== bytes.length) throw damaged(at, "more follows than belongs to it");
  return { lines, places };
}
