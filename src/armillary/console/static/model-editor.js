// SPDX-License-Identifier: Apache-2.0
// The editor of models: as tall as its text, a number beside each line, a fault's link puts the caret on its line, and
// a file's text is taken into it. Checking while somebody types is htmx's; without script the button checks.

const frame = document.querySelector("[data-model]");
const text = frame.querySelector("textarea");
const gutter = frame.querySelector(".gutter");
const report = frame.querySelector("#model-report");
const FEWEST = 12; // as FEWEST_LINES in pages_model.py

function fit() {
  const lines = Math.max(text.value.split("\n").length, FEWEST);
  if (Number(text.rows) === lines) return;
  text.rows = lines;
  gutter.textContent = Array.from({ length: lines }, (_, at) => at + 1).join("\n");
}

function jump(line) {
  const lines = text.value.split("\n");
  const at = lines.slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0);
  text.focus({ preventScroll: true });
  text.setSelectionRange(at, at + (lines[line - 1] ?? "").length);
  const height = text.clientHeight / Math.max(lines.length, FEWEST);
  const box = text.parentElement;
  box.scrollTop = Math.max(0, (line - 4) * height);
  box.scrollIntoView({ block: "nearest" });
}

text.addEventListener("input", fit);
report.addEventListener("click", (event) => {
  const link = event.target.closest("[data-line]");
  if (!link) return;
  event.preventDefault();
  jump(Number(link.dataset.line));
});

const chooser = frame.querySelector("[data-file]");
chooser.hidden = false;
chooser.querySelector("input").addEventListener("change", async (event) => {
  const file = event.target.files[0];
  if (!file) return;
  text.value = await file.text();
  fit();
  text.dispatchEvent(new Event("input", { bubbles: true }));
});
fit();
