// SPDX-License-Identifier: Apache-2.0
// Texts that scripts say, in the language of the page: English as it stands in the code, others from the page's list.

const list = globalThis.document?.getElementById("texts");
const texts = list ? JSON.parse(list.textContent) : {};

/** A text with its gaps filled: `worded("{count} new", { count })`. Literals alone are known to `make texts`. */
export function worded(message, values = {}) {
  const form = texts[message] || message;
  return form.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}
