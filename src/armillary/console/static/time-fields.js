// SPDX-License-Identifier: Apache-2.0
// Where a person has chosen their own zone, moments are read and typed in it: a fixed range above a chart, and the fields
// "From" and "To". Addresses keep UTC, so that a link shows everybody the same. Without script all of it is UTC.

import { exact } from "./zone.js";

const TYPED = /^(\d{4})-(\d{2})-(\d{2})(?:[ T](\d{2}):(\d{2})(?::(\d{2}))?)?$/;
const two = (number) => String(number).padStart(2, "0");

function written(at, part) {
  const [year, month, day, hour, minute, second] = ["FullYear", "Month", "Date", "Hours", "Minutes", "Seconds"].map((name) => at[`get${part}${name}`]());
  const clock = `${two(hour)}:${two(minute)}${second ? `:${two(second)}` : ""}`;
  return `${String(year).padStart(4, "0")}-${two(month + 1)}-${two(day)} ${clock}`;
}

/** The moment that was typed, of UTC or of the browser's zone; null where it is none. */
function moment(text, isUtc) {
  const found = TYPED.exec(text.trim().replace(/\s*(UTC|Z)$/, ""));
  if (!found) return null;
  const [year, month, day, hour = 0, minute = 0, second = 0] = found.slice(1).map((each) => (each === undefined ? 0 : Number(each)));
  const parts = [year, month - 1, day, hour, minute, second];
  const at = isUtc ? new Date(Date.UTC(...parts)) : new Date(...parts);
  const [sameMonth, sameDay] = isUtc ? [at.getUTCMonth(), at.getUTCDate()] : [at.getMonth(), at.getDate()];
  const isThere = sameMonth === month - 1 && sameDay === day && hour < 24 && minute < 60 && second < 60;
  return isThere ? at : null; // there is no 31 February
}

/** A moment in UTC as the browser's zone writes it, and back; a text that is no moment stays as it is. */
export const toLocal = (text) => ((at) => (at ? written(at, "") : text))(moment(text, true));
export const toUtc = (text) => ((at) => (at ? written(at, "UTC") : text))(/(UTC|Z)$/.test(text.trim()) ? moment(text, true) : moment(text, false));

/** The browser's zone in a word, such as CET. */
function zone() {
  const parts = new Intl.DateTimeFormat("en", { timeZoneName: "short" }).formatToParts(new Date());
  return parts.find((part) => part.type === "timeZoneName")?.value ?? "local";
}

/** Has a field show the browser's zone and send UTC. */
function turn(field) {
  const sent = document.createElement("input");
  sent.type = "hidden";
  sent.name = field.name;
  sent.value = field.value;
  field.removeAttribute("name");
  field.removeAttribute("data-time");
  field.setAttribute("value", toLocal(field.value)); // its default too: nobody has typed anything yet
  field.value = toLocal(sent.value);
  field.placeholder = toLocal(field.placeholder);
  field.after(sent);
  field.addEventListener("input", () => { sent.value = toUtc(field.value); });
  const walker = document.createTreeWalker(field.closest("label"), NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) text.data = text.data.replace("(UTC)", `(${zone()})`);
}

function turnAll() {
  if (document.documentElement.dataset.clock !== "local") return;
  for (const field of document.querySelectorAll("input[data-time][name]")) turn(field);
  for (const shown of document.querySelectorAll("time[data-exact]")) shown.textContent = exact(Number(shown.dataset.exact));
}

turnAll();
document.addEventListener("htmx:afterSettle", turnAll);
