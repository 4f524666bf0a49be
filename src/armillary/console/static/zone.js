// SPDX-License-Identifier: Apache-2.0
// The zone in which times are shown: UTC, or the browser's own where somebody chose "Times: local". Only the browser
// knows its zone: what the server writes, and every page without script, is in UTC and says so.

import { worded } from "./worded.js";

const isLocal = document.documentElement.dataset.clock === "local";

const LOCAL = new Intl.DateTimeFormat("sv", {
  year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short",
});

/** A moment, exactly, with the zone. */
export const exact = (atSeconds) => {
  const at = new Date(atSeconds * 1000);
  return isLocal ? LOCAL.format(at) : at.toISOString().slice(0, 19).replace("T", " ") + " UTC";
};

/** Year, month, day, hour, minute and second of a moment, each a number. */
export function fields(atSeconds) {
  const at = new Date(atSeconds * 1000);
  return isLocal
    ? [at.getFullYear(), at.getMonth() + 1, at.getDate(), at.getHours(), at.getMinutes(), at.getSeconds()]
    : [at.getUTCFullYear(), at.getUTCMonth() + 1, at.getUTCDate(), at.getUTCHours(), at.getUTCMinutes(), at.getUTCSeconds()];
}

/** A moment as uPlot divides a time axis: its hours and days are those of the zone. */
export const plotDate = (atSeconds) => {
  const at = new Date(atSeconds * 1000);
  return isLocal ? at : uPlot.tzDate(at, "Etc/UTC");
};

/** Says the zone, in places that have said UTC, and gives the exact times of a page in it. */
export function showZone(page) {
  if (!isLocal) return;
  const words = worded("times in {zone}", { zone: Intl.DateTimeFormat().resolvedOptions().timeZone });
  for (const place of page.querySelectorAll("[data-zone]")) if (place.textContent !== words) place.textContent = words;
  for (const time of page.querySelectorAll("time[data-at]")) time.title = exact(Number(time.dataset.at));
}
