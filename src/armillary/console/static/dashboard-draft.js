// SPDX-License-Identifier: Apache-2.0
// The draft of a dashboard's tiles, as they stand in its document, with every step to go back and forth.

const COLUMNS = 12;
const MAX_ROWS = 100;
const copy = (value) => JSON.parse(JSON.stringify(value));
/** What of a tile is drawn: everything but where it lies. */
const look = ({ x: _x, y: _y, w: _w, h: _h, ...rest }) => JSON.stringify(rest);

export class Draft {
  #saved;
  #tiles;
  #past = [];
  #future = [];
  #drawn;

  constructor(tiles) {
    this.#tiles = copy(tiles);
    this.#saved = JSON.stringify(tiles);
    this.shown();
  }
  get tiles() {
    return this.#tiles;
  }
  get isChanged() {
    return JSON.stringify(this.#tiles) !== this.#saved;
  }
  get canUndo() {
    return this.#past.length > 0;
  }
  get canRedo() {
    return this.#future.length > 0;
  }
  find(id) {
    return this.#tiles.find((tile) => tile.id === id);
  }
  /** Whether a tile is drawn as the saved dashboard has it: what comes from there is about it. */
  isKept(id) {
    const saved = JSON.parse(this.#saved).find((tile) => tile.id === id);
    const present = this.find(id);
    return Boolean(saved && present && look(saved) === look(present));
  }
  /** Whether a tile is drawn otherwise than it is now. */
  isOther(tile) {
    return this.#drawn.get(tile.id) !== look(tile);
  }
  /** Notes that all tiles are drawn as they are now. */
  shown() {
    this.#drawn = new Map(this.#tiles.map((tile) => [tile.id, look(tile)]));
  }
  change(tiles) {
    if (JSON.stringify(tiles) === JSON.stringify(this.#tiles)) return;
    this.#past.push(this.#tiles);
    this.#future = [];
    this.#tiles = copy(tiles);
  }
  /** Puts tiles where `places` (id -> x, y, w, h) says. */
  move(places) {
    this.change(this.#tiles.map((tile) => ({ ...tile, ...(places.get(tile.id) ?? {}) })));
  }
  undo() {
    return this.#step(this.#past, this.#future);
  }
  redo() {
    return this.#step(this.#future, this.#past);
  }
  #step(from, to) {
    if (!from.length) return false;
    to.push(this.#tiles);
    this.#tiles = from.pop();
    return true;
  }
  /** An id that no tile has: `kpi`, `kpi-2`. */
  freeId(stem) {
    const root = stem.replace(/-[0-9]+$/, "").slice(0, 34);
    let id = root;
    for (let number = 2; this.find(id); number += 1) id = `${root}-${number}`;
    return id;
  }
  /** The first place, by row and column, with room for so many cells. */
  freeSpot(w, h) {
    const hits = (x, y) => this.#tiles.some((t) => x < t.x + t.w && t.x < x + w && y < t.y + t.h && t.y < y + h);
    for (let y = 0; y + h <= MAX_ROWS; y += 1) {
      for (let x = 0; x + w <= COLUMNS; x += 1) if (!hits(x, y)) return { x, y };
    }
    return { x: 0, y: MAX_ROWS - h };
  }
}

