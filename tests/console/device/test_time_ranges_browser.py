# SPDX-License-Identifier: Apache-2.0
"""Stretches of time in a real Chromium: typed in UTC or in the browser's zone, shown, and not moved by live values."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.console.page_check import reads_well
from tests.console.watched_browser import LOOKS, Watched
from tests.console.water_scene import WaterScene

from armillary.console.frame.assets import Assets
from armillary.console.frame.times import time_field

pytestmark = pytest.mark.console

HOUR = 3600


def ask_for(page: Page, start: str, end: str) -> None:
    page.get_by_text("Choose times").click()
    page.get_by_label("From (").fill(start)
    page.get_by_label("To (").fill(end)
    page.get_by_role("button", name="Show", exact=True).click()
    page.wait_for_url("**start=**")


def test_a_stretch_is_typed_shown_and_stays_while_values_come(scene: WaterScene, watch: Callable[..., Watched]) -> None:
    page = scene.sign_in(watch(scene), "Reader")
    now = int(time.time())
    start, end = time_field(now - 6 * HOUR), time_field(now - 3 * HOUR)
    page.goto(f"/devices/{scene.pumps[0].device_id}/values?metric=flow")
    ask_for(page, start, end)
    expect(page.locator(".fixed-range")).to_have_text(f"{start}:00 UTC to {end}:00 UTC")
    expect(page.locator("[data-chart] canvas")).to_be_visible()
    before = page.locator(".readout .at").inner_text()
    assert before.startswith((start[:10], end[:10]))
    expect(page.locator("#live-status")).to_have_text("live")
    scene.send(0, {"flow": 48.25})
    expect(page.locator("tr[data-metric-row=flow] [data-value]")).to_contain_text("48.25")  # the table is live
    assert page.locator(".readout .at").inner_text() == before
    page.get_by_role("link", name="Data", exact=True).click()
    page.wait_for_url("**/data?start=**")
    page.get_by_role("link", name="Live values", exact=True).click()
    page.wait_for_url("**/values?start=**")
    page.get_by_role("link", name="1 h", exact=True).click()
    page.wait_for_url("**/values?metric=*&range=1h")
    expect(page.locator(".fixed-range")).to_have_count(0)


def test_moments_are_typed_and_read_in_the_browsers_zone_where_that_is_chosen(
    scene: WaterScene, watch: Callable[..., Watched]
) -> None:
    page = scene.sign_in(watch(scene, timezone_id="America/New_York"), "Reader")
    page.goto("/dashboards/water?start=2026-07-01 04:00&end=2026-07-01 06:00")
    expect(page.locator(".fixed-range")).to_have_text("2026-07-01 04:00:00 UTC to 2026-07-01 06:00:00 UTC")
    page.get_by_role("button", name="Times: UTC").click()
    expect(page.locator(".fixed-range")).to_contain_text("2026-07-01 00:00:00")
    page.get_by_text("Choose times").click()
    expect(page.get_by_label("From (")).to_have_value("2026-07-01 00:00")
    page.get_by_label("From (").fill("2026-07-01 01:30")
    page.get_by_role("button", name="Show", exact=True).click()
    page.wait_for_url("**start=2026-07-01+05%3A30&end=2026-07-01+06%3A00")
    page.goto("/audit")
    page.get_by_label("From (").fill("2026-01-01 00:00")  # in winter
    page.get_by_role("button", name="Filter", exact=True).click()
    page.wait_for_url("**start=2026-01-01+05%3A00*")
    source = Assets.load().url("time-fields.js")

    def turned(call: str, text: str) -> Any:
        return page.evaluate(f"async ([source, text]) => (await import(source)).{call}(text)", [source, text])

    for text in ("", "soon", "2026-02-31 10:00", "2026-13-01", "2026-01-01 24:30"):
        assert turned("toUtc", text) == text  # the service says what is wrong with it
    assert turned("toUtc", "2026-07-01 04:00 UTC") == "2026-07-01 04:00"
    assert turned("toUtc", "2026-07-01") == "2026-07-01 04:00"
    assert turned("toLocal", turned("toUtc", "2026-03-08 03:30:15")) == "2026-03-08 03:30:15"


@LOOKS
def test_pages_with_a_stretch_read_well(
    scene: WaterScene, watch: Callable[..., Watched], look: str, options: dict[str, object]
) -> None:
    page = scene.sign_in(watch(scene, **options), "Reader")
    now = int(time.time())
    query = f"start={time_field(now - 6 * HOUR)}&end={time_field(now - 3 * HOUR)}"
    for name, path in (
        ("values", f"/devices/{scene.pumps[0].device_id}/values?metric=flow&{query}"),
        ("data", f"/devices/{scene.pumps[0].device_id}/data?name=flow&{query}"),
        ("dashboard", f"/dashboards/water?{query}"),
    ):
        page.goto(path)
        page.get_by_text("Choose times").click()
        page.get_by_label("From (").scroll_into_view_if_needed()
        expect(page.get_by_label("From (")).to_be_in_viewport(ratio=0.9)
        reads_well(page, f"range-{name}-{look}")
