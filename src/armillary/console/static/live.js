// SPDX-License-Identifier: Apache-2.0
// The live events of a page, while somebody sees it. A browser gives one host six connections over HTTP/1.1, and each
// open stream holds one: a page in the background gives its own back.

import { worded } from "./worded.js";

// A browser tries again by itself where a connection ends, and not where it is refused: after signing out, or while the
// service starts. Then this does, ever less often.
const LOST = worded("connection lost, trying again");
const FIRST_WAIT_MS = 5_000;
const LAST_WAIT_MS = 60_000;

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
  let refused = ""; // why nothing comes; what has been missed is asked for when the stream is there again
  let wait_ms = FIRST_WAIT_MS;
  let timer = 0;

  function close() {
    clearTimeout(timer);
    events?.close();
    events = null;
  }

  function again() {
    close();
    say("lost", refused);
    timer = setTimeout(open, wait_ms * (0.5 + Math.random())); // not all pages at one time
    wait_ms = Math.min(2 * wait_ms, LAST_WAIT_MS);
  }

  function open() {
    events = new EventSource(address);
    events.addEventListener("open", () => {
      say("", worded("live"));
      if (refused) seen();
      [refused, wait_ms] = ["", FIRST_WAIT_MS];
    });
    events.addEventListener("error", () => {
      const isClosed = events.readyState === EventSource.CLOSED;
      if (!isClosed) return say("lost", LOST);
      refused ||= LOST;
      return again();
    });
    events.addEventListener("end", () => {
      refused = worded("signed out");
      again();
    });
    for (const [name, take] of Object.entries(takes)) events.addEventListener(name, (event) => take(JSON.parse(event.data)));
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      close();
    } else if (events === null) {
      clearTimeout(timer);
      seen();
      open();
    }
  });
  if (!document.hidden) open();
}
