// SPDX-License-Identifier: Apache-2.0
// Keeps a dashboard fresh: the data of all tiles in one request now and then, single values as they come.

import { listen } from "./live.js";
import { fill, take } from "./tile-fill.js";
import { worded } from "./worded.js";

const REFRESH_MS = 10_000; // charts of many devices, tables with new rows
const page = document.querySelector("[data-dashboard]");
const tiles = new Map([...document.querySelectorAll("[data-tile]")].map((tile) => [tile.dataset.tile, tile]));
const status = document.getElementById("live-status");

function say(state, text) {
  status.className = `pulse small ${state}`;
  status.textContent = text;
}

function show(views) {
  for (const [id, view] of Object.entries(views)) {
    const tile = tiles.get(id);
    if (tile && !fill(tile, view)) return location.reload(); // the page lays it out
  }
  return undefined;
}

let asking = false;
async function refresh() {
  if (asking || document.hidden) return;
  asking = true;
  try {
    const answer = await fetch(page.dataset.data);
    if (answer.ok) show((await answer.json()).tiles);
  } finally {
    asking = false;
  }
}

if (page) {
  show(JSON.parse(document.getElementById("tile-data").textContent));
  setInterval(() => refresh().catch(() => say("lost", worded("connection lost, trying again"))), REFRESH_MS);
  // Of a stretch that has a begin and an end nothing comes any more: values are asked for again, and none is added.
  if (page.hasAttribute("data-fixed")) say("waiting", worded("a fixed time range is shown"));
  else listen(page.dataset.live, { values: (said) => take(page, said.items) }, say, () => refresh().catch(() => {}));
}
