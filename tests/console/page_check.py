# SPDX-License-Identifier: Apache-2.0
"""A small accessibility check: names, labels, headings, landmarks, ids, contrast (WCAG 2.2 AA, 1.4.3 and 1.4.11).

It measures what the browser computed. It does not judge words, reading order or what a screen reader says.
"""

from __future__ import annotations

from playwright.sync_api import Page, expect
from tests.console.watched_browser import ARTEFACTS, picture

CHECK = r"""() => {
  const found = [];
  const where = (element) => `${element.tagName.toLowerCase()}#${element.id || ""}.${element.className?.baseVal ?? element.className} "${(element.textContent || "").trim().slice(0, 40)}"`;
  const shown = (element) => element.checkVisibility({ checkOpacity: false, checkVisibilityCSS: true });
  const parts = (colour) => {
    const canvas = parts.canvas ??= Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const contrast = (one, other) => {
    const [high, low] = [light(one), light(other)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parts(getComputedStyle(at).backgroundColor);
      if (colour[3] > 0.99) return colour;
    }
    return [255, 255, 255, 1];
  };
  const name = (element) =>
    (element.getAttribute("aria-label") || element.textContent || element.getAttribute("title") || element.value || "").trim();

  if (!["en", "de"].includes(document.documentElement.lang)) found.push("html has no language");
  if (!document.title) found.push("no title");
  if (document.querySelectorAll("h1").length !== 1) found.push("not exactly one h1");
  if (document.querySelectorAll("main").length !== 1) found.push("not exactly one main");
  let level = 0;
  for (const heading of document.querySelectorAll("h1, h2, h3, h4")) {
    if (heading.closest("dialog:not([open])")) continue;
    const now = Number(heading.tagName[1]);
    if (now > level + 1) found.push(`heading skips a level: ${where(heading)}`);
    level = now;
  }
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  for (const id of new Set(ids.filter((id, index) => ids.indexOf(id) !== index))) found.push(`id twice: ${id}`);
  for (const element of document.querySelectorAll("a[href], button")) if (!name(element)) found.push(`no name: ${where(element)}`);
  for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea"))
    if (!field.labels?.length && !field.getAttribute("aria-label")) found.push(`no label: ${where(field)}`);
  for (const image of document.querySelectorAll("svg, img"))
    if (image.getAttribute("aria-hidden") !== "true" && !image.getAttribute("aria-label") && !image.getAttribute("alt") && !image.closest("[aria-hidden=true]")) found.push(`no text for ${where(image)}`);
  for (const table of document.querySelectorAll("table"))
    if (!table.closest("dialog, .uplot") && table.querySelector("thead") && [...table.querySelectorAll("thead th")].some((cell) => cell.scope !== "col" || !cell.textContent.trim())) found.push(`table head without scope or text: ${where(table)}`);
  for (const frame of document.querySelectorAll("[tabindex]")) if (frame.tabIndex > 0) found.push(`tabindex above 0: ${where(frame)}`);

  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const element = text.parentElement;
    if (!text.data.trim() || !shown(element) || element.closest("script, .out-of-sight, svg, [aria-disabled=true]")) continue;
    const style = getComputedStyle(element);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = contrast(parts(style.color), ground(element));
    if (ratio < (large ? 3 : 4.5) - 0.01) found.push(`contrast ${ratio.toFixed(2)}: ${where(element)}`);
  }
  for (const shape of document.querySelectorAll("svg.shape")) {
    if (!shown(shape)) continue;
    const ratio = contrast(parts(getComputedStyle(shape).color), ground(shape.parentElement));
    if (ratio < 3) found.push(`shape contrast ${ratio.toFixed(2)}: ${where(shape)}`);
  }
  for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
    if (!shown(field)) continue;
    const ratio = contrast(parts(getComputedStyle(field).borderTopColor), ground(field.parentElement));
    if (ratio < 3) found.push(`field border contrast ${ratio.toFixed(2)}: ${where(field)}`);
  }
  return found;
}"""


# Places of a page's navigation that are the present one and cannot be seen without scrolling sideways.
WHERE_ONE_IS = """[...document.querySelectorAll('nav a[aria-current]')].filter((place) => {
  const box = place.getBoundingClientRect();
  return box.width && (box.left < 0 || box.right > innerWidth);
}).map((place) => place.textContent)"""


def problems_of(page: Page) -> list[str]:
    """What is wrong with the page as it is shown now."""
    found: list[str] = page.evaluate(CHECK)
    return found


def reads_well(page: Page, name: str) -> None:
    """Fail where a page has a fault of accessibility or is wider than the screen; its picture is kept by ``name``."""
    picture(page, ARTEFACTS / f"{name}.png", full_page=True, animations="disabled")
    assert problems_of(page) == [], name
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is wider than the screen"
    assert page.evaluate(WHERE_ONE_IS) == [], f"{name}: where one is lies beside the screen"


def asks_each_second(page: Page, every: str) -> None:
    """Have the part of a page that asks for itself every so many seconds do so every second."""
    part = page.locator("[data-every]")
    expect(part).to_have_attribute("data-every", every)
    part.evaluate("(part) => { part.dataset.every = '1'; }")
