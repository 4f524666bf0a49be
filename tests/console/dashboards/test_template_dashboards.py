# SPDX-License-Identifier: Apache-2.0
"""Every dashboard of every application template in a real Chromium: nothing empty, nothing wrong, values that change."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect
from tests.api.running_service import wait_until
from tests.console.page_check import reads_well
from tests.console.scene import Scene
from tests.console.watched_browser import DESKTOP, PHONE, Watched
from tests.sim.playing import Playing, playing

from armillary.content import application_templates as shipped
from armillary.sim.templates.plans import template_body
from armillary.twin.author.dashboard import parse
from armillary.twin.template.json_form import parse_template
from armillary.twin.template.value_names import ValueNames

pytestmark = pytest.mark.console

VIEW = {"width": 1440, "height": 900}
# Everything on the page that follows devices: texts of values, and the newest point of each chart. At night in a shop
# nothing but the time of the newest point may change for minutes.
SHOWN = """() => JSON.stringify([
  [...document.querySelectorAll("[data-key], [data-kpi], [data-text], td")].map((each) => each.textContent),
  [...document.querySelectorAll("line-chart")].map((each) =>
    each.plot?.chart.series.map((one) => [one.at_ms.at(-1), one.values.at(-1)])),
])"""
# Names that nobody takes for words: BatteryLevel, count1, Tag.Humidity.
MACHINE = re.compile(r"[a-z][A-Z0-9]|[._]")
CUT_NOTES = ".kind-kpi [data-note], .kpi, .kpi .figure"
IS_CUT = "all => all.filter((each) => each.scrollWidth > each.clientWidth).map((each) => each.textContent)"
# Of tiles of less than half the page; a wide one of many columns scrolls, and its edge says so.
IS_WIDE = """all => all.filter((each) => each.scrollWidth > each.closest(".tile-body").clientWidth)
  .filter((each) => each.closest(".tile-body").clientWidth <= 460).map((each) => each.closest(".tile").id)"""
CHANGED = f"(before) => ({SHOWN})() !== before"


class PlayedConsole(Scene):
    """The console over a service that plays application templates."""

    def __init__(self, played: Playing) -> None:
        super().__init__(played.running)
        self.played = played


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlayedConsole]:
    with playing(tmp_path_factory.mktemp("applications")) as played:
        yield PlayedConsole(played)


def open_dashboard(page: Page, dashboard: str) -> None:
    page.goto(f"/dashboards/{dashboard}")
    expect(page.locator("#live-status")).to_have_text("live")
    charts = page.locator("line-chart").count()
    expect(page.locator("line-chart canvas")).to_have_count(charts)


def unnamed_or_unitless(page: Page, application: shipped.ApplicationTemplate, dashboard: str) -> list[str]:
    """Machine names that a dashboard shows where there is a name for people, and units that a tile leaves out."""
    tables = [
        ValueNames(parse_template(template_body(head, json.loads(application.models[head["id"]]))))
        for head in application.head["template"]
    ]
    said = page.locator("main").inner_text()
    found = []
    for tile in parse(application.documents["dashboard", dashboard]).tiles:
        shown = page.locator(f"[data-tile={tile.id}]").inner_text()
        for name in (*tile.values, *tile.options.get("names", ())):
            known = [each for table in tables if (each := table.of(name)) is not None]
            named = known and not any(name in each.display_name for each in known)
            if named and MACHINE.search(name) and re.search(rf"\b{re.escape(name)}\b", said):
                found.append(f"{tile.id}: {name}")
            symbols = {each.symbol for each in known}
            if (
                symbols
                and "" not in symbols
                and tile.kind != "map"
                and not any(tile_has(shown, each) for each in symbols)
            ):
                found.append(f"{tile.id}: {name} without {symbols}")
    return found


def tile_has(tile: str, symbol: str) -> bool:
    """Whether a tile shows a unit behind a figure."""
    return re.search(rf"[0-9]\s*{re.escape(symbol)}(?![A-Za-z])", tile) is not None


def wait_for_a_change(pages: list[tuple[Page, str]], seconds: float = 20.0) -> None:
    """Wait until one of the pages shows something else than it did before."""
    end = time.monotonic() + seconds
    while not any(page.evaluate(CHANGED, before) for page, before in pages):
        assert time.monotonic() < end, "no value was seen to change"
        pages[0][0].wait_for_timeout(200)


@pytest.mark.parametrize("name", shipped.names())
def test_each_dashboard_of_a_template_is_complete_live_and_accessible(
    name: str, console: PlayedConsole, watch: Callable[..., Watched]
):
    applications = console.played.applications
    applications.use(name, actor="test")
    wait_until(lambda: applications.describe(name)["state"] == "running", "a day of history", 60)
    page = watch(console, viewport=VIEW).sign_in(console.played.running.token_of("Administrator"))
    made = [each for kind, each in shipped.load(name).documents if kind == "dashboard"]
    assert made
    shown: list[tuple[Page, str]] = []
    for dashboard in made:
        open_dashboard(page, dashboard)
        assert page.locator("[data-state=error]").all_inner_texts() == [], dashboard
        assert page.locator("[data-state=empty]").all_inner_texts() == [], dashboard
        assert page.locator("img").evaluate_all("all => all.every((each) => each.naturalWidth > 0)"), dashboard
        assert unnamed_or_unitless(page, shipped.load(name), dashboard) == []
        assert page.locator(CUT_NOTES).evaluate_all(IS_CUT) == [], dashboard
        shown.append((page, page.evaluate(SHOWN)))
        reads_well(page, f"template-{dashboard}")
        page.set_viewport_size(DESKTOP)
        assert page.locator(".hbars, .values").evaluate_all(IS_WIDE) == [], f"{dashboard}: a tile hides its columns"
        assert page.locator(".hbar svg").evaluate_all("all => all.every((each) => each.clientWidth > 20)"), dashboard
        page.set_viewport_size(PHONE)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{dashboard} is wider than a phone"
        assert page.locator(".plan").evaluate_all("all => all.every((each) => each.clientHeight > 100)"), dashboard
        page.set_viewport_size(VIEW)
        page = page.context.new_page()
    # Not each of them: one dashboard is for setting cameras up, and what it shows changes when somebody does so.
    wait_for_a_change(shown)
    applications.unuse(name, actor="test")
