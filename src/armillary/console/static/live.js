// SPDX-License-Identifier: Apache-2.0
// The live events of a page, while somebody sees it. A browser gives one host six connections over HTTP/1.1, and each
// open stream holds one: a page in the background gives its own back.

import { worded } from "./worded.js";

/**
 * Listens to a stream of server-sent events whenever the page is seen.
 *
 * @param {string} address Of the stream.
 * @param {Object<string, function>} takes Name of an event -> what takes its data, read from JSON.
 * @param {function(string, string)} say Told how the stream is: a class of `.pulse`, and words.
 * @param {function} seen Called when the page is seen again, before it listens again: to ask for what it has missed.
 */
export function listen(address, takes, say, seen) {
  let events = null;
  let over = false;

  function close() {
    events?.close();
    events = null;
  }

  function open() {
    events = new EventSource(address);
    events.addEventListener("open", () => say("", worded("live")));
    events.addEventListener("error", () => say("lost", worded("connection lost, trying again")));
    events.addEventListener("end", () => {
      over = true;
      close();
      say("lost", worded("signed out"));
    });
    for (const [name, take] of Object.entries(takes)) events.addEventListener(name, (event) => take(JSON.parse(event.data)));
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      close();
    } else if (events === null && !over) {
      seen();
      open();
    }
  });
  if (!document.hidden) open();
}
