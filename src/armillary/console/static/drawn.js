// SPDX-License-Identifier: Apache-2.0
// What charts, heat maps and maps have in common as elements.

import { library } from "./late.js";
import { onTheme } from "./paint.js";
import { worded } from "./worded.js";

/** An element that draws `view` again when it, its size or the colours of the page change. */
export class Drawn extends HTMLElement {
  /** Name of the library that draws it (late.js), or null. */
  static needs = null;
  #view = null;
  #isReady = false;
  connectedCallback() {
    new ResizeObserver(() => this.#again()).observe(this);
    onTheme(() => this.repaint());
    this.#prepare().catch(() => (this.textContent = worded("This could not be drawn. Reload the page.")));
  }
  async #prepare() {
    const { needs } = this.constructor;
    if (needs) {
      this.textContent = worded("Loading what draws it");
      await library(needs);
    }
    this.#isReady = true;
    this.#again();
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
    if (this.#isReady && this.#view && this.clientWidth > 0) this.draw(this.#view);
  }
}
