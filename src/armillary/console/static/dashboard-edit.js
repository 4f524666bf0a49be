// SPDX-License-Identifier: Apache-2.0
// Moving and sizing tiles, by pointer (Gridstack) and by keys. The form posts where every tile lies; without script,
// the form of each tile holds the same four numbers.

const board = document.querySelector("[data-board]");
const form = document.getElementById("layout");
const said = document.getElementById("said");
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const BOUNDS = { w: [1, 12], h: [1, 12] };

if (board) {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const grid = GridStack.init(
    { column: 12, cellHeight: 72, margin: 8, float: true, animate: !still, handle: ".tile-grip", maxRow: 100, alwaysShowResizeHandle: true },
    board,
  );
  board.classList.add("ready");
  const places = () =>
    grid.engine.nodes.map(({ id, x, y, w, h }) => ({ id, x, y, w: w ?? 1, h: h ?? 1 })).sort((a, b) => (a.id < b.id ? -1 : 1));
  const before = JSON.stringify(places());
  const write = () => {
    form.elements.layout.value = JSON.stringify(places());
    const changed = form.elements.layout.value !== before;
    form.querySelector("button").disabled = !changed;
    document.getElementById("layout-state").textContent = changed ? "Moved tiles are not saved yet." : "";
  };
  grid.on("change", write);
  write();
  board.addEventListener("keydown", (event) => {
    const step = KEYS[event.key];
    const grip = event.target.closest(".tile-grip");
    if (!step || !grip) return;
    event.preventDefault();
    const item = grip.closest(".grid-stack-item");
    const node = item.gridstackNode;
    const [a, b] = step;
    const within = (name, value) => Math.min(BOUNDS[name][1], Math.max(BOUNDS[name][0], value));
    if (event.shiftKey) grid.update(item, { w: Math.min(within("w", (node.w ?? 1) + a), 12 - node.x), h: within("h", (node.h ?? 1) + b) });
    else grid.update(item, { x: Math.min(Math.max(0, node.x + a), 12 - (node.w ?? 1)), y: Math.max(0, node.y + b) });
    write();
    grip.focus();
    said.textContent = `${grip.dataset.name}: column ${node.x + 1}, row ${node.y + 1}, ${node.w ?? 1} wide, ${node.h ?? 1} high`;
  });
  let leaving = false;
  form.addEventListener("submit", () => (leaving = true));
  window.addEventListener("beforeunload", (event) => {
    if (!leaving && form.elements.layout.value !== before) event.preventDefault();
  });
}
