# SPDX-License-Identifier: Apache-2.0
"""The search and the command palette in a real Chromium, by keyboard alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import expect
from tests.console.page_check import reads_well
from tests.console.watched_browser import LOOKS, Watched
from tests.console.water_scene import WaterScene

pytestmark = pytest.mark.console


def test_a_device_is_found_from_anywhere_by_keyboard(scene: WaterScene, watch: Callable[..., Watched]) -> None:
    page = scene.sign_in(watch(scene), "Reader")
    page.goto("/rules")
    page.keyboard.press("/")
    field = page.get_by_role("searchbox", name="Search everything")
    expect(field).to_be_focused()
    page.keyboard.type("pump s")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("1 result for “pump s”")
    page.get_by_role("link", name="Pump south").click()
    page.wait_for_url(f"**/devices/{scene.pumps[1].device_id}")
    # The palette from there: what was typed chooses the first line, arrows go round, Enter opens it.
    page.keyboard.press("Control+k")
    palette = page.get_by_role("dialog", name="Quick find")
    box = palette.get_by_role("combobox")
    expect(box).to_be_focused()
    page.keyboard.type("pump")
    options = palette.get_by_role("option")
    devices = palette.get_by_role("group", name="Devices").get_by_role("option")
    expect(devices.first).to_be_visible()
    expect(palette.get_by_role("option", name="Pump all catalogs")).to_be_visible()
    first = options.first
    expect(first).to_have_attribute("aria-selected", "true")
    assert box.get_attribute("aria-activedescendant") == first.get_attribute("id")
    page.keyboard.press("ArrowUp")
    expect(options.last).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    expect(first).to_have_attribute("aria-selected", "true")
    box.fill("booster")
    expect(first).to_contain_text("Booster")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/devices/{scene.pumps[2].device_id}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    # Actions: only what the person may do; and signing out is one of them.
    page.keyboard.press("Meta+k")
    page.keyboard.type("create")
    expect(palette.get_by_role("status")).to_have_text("No results.")
    page.keyboard.press("Escape")
    expect(palette).not_to_be_visible()
    page.locator("body").press("?")  # from no field
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_contain_text("Commands: go anywhere")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.keyboard.type("sign o")
    expect(options).to_have_text(["Sign out"])
    page.keyboard.press("Enter")
    page.wait_for_url("**/sign-in*")


def test_exact_times_are_in_utc_or_in_the_zone_of_the_browser(scene: WaterScene, watch: Callable[..., Watched]) -> None:
    page = scene.sign_in(watch(scene, timezone_id="America/New_York"))
    page.goto("/audit")
    first = page.locator("tbody time").first
    at = int(first.get_attribute("data-at") or 0)
    assert first.get_attribute("title") == f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
    page.get_by_role("button", name="Times: UTC").click()
    page.get_by_role("button", name="Times: local").wait_for()
    there = page.locator(f'tbody time[data-at="{at}"]').first
    zoned = datetime.fromtimestamp(at, ZoneInfo("America/New_York"))
    expect(there).to_have_attribute("title", re.compile(f"{zoned:%Y-%m-%d %H:%M:%S} (EST|EDT|GMT.[45])"))
    page.goto("/rules")  # it stays
    page.get_by_role("button", name="Times: local").click()
    page.get_by_role("button", name="Times: UTC").wait_for()


def test_zone_theme_and_language_are_chosen_on_a_phone(scene: WaterScene, watch: Callable[..., Watched]) -> None:
    page = scene.sign_in(watch(scene, viewport={"width": 390, "height": 844}))
    page.goto("/audit")
    for name in ("Theme: auto", "Times: UTC", "Deutsch", "Sign out"):
        button = page.get_by_role("button", name=name)
        expect(button).to_be_visible()
        box = button.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390, f"{name} lies beside the screen"
    page.get_by_role("button", name="Times: UTC").click()
    page.get_by_role("button", name="Times: local").click()
    expect(page.get_by_role("button", name="Times: UTC")).to_be_visible()


@LOOKS
def test_it_reads_well(scene: WaterScene, watch: Callable[..., Watched], look: str, options: dict[str, object]) -> None:
    page = scene.sign_in(watch(scene, **options))
    page.goto("/search?q=pump")
    reads_well(page, f"search-{look}")
    page.keyboard.press("Control+k")
    page.keyboard.type("pump")
    expect(page.get_by_role("group", name="Devices")).to_be_visible()
    reads_well(page, f"palette-{look}")
