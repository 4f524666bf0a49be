# SPDX-License-Identifier: Apache-2.0
"""The gallery: every application that is shipped with a picture of its dashboard, and one used in a chosen catalog."""

from __future__ import annotations

from collections.abc import Callable
from html import unescape

import pytest
from playwright.sync_api import expect
from tests.console.hub_scene import HubScene
from tests.console.page_check import reads_well
from tests.console.plain_browser import signed_in
from tests.console.watched_browser import Watched

from armillary.console.applications.picture import DRAWN, WIDTH, picture_of
from armillary.content import application_templates as shipped
from armillary.errors import ConflictError
from armillary.twin.author.dashboard import KINDS

WATER = "water-quality-monitoring"


class Shelf:
    """Application templates as the service has them, without their simulations."""

    def __init__(self) -> None:
        self.used: dict[str, str | None] = {}

    def catalog(self) -> list[dict[str, object]]:
        heads = {name: shipped.head(name) for name in shipped.names()}
        return [
            {"name": name, **{key: head[key] for key in ("title", "line", "sector")}, **self._state(name)}
            for name, head in heads.items()
        ]

    def _state(self, name: str) -> dict[str, object]:
        if name not in self.used:
            return {"in_use": False, "state": "not in use"}
        return {"in_use": True, "state": "running", "catalog": self.used[name] or "Simulated"}

    def use(self, name: str, *, catalog: str | None, **_: object) -> dict[str, object]:
        if name in self.used:
            raise ConflictError(f"{name} is in use in catalog {self.used[name]}", remedy="Take it away first.")
        self.used[name] = catalog
        return {"name": name, "documents": []}


@pytest.fixture
def shelf(hub_scene: HubScene, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    made = Shelf()
    monkeypatch.setitem(hub_scene.running.app.state._state, "applications", made)
    return made


def test_every_application_has_a_picture_and_says_what_is_in_it(hub_scene: HubScene, shelf: Shelf) -> None:
    page = unescape(hub_scene.browser("Reader").get("/applications").text)
    for name in shipped.names():
        assert f'id="{name}"' in page
        assert shipped.head(name)["title"] in page
    assert page.count('class="sketch"') == len(shipped.names()) == 11
    assert "11 applications to begin with, none in use." in page
    assert "Use</a>" not in page, "a reader is offered nothing"
    one = unescape(hub_scene.browser("Reader").get(f"/applications/{WATER}").text)
    assert "Wide World Water: 2 simulated devices, 1 dashboard" in one
    assert f'action="/applications/{WATER}/use"' not in one
    assert hub_scene.browser().get("/applications/absent").status == 404


def test_an_application_is_used_in_a_chosen_catalog_and_leads_to_its_dashboard(
    hub_scene: HubScene, shelf: Shelf
) -> None:
    browser, here = hub_scene.browser("Contributor"), f"/applications/{WATER}"
    assert 'value="northwind"' in browser.get(here).text
    assert browser.post(f"{here}/use", into="absent").status == 400
    made = browser.post(f"{here}/use", into="northwind")
    assert made.headers["location"] == "/dashboards/water-quality?told=application-used"
    assert shelf.used == {WATER: "northwind"}
    page = browser.get(here).text
    assert "in the catalog northwind" in page
    assert 'href="/dashboards/water-quality"' in page
    again = browser.post(f"{here}/use", into="")
    assert (again.status, "is in use in catalog northwind" in again.text) == (400, True)
    of_one = signed_in(hub_scene, hub_scene.running.token_for("northwind"))
    assert of_one.post(f"{here}/use", into="northwind").status == 403
    assert hub_scene.browser("Reader").post(f"{here}/use", into="").status == 403


def test_every_kind_of_tile_is_drawn_within_its_place() -> None:
    tiles = [{"kind": kind, "x": 0, "y": 0, "w": 4, "h": 3} for kind in (*KINDS, "one that is new")]
    for tile in tiles:
        found = picture_of([tile])
        frame, *inner = found.shapes
        assert (frame.role, len(inner) > 0) == ("frame", True), tile
    assert set(DRAWN) <= set(KINDS)
    tall = picture_of(
        [{"kind": "line", "x": 0, "y": 0, "w": 12, "h": 400}, {"kind": "kpi", "x": 0, "y": 400, "w": 1, "h": 1}]
    )
    assert tall.height < WIDTH
    assert picture_of([]).shapes == ()


@pytest.mark.console
def test_the_gallery_reads_well(hub_scene: HubScene, shelf: Shelf, watch: Callable[..., Watched]) -> None:
    page = hub_scene.sign_in(watch(hub_scene))
    page.goto("/add-devices")
    page.get_by_role("link", name="Use an application").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("11 applications")
    reads_well(page, "applications-light")
    page.get_by_role("link", name="Use Water quality monitoring").click()
    expect(page.get_by_role("img", name="Sketch of the dashboard of Water quality monitoring")).to_be_visible()
    reads_well(page, "application-light")
