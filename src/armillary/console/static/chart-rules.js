// SPDX-License-Identifier: Apache-2.0
// What charts decide, without a page: where a line is broken, which points stand alone, how numbers are written.
// Pure: arrays and numbers in, arrays and texts out.

const NEIGHBOURS = 5; // distances on each side that say what is usual there
const BREAK = 3; // a distance so many times the usual one is a gap: one or two values that were lost are none

/** The one in the middle of all; 0 of none. */
function middle(numbers) {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? 0;
}

/**
 * Where a line is broken: indexes of points that are not joined to the one before.
 *
 * What distance is usual is asked of the neighbourhood, not of the whole: an hour of values a minute apart stays one
 * line however many values five seconds apart come after it.
 *
 * @param {number[]} times Rising, milliseconds.
 * @param {number} bucket_ms Width of the buckets that the points stand for; 0 for values as they were sent.
 */
export function breaks(times, bucket_ms) {
  const distances = times.slice(1).map((at, index) => at - times[index]);
  const found = [];
  distances.forEach((distance, index) => {
    const before = middle(distances.slice(Math.max(0, index - NEIGHBOURS), index));
    const after = middle(distances.slice(index + 1, index + 1 + NEIGHBOURS));
    const usual = Math.max(before, after, bucket_ms);
    if (usual > 0 && distance > usual * BREAK) found.push(index + 1);
  });
  return found;
}

/** Times and values in seconds with an absent value (null) in each gap, as uPlot wants it. */
export function withGaps(times, values, bucket_ms) {
  const broken = new Set(breaks(times, bucket_ms));
  const at = [];
  const shown = [];
  times.forEach((time, index) => {
    if (broken.has(index)) {
      at.push((times[index - 1] + time) / 2000);
      shown.push(null);
    }
    at.push(time / 1000);
    shown.push(values[index]);
  });
  return [at, shown];
}

/** Indexes of values that no line leads to or from: without a point of their own nobody would see them. */
export function alone(values) {
  const found = [];
  let before = null; // the value before, whatever stands between that belongs to other series (undefined)
  let last = -1;
  values.forEach((value, index) => {
    if (value === undefined) return;
    if (value === null) {
      if (last >= 0 && before === null) found.push(last);
      before = null;
      last = -1;
      return;
    }
    before = last >= 0 ? values[last] : null;
    last = index;
  });
  if (last >= 0 && before === null) found.push(last);
  return found;
}

/** The index nearest to `index` at which a series says something, a gap (null) included; undefined is other series'. */
export function nearest(times, values, index) {
  let [low, high] = [index, index];
  while (low >= 0 && values[low] === undefined) low -= 1;
  while (high < values.length && values[high] === undefined) high += 1;
  if (low < 0) return high < values.length ? high : null;
  if (high >= values.length) return low;
  return times[index] - times[low] <= times[high] - times[index] ? low : high;
}

/**
 * Bounds of an axis: those of its values, and of thresholds no further away than the values reach; one that is further
 * away would press the line flat.
 *
 * @param {number} low Of the values.
 * @param {number} high Of the values.
 * @param {number[]} limits Thresholds.
 */
export function bounds(low, high, limits) {
  const reach = high - low || Math.abs(high) * 0.25 || 1;
  const near = limits.filter((each) => each >= low - reach && each <= high + reach);
  return [Math.min(low, ...near), Math.max(high, ...near)];
}

/** A number with as many digits as tell values of one chart apart, as console/dashboards/pages_tiles.py writes it. */
export function figure(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size >= 1e12 || (size > 0 && size < 1e-4)) return value.toExponential(3);
  const digits = size >= 1 ? Math.max(0, 4 - String(Math.trunc(size)).length) : 4;
  return value.toLocaleString("en", { maximumFractionDigits: digits });
}

const ANGLES = ["\u00b0", "\u2032", "\u2033"]; // these stand right behind their figure

/** A number with its unit. */
export function quantity(value, unit) {
  if (value === null || value === undefined) return "–";
  return ANGLES.includes(unit) ? figure(value) + unit : `${figure(value)} ${unit}`.trim();
}

/** Numbers of an axis, with just the digits that tell neighbours apart. */
export function ticks(numbers, step) {
  let digits = 0;
  while (digits < 10 && Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) > 1e-6) digits += 1;
  const far = numbers.some((number) => Math.abs(number) >= 1e6);
  const options = far && step >= 1e4 ? { notation: "compact", maximumFractionDigits: 2 } : { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return numbers.map((number) => number.toLocaleString("en", options));
}
