// SPDX-License-Identifier: Apache-2.0
// What charts, heat maps and maps have in common as elements.

import { onTheme } from "./paint.js";

/** An element that draws `view` again when it, its size or the colours of the page change. */
export class Drawn extends HTMLElement {
  #view = null;
  connectedCallback() {
    new ResizeObserver(() => this.#again()).observe(this);
    onTheme(() => this.repaint());
  }
  set view(view) {
    this.#view = view;
    this.#again();
  }
  get view() {
    return this.#view;
  }
  /** Draws again in other colours. */
  repaint() {
    this.#again();
  }
  #again() {
    if (this.#view && this.clientWidth > 0) this.draw(this.#view);
  }
}
