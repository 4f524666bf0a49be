# SPDX-License-Identifier: Apache-2.0
"""How long a dashboard takes from its address to the first paint, in a real Chromium on loopback, against its limit.

The dashboard is one that an application template brings, with simulated devices, a day of history and live values: what
somebody sees who tries the product. Each look is a cold one, in a browser context without a cache.
"""

from __future__ import annotations

import json
import os
import ssl
import statistics
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bench.result import result
from bench.service_process import running_service

if TYPE_CHECKING:
    from playwright.sync_api import Page

LIMIT_MS = 1000.0
ROUNDS = 5
TEMPLATE = "water-quality-monitoring"
CHROMIUM = os.environ.get("ARMILLARY_CHROMIUM", "/usr/bin/chromium")
VIEW = {"width": 1440, "height": 900}
SETTLE_S = 5.0
_PAINTED = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"


def run() -> list[dict[str, object]]:
    """Open a dashboard several times; the median of the browser's own first-contentful-paint against the limit."""
    if not Path(CHROMIUM).exists():
        raise SystemExit(f"{CHROMIUM} is absent: apt-get install chromium (or name one in ARMILLARY_CHROMIUM)")
    with running_service() as service:
        dashboard = use(service.ready, TEMPLATE)
        time.sleep(SETTLE_S)  # the history is written
        times = _paints(service.ready, f"/dashboards/{dashboard}")
    value = statistics.median(times)
    conditions = f"dashboard of {TEMPLATE} on loopback, Chromium, nothing cached, median of {ROUNDS}"
    return [result("first-paint", value, "ms", ("limit", LIMIT_MS), conditions)]


def use(ready: Mapping[str, object], template: str) -> str:
    """Make an application of a template; the id of its first dashboard."""
    call(ready, "POST", f"/api/v1/application-templates/{template}/use", {})
    items = call(ready, "GET", "/api/v1/dashboards")["items"]
    return str(items[0]["id"])


def call(
    ready: Mapping[str, object], method: str, path: str, body: object = None
) -> dict[str, list[dict[str, object]]]:
    """One request to the API of a running service."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {ready['token']}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{ready['api']}{path}", data, headers, method=method)
    context = ssl.create_default_context(cafile=str(ready["root_ca"]))
    with urllib.request.urlopen(request, timeout=60, context=context) as answer:
        document: dict[str, list[dict[str, object]]] = json.load(answer)
    return document


def first_paint_ms(page: Page) -> float:
    """The first contentful paint of a page, once it has been painted; milliseconds after its address was asked for."""
    # Not wait_for_function, which evaluates within the page from the second look on: the console's policy refuses that.
    while not (painted := page.evaluate(_PAINTED)):
        page.wait_for_timeout(20)
    return float(painted)


def _paints(ready: Mapping[str, object], path: str) -> list[float]:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - other benchmarks need no browser

    times = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--headless"])
        for _ in range(ROUNDS):
            context = browser.new_context(viewport=VIEW, ignore_https_errors=True)  # type: ignore[arg-type]  # a plain dict will do
            page = context.new_page()
            page.goto(f"{ready['api']}/sign-in")
            page.get_by_label("Operator token").fill(str(ready["token"]))
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_url("**/fleet")
            page.goto(f"{ready['api']}{path}")
            times.append(first_paint_ms(page))
            context.close()
        browser.close()
    return times
