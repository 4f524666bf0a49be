# SPDX-License-Identifier: Apache-2.0
"""How soon each place of the console is seen and how much it sends, in a real Chromium on loopback, in both languages.

The service has an industry application in use, with simulated devices, a day of history and live values. Each look is a
cold one, in a browser context without a cache. ``page-paint``: the first contentful paint of the slowest place, the
median of its looks. ``page-weight``: what the heaviest sends, as it is sent, without pictures, the map's pieces
(``.bin``) and the libraries that draw charts and maps or move tiles, which come after the page has been painted
(``static/late.js``); the note has the weight with them. Places over a limit are listed.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

from bench.console import CHROMIUM, SETTLE_S, TEMPLATE, VIEW, call, first_paint_ms, use
from bench.result import result
from bench.service_process import running_service

PAINT_LIMIT_MS, WEIGHT_LIMIT_KB = 300.0, 120.0
ROUNDS = 3
LANGUAGES = ("en", "de")
PLACES = (
    "/fleet", "/dashboards", "/dashboards/{dashboard}", "/dashboards/{dashboard}/edit", "/hub-devices",
    "/devices/{device}", "/devices/{device}/data", "/rules", "/rules/new", "/templates", "/groups", "/jobs",
    "/exports", "/alerts", "/findings", "/advisories", "/actions", "/notification-channels", "/cases", "/updates",
    "/new-rollout", "/images", "/releases", "/device-groups", "/audit", "/settings", "/add-devices", "/applications",
    "/account", "/help",
)  # fmt: skip
_SENT = """async () => {
  const late = Object.values(document.getElementById('libraries')?.dataset ?? {});
  const named = [...document.querySelectorAll('script[src]')].map((each) => each.getAttribute('src'));
  const asked = late.filter((each) => named.includes(each));
  const come = () => asked.every((each) => performance.getEntriesByName(location.origin + each).length > 0);
  while (!come()) await new Promise((done) => setTimeout(done, 20));
  const sent = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
    .filter((each) => each.initiatorType !== 'img' && !/\\.(png|jpe?g|svg|bin)(\\?|$)/.test(each.name));
  const sum = (entries) => entries.reduce((total, each) => total + each.transferSize, 0);
  return [sum(sent.filter((each) => !late.includes(new URL(each.name).pathname))), sum(sent)];
}"""


def run() -> list[dict[str, object]]:
    """Open every place in every language; the slowest and the heaviest against their limits."""
    if not Path(CHROMIUM).exists():
        raise SystemExit(f"{CHROMIUM} is absent: apt-get install chromium (or name one in ARMILLARY_CHROMIUM)")
    with running_service() as service:
        names = {"dashboard": use(service.ready, TEMPLATE)}
        time.sleep(SETTLE_S)  # the history is written
        names["device"] = str(call(service.ready, "GET", "/api/v1/devices")["items"][0]["device_id"])
        places = [each.format(**names) for each in PLACES]
        looks = _looks(str(service.ready["api"]), str(service.ready["token"]), places)
    for place, paint_ms, sent_kb, whole_kb in looks:
        if paint_ms > PAINT_LIMIT_MS or sent_kb > WEIGHT_LIMIT_KB:
            print(f"  {place}: {paint_ms:.0f} ms, {sent_kb:.0f} KB, whole {whole_kb:.0f} KB", file=sys.stderr)
    slowest = max(looks, key=lambda each: each[1])
    heaviest = max(looks, key=lambda each: each[2])
    whole = f"with what is loaded after paint at most {max(each[3] for each in looks):.0f} KB"
    about = f"{len(places)} places in {len(LANGUAGES)} languages, median of {ROUNDS} looks each, nothing cached"
    return [
        result("page-paint", slowest[1], "ms", ("limit", PAINT_LIMIT_MS), f"{slowest[0]}; {about}"),
        result("page-weight", heaviest[2], "KB", ("limit", WEIGHT_LIMIT_KB), f"{heaviest[0]}; {whole}; {about}"),
    ]


def _looks(origin: str, token: str, places: list[str]) -> list[tuple[str, float, float, float]]:
    """Place with its language, first paint in ms, kilobytes without and with what is loaded after it."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - other benchmarks need no browser

    found = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--headless"])
        for language in LANGUAGES:
            options = {"viewport": VIEW, "ignore_https_errors": True, "locale": language}
            first = browser.new_context(**options)  # type: ignore[arg-type]  # a plain dict will do
            page = first.new_page()
            page.goto(f"{origin}/sign-in")
            page.locator("input[name=token]").fill(token)
            page.locator("form[action='/sign-in'] button").click()
            page.wait_for_url("**/fleet")
            state = first.storage_state()
            first.close()
            for place in places:
                paints, sent, whole = [], 0.0, 0.0
                for _ in range(ROUNDS):
                    context = browser.new_context(**options, storage_state=state)  # type: ignore[arg-type]
                    page = context.new_page()
                    answer = page.goto(origin + place)
                    if answer is None or answer.status != 200:
                        raise RuntimeError(f"{place}: {answer and answer.status}")
                    paints.append(first_paint_ms(page))
                    without, all_of_it = page.evaluate(_SENT)
                    sent, whole = max(sent, without / 1000), max(whole, all_of_it / 1000)
                    context.close()
                found.append((f"{place} ({language})", statistics.median(paints), sent, whole))
        browser.close()
    return found
