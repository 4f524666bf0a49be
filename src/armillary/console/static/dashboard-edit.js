// SPDX-License-Identifier: Apache-2.0
// The editor of a dashboard: its live tiles on a grid (Gridstack), moved and sized by mouse, touch and keys, changed in a
// panel (tile-panel.js). What is changed is a draft: undone and redone here, and saved as one change.

import { Draft } from "./dashboard-draft.js";
import { SIGNED_OUT, send } from "./form-token.js";
import { library } from "./late.js";
import { listen } from "./live.js";
import { fill, take } from "./tile-fill.js";
import { Panel, ask } from "./tile-panel.js";
import { worded } from "./worded.js";

const REFRESH_MS = 10_000;
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const COLUMNS = 12;
const MAX_HEIGHT = 12;
const CELL = 88; // a row of the dashboard and its gap, pixels
const board = document.querySelector("[data-board]");
const at = (id) => document.getElementById(id);
const say = (text) => (at("said").textContent = text);
const json = (id) => JSON.parse(at(id).textContent);

function start() {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const begun = json("draft");
  const draft = new Draft(begun.tiles);
  const views = new Map(Object.entries(json("tile-data")));
  const grid = GridStack.init(
    { column: COLUMNS, cellHeight: CELL, margin: 8, float: true, animate: !still, handle: ".tile-grip", maxRow: 100, alwaysShowResizeHandle: true, columnOpts: { breakpoints: [] } },
    board,
  );
  board.classList.add("ready");
  document.querySelector(".script-only").hidden = false;
  let leaving = false;
  let applying = false; // the grid is being made as the draft says: its changes are no news

  const itemOf = (id) => board.querySelector(`.grid-stack-item[gs-id="${CSS.escape(id)}"]`);
  const tileOf = (id) => itemOf(id)?.querySelector("[data-tile]");

  function told() {
    at("undo").disabled = !draft.canUndo;
    at("redo").disabled = !draft.canRedo;
    at("save").querySelector("button").disabled = !draft.isChanged;
    at("edit-state").textContent = draft.isChanged ? worded("Not saved yet") : "";
    if (at("none-yet")) at("none-yet").hidden = draft.tiles.length > 0;
  }

  /** Puts a tile's place and kind of bar right. */
  function label(item, tile) {
    const name = tile.title || views.get(tile.id)?.title || tile.kind;
    const grip = item.querySelector(".tile-grip");
    grip.textContent = grip.title = grip.dataset.name = name;
    item.querySelector("[data-configure] .out-of-sight").textContent = ` ${name}`;
  }

  function place(tile) {
    const { x, y, w, h } = tile;
    return { x, y, w, h };
  }

  /** Draws a tile anew, by the renderer of the dashboard. */
  async function redraw(tile, ready) {
    const answer = ready ?? (await ask(board.dataset.preview, form(), { kind: tile.kind, tile: JSON.stringify(tile) }));
    const frame = itemOf(tile.id)?.querySelector(".tile-frame");
    if (!frame || !answer.view) return;
    frame.innerHTML = answer.html;
    views.set(tile.id, answer.view);
    fill(tileOf(tile.id), answer.view);
  }

  /** Makes the grid as the draft says; `ready` is the answer for a tile that has just been previewed. */
  function show(ready = null) {
    applying = true;
    const known = new Map(draft.tiles.map((tile) => [tile.id, tile]));
    for (const item of board.querySelectorAll(".grid-stack-item")) if (!known.has(item.getAttribute("gs-id"))) grid.removeWidget(item);
    const fresh = [];
    for (const tile of draft.tiles) {
      let item = itemOf(tile.id);
      if (!item) {
        item = document.createElement("div");
        item.className = "grid-stack-item";
        item.setAttribute("gs-id", tile.id);
        item.append(at("new-item").content.cloneNode(true));
        board.append(item);
        grid.makeWidget(item, { id: tile.id, ...place(tile) });
        fresh.push(tile);
      } else {
        grid.update(item, place(tile));
        if (draft.isOther(tile)) fresh.push(tile);
      }
      label(item, tile);
    }
    applying = false;
    draft.shown();
    for (const tile of fresh) redraw(tile, ready?.tile?.id === tile.id ? ready : null).catch(() => lost());
    told();
  }

  const form = () => at("panel-form");
  const lost = () => status("lost", worded("connection lost, trying again"));

  function status(state, text) {
    at("live-status").className = `pulse small ${state}`;
    at("live-status").textContent = text;
  }

  grid.on("change", () => {
    if (applying) return;
    draft.move(new Map(grid.engine.nodes.map(({ id, x, y, w, h }) => [id, { x, y, w: w ?? 1, h: h ?? 1 }])));
    told();
  });

  // ---- a tile -------------------------------------------------------------------------------------------------

  function remove(id) {
    draft.change(draft.tiles.filter((tile) => tile.id !== id));
    show();
    say(worded("Removed. Undo brings it back."));
    (board.querySelector(".tile-grip") ?? at("add").querySelector("select")).focus();
  }

  function add(tile, ready) {
    const node = { w: tile.w, h: tile.h };
    const spot = draft.freeSpot(node.w, node.h);
    draft.change([...draft.tiles, { ...tile, ...spot }]);
    show(ready);
    itemOf(tile.id).scrollIntoView({ block: "center" });
    itemOf(tile.id).querySelector(".tile-grip").focus({ preventScroll: true });
  }

  const panel = new Panel({
    address: board.dataset.preview,
    catalog: board.dataset.catalog,
    size: ({ w, h }) => [(w * (board.clientWidth || 1)) / COLUMNS - 16, h * CELL - 16],
    apply(tile, ready, isNew) {
      if (isNew) return add(tile, ready);
      draft.change(draft.tiles.map((each) => (each.id === tile.id ? tile : each)));
      return show(ready);
    },
    remove,
    duplicate: (tile) => add({ ...tile, id: draft.freeId(tile.id) }),
  });

  board.addEventListener("click", (event) => {
    const link = event.target.closest("[data-configure]");
    if (!link) return;
    event.preventDefault();
    const id = link.closest(".grid-stack-item").getAttribute("gs-id");
    panel.open(draft.find(id), link);
  });
  at("add").addEventListener("submit", (event) => {
    event.preventDefault();
    const kind = new FormData(at("add")).get("kind");
    const [w, h] = begun.sizes[kind];
    panel.add({ id: draft.freeId(kind), kind, w, h }, begun.template);
  });
  board.addEventListener("keydown", (event) => {
    const grip = event.target.closest(".tile-grip");
    if (!grip) return;
    const item = grip.closest(".grid-stack-item");
    const id = item.getAttribute("gs-id");
    if (event.key === "Delete") return remove(id);
    if (event.key === "Enter") {
      event.preventDefault();
      return panel.open(draft.find(id), grip);
    }
    const step = KEYS[event.key];
    if (!step) return undefined;
    event.preventDefault();
    const node = item.gridstackNode;
    const [w, h] = [node.w ?? 1, node.h ?? 1];
    const within = (value, least, most) => Math.min(most, Math.max(least, value));
    if (event.shiftKey) grid.update(item, { w: within(w + step[0], 1, COLUMNS - node.x), h: within(h + step[1], 1, MAX_HEIGHT) });
    else grid.update(item, { x: within(node.x + step[0], 0, COLUMNS - w), y: Math.max(0, node.y + step[1]) });
    grip.focus();
    say(worded("{tile}: column {column}, row {row}, {width} wide, {height} high", { tile: grip.dataset.name, column: node.x + 1, row: node.y + 1, width: node.w ?? 1, height: node.h ?? 1 }));
    return undefined;
  });

  // ---- the whole ------------------------------------------------------------------------------------------------

  const step = (way) => {
    if (!draft[way]()) return;
    show();
    say(way === "undo" ? worded("Undone") : worded("Redone"));
  };
  at("undo").addEventListener("click", () => step("undo"));
  at("redo").addEventListener("click", () => step("redo"));
  document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z" || panel.isOpen) return;
    if (event.target.matches("input, textarea, select")) return;
    event.preventDefault();
    step(event.shiftKey ? "redo" : "undo");
  });

  function conflict({ etag, changed_by: by }) {
    const box = at("conflict");
    if (at("save").elements.etag.value === etag || box.dataset.etag === etag) return;
    box.dataset.etag = etag;
    const say_ = Object.assign(document.createElement("p"), { textContent: worded("Changed by someone else since you opened it: {name}. Your changes are still here, and not saved.", { name: by }) });
    const theirs = Object.assign(document.createElement("a"), { className: "button", href: location.pathname, textContent: worded("Discard mine and show theirs") });
    theirs.addEventListener("click", () => (leaving = true));
    const mine = Object.assign(document.createElement("button"), { type: "button", className: "button", textContent: worded("Save mine over theirs") });
    mine.addEventListener("click", () => {
      at("save").elements.etag.value = etag;
      save().catch(lost);
    });
    const buttons = Object.assign(document.createElement("div"), { className: "buttons" });
    buttons.append(theirs, mine);
    box.className = "notice attention";
    box.replaceChildren(say_, buttons);
    box.hidden = false;
    box.scrollIntoView({ block: "nearest" });
  }

  async function save() {
    const fields = [["etag", at("save").elements.etag.value], ["tiles", JSON.stringify(draft.tiles)]];
    const answer = await send(at("save").action, at("save"), fields);
    const said = answer.headers.get("content-type")?.includes("json") ? await answer.json() : {};
    if (answer.ok) {
      leaving = true;
      location.assign(said.href);
    } else if (answer.status === 412) {
      conflict(said);
    } else if (answer.status === 401) {
      at("edit-state").textContent = SIGNED_OUT;
    } else {
      at("edit-state").textContent = `${said.message ?? worded("It could not be saved.")} ${said.remedy ?? worded("Try again; what you changed is still here.")}`;
    }
  }
  at("save").addEventListener("submit", (event) => {
    event.preventDefault();
    save().catch(lost);
  });
  window.addEventListener("beforeunload", (event) => {
    if (!leaving && draft.isChanged) event.preventDefault();
  });

  // ---- live -----------------------------------------------------------------------------------------------------

  let asking = false;
  async function refresh() {
    if (asking || document.hidden) return;
    asking = true;
    try {
      const answer = await fetch(board.dataset.data);
      if (!answer.ok) return;
      const said = await answer.json();
      conflict(said);
      for (const [id, view] of Object.entries(said.tiles)) {
        if (draft.isKept(id) && tileOf(id) && !fill(tileOf(id), view)) redraw(draft.find(id)).catch(lost);
      }
    } finally {
      asking = false;
    }
  }
  for (const [id, view] of views) if (tileOf(id)) fill(tileOf(id), view);
  setInterval(() => refresh().catch(lost), REFRESH_MS);
  listen(board.dataset.live, { values: (said) => take(board, said.items) }, status, () => refresh().catch(() => {}));
  told();
}

/** Without its grid nothing can be moved: the links beside it change a tile on a page of its own. */
const stay = () => {
  at("live-status").textContent = worded("This could not be drawn. Reload the page.");
  at("add").querySelector("button").disabled = true;
};

if (board) library("gridstack").then(start, stay);
