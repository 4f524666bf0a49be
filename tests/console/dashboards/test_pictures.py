# SPDX-License-Identifier: Apache-2.0
"""Pictures that people upload for tiles and floor plans, and places that are set on the picture."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.api.running_service import fresh
from tests.console.page_check import reads_well
from tests.console.plain_browser import signed_in
from tests.console.watched_browser import LOOKS, Watched
from tests.console.water_scene import NAMES, WaterScene
from tests.wire.picture.drawn import SVG, png

from armillary.console.dashboards import pages_pictures

pytestmark = pytest.mark.console
SLY = SVG.replace(b"<rect", b'<script>alert(1)</script><rect onclick="alert(2)"')
FILE = {"name": "Pump <house>.svg", "mimeType": "image/png", "buffer": SLY}


@pytest.fixture(autouse=True)
def none_left(scene: WaterScene) -> Iterator[None]:
    """The scene is shared: what a test uploads goes with it."""
    yield
    operations = scene.running.platform.picture_operations
    scene.reset()
    for each in operations.listed(None, 100, None)["items"]:
        scene.running.call("DELETE", f"/api/v1/pictures/{each['id']}?force=true")


def kept(scene: WaterScene) -> list[dict[str, Any]]:
    return list(scene.running.call("GET", "/api/v1/pictures").body["items"])


def test_a_picture_is_uploaded_listed_looked_at_and_deleted_by_forms(scene: WaterScene) -> None:
    browser = scene.browser("Contributor")
    assert browser.get(pages_pictures.NEW).status == 200
    for data, words in ((b"GIF89a", "Picture: expected a PNG, JPEG or SVG file"), (b"", "No picture was chosen")):
        refused = browser.upload(pages_pictures.NEW, {"picture": data}, name="House & yard", catalog="northwind")
        assert refused.status == 400
        assert words.lower() in refused.text.lower()
        assert 'value="House &amp; yard"' in refused.text
    made = browser.upload(pages_pictures.NEW, {"picture": SLY}, name="House & yard", catalog="northwind")
    assert (made.status, made.headers["location"]) == (303, "/dashboard-pictures?told=picture-cut#house-yard.svg")
    (line,) = kept(scene)
    assert (line["id"], line["name"], line["catalog"]) == ("house-yard.svg", "House & yard", "northwind")
    page = browser.get("/dashboard-pictures").text
    assert "House &amp; yard" in page
    shown = browser.get("/pictures/uploaded/house-yard.svg")
    assert (shown.status, shown.body) == (200, SVG)
    assert shown.headers["content-type"] == "image/svg+xml"
    assert shown.headers["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    again = browser.upload(pages_pictures.NEW, {"picture": png()}, name="House & yard", catalog="northwind")
    assert again.headers["location"].endswith("told=picture-kept#house-yard.png")
    assert browser.confirm("/dashboard-pictures/house-yard.svg/delete").status == 303
    assert [each["id"] for each in kept(scene)] == ["house-yard.png"]
    assert browser.get("/pictures/uploaded/house-yard.svg").status == 404


def test_a_reader_sees_pictures_and_is_offered_no_change(scene: WaterScene) -> None:
    contributor, reader = scene.browser("Contributor"), scene.browser("Reader")
    contributor.upload(pages_pictures.NEW, {"picture": png()}, name="Yard", catalog="northwind")
    page = reader.get("/dashboard-pictures").text
    assert "Yard" in page
    assert pages_pictures.NEW not in page
    assert "/delete" not in page
    assert reader.get("/pictures/uploaded/yard.png").status == 200
    assert reader.upload(pages_pictures.FOR_TILE, {"picture": png()}).status == 403
    assert reader.get("/dashboard-pictures/yard.png/delete").status == 403


def test_a_picture_of_another_catalog_is_as_good_as_none(scene: WaterScene) -> None:
    name, catalogs = scene.running.make_catalog(fresh("elsewhere")), scene.running.service.registry.catalogs
    try:
        body = {"name": "Theirs", "catalog": name, "content": base64.b64encode(png()).decode()}
        assert scene.running.call("PUT", "/api/v1/pictures/theirs.png", body).status == 200
        browser = signed_in(scene, scene.running.token_for("northwind", "Contributor"))
        absent = browser.get("/pictures/uploaded/absent.png")
        theirs = browser.get("/pictures/uploaded/theirs.png")
        assert (theirs.status, absent.status) == (404, 404)
        assert _main(theirs.text).replace("theirs", "absent") == _main(absent.text)
        assert "Theirs" not in browser.get("/dashboard-pictures").text
        assert browser.get("/dashboard-pictures/theirs.png/delete").status == 404
    finally:
        scene.running.call("DELETE", "/api/v1/pictures/theirs.png")
        catalogs.delete(name, actor="test")


def _main(page: str) -> str:
    """What a page says, without its frame."""
    return page.partition("<main")[2].partition("</main>")[0]


def edited(page: Page, tile: str) -> Locator:
    """The panel of a tile of the editor."""
    page.goto("/dashboards/water/edit")
    page.get_by_role("link", name=f"Edit {tile}", exact=True).click()
    panel = page.locator("#panel")
    expect(panel.locator("[data-preview-tile] .tile")).to_be_visible()
    return panel


def places(panel: Locator) -> list[dict[str, Any]]:
    return list(json.loads(panel.locator("textarea[name=places]").input_value()))


@LOOKS
def test_a_picture_is_uploaded_in_the_tiles_panel_and_is_the_tiles(
    scene: WaterScene, watch: Callable[..., Watched], look: str, options: dict[str, object]
) -> None:
    page = scene.sign_in(watch(scene, allowed=("status of 400",), **options), "Contributor")
    panel = edited(page, "Pump house")
    panel.get_by_label("Or upload one").set_input_files({**FILE, "buffer": b"GIF89a"})
    expect(panel.locator("[data-upload] [role=status]")).to_contain_text("Picture: expected a PNG, JPEG or SVG file")
    panel.get_by_label("Or upload one").set_input_files(FILE)
    expect(panel.locator("[data-upload] [role=status]")).to_contain_text(
        "Uploaded, without a handler, the element script."
    )
    image = "uploaded/pump-house.svg"
    expect(panel.locator("select[name=image]")).to_have_value(image)
    expect(panel.locator(f'[data-preview-tile] img[src="/pictures/{image}"]')).to_be_visible()
    expect(panel.locator(f'.plan-edit img[src="/pictures/{image}"]')).to_be_visible()
    reads_well(page, f"plan-places-{look}")
    panel.get_by_role("button", name="Apply").click()
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/dashboards/water?told=dashboard")
    expect(page.locator(f'#tile-plan img[src="/pictures/{image}"]')).to_be_visible()


def test_a_click_on_the_picture_sets_a_place_and_keys_and_fields_do_the_same(
    scene: WaterScene, watch: Callable[..., Watched]
) -> None:
    page = scene.sign_in(watch(scene), "Contributor")
    panel = edited(page, "Pump house")
    plan = panel.locator(".plan-edit")
    expect(plan.get_by_role("button")).to_have_count(3)
    plan.get_by_role("button", name=f"{NAMES[1]}:").click()
    area = plan.locator("img").bounding_box()
    assert area is not None
    plan.locator("img").click(position={"x": area["width"] * 0.25, "y": area["height"] * 0.75})
    expect(plan.get_by_role("button", name=f"{NAMES[1]}:")).to_have_accessible_name(
        f"{NAMES[1]}: {_percent(places(panel)[1]['x'])} from the left, {_percent(places(panel)[1]['y'])} from the top."
        " Arrows move it."
    )
    moved = places(panel)[1]
    assert abs(moved["x"] - 0.25) < 0.02
    assert abs(moved["y"] - 0.75) < 0.02
    assert moved["device"] == scene.pumps[1].device_id

    mark = plan.get_by_role("button", name=f"{NAMES[0]}:")
    mark.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    first = places(panel)[0]
    assert (first["x"], first["y"]) == (0.18, 0.35)
    expect(mark).to_be_focused()

    row = panel.get_by_role("group", name="Place 3")
    row.get_by_label("From the left (%)").fill("12.5")
    row.get_by_label("From the left (%)").press("Tab")
    assert places(panel)[2]["x"] == 0.125
    row.get_by_role("button", name="Remove place 3").click()
    expect(plan.get_by_role("button")).to_have_count(2)

    panel.get_by_role("button", name="Add a place").click()
    row = panel.get_by_role("group", name="Place 3")
    row.get_by_label("Device (name or id)").fill(NAMES[2])
    row.get_by_label("Label").fill("Tank")
    row.get_by_label("Label").press("Tab")
    expect(panel.locator("[data-preview-tile] .spot")).to_have_count(3)
    expect(panel.locator("[data-preview-tile]")).to_contain_text("Tank")
    panel.get_by_role("button", name="Apply").click()
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/dashboards/water?told=dashboard")
    (tile,) = (
        each
        for each in scene.running.call("GET", "/api/v1/dashboards/water").body["body"]["tiles"]
        if each["id"] == "plan"
    )
    assert [each["device"] for each in tile["places"]] == [pump.device_id for pump in scene.pumps]
    assert tile["places"][2] == {"device": scene.pumps[2].device_id, "label": "Tank", "x": 0.5, "y": 0.5}


def _percent(value: float) -> str:
    return f"{round(value * 1000) / 10:g}%"


def test_json_that_is_no_list_of_places_is_said_and_stays_to_be_corrected(
    scene: WaterScene, watch: Callable[..., Watched]
) -> None:
    page = scene.sign_in(watch(scene), "Contributor")
    panel = edited(page, "Pump house")
    panel.locator("textarea[name=places]").fill("[{")
    panel.locator("textarea[name=places]").press("Tab")
    expect(panel.locator("[data-places]")).to_contain_text("The JSON of the places is not valid")
    expect(panel.locator("textarea[name=places]")).to_have_value("[{")
    panel.locator("textarea[name=places]").fill("[]")
    panel.locator("textarea[name=places]").press("Tab")
    expect(panel.locator(".plan-edit img")).to_be_visible()


def test_without_script_a_tile_leads_to_the_page_that_uploads(scene: WaterScene) -> None:
    page = scene.browser("Contributor").get("/dashboards/water/tiles/plan").text
    assert f'<a href="{pages_pictures.NEW}">Upload a picture</a>' in page
    assert 'name="places"' in page
    assert pages_pictures.NEW not in scene.browser("Reader").get("/dashboards/water/tiles/plan").text
