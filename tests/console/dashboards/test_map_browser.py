# SPDX-License-Identifier: Apache-2.0
"""Maps in a real Chromium: the pack and what it refuses, the projection, marks of many devices, zooming, no foreign host."""

from __future__ import annotations

import json
import random
import re
import struct
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.console.console_server import RunningConsole
from tests.console.dashboards.test_dashboards_browser import tile, wait_live
from tests.console.watched_browser import ARTEFACTS, DESKTOP, PHONE, Watched, picture, wait_true
from tests.console.water_scene import WaterScene

from armillary.console.frame.assets import Assets

pytestmark = pytest.mark.console

# A triangle of land, a border of two points and one place, around 0° N 0° E in a region of 20° at 100 units a degree.
PACK = (
    b"AMAP" + struct.pack("<BhhHH", 1, 0, 0, 20, 100) + b"\x02"
    + b"\x00\x04" + bytes([20, 20, 20, 0, 0, 20, 39, 39])
    + b"\x02\x02" + bytes([0, 0, 10, 10])
    + b"\x01" + b"\x05" + b"\x0a\x0a" + b"\x04Ouro"
)  # fmt: skip
MANY = """(each, dots) => {
  const room = document.createElement("div");
  Object.assign(room.style, { position: "fixed", inset: "0", zIndex: "9" });
  const map = document.createElement("device-map");
  map.id = "many";
  map.dataset.pack = each.dataset.pack;
  room.append(map);
  document.body.append(room);
  map.view = { dots: JSON.parse(dots) };
}"""
SMALL = MANY.replace('inset: "0"', 'left: "0", top: "0", width: "340px", height: "240px"')
READ = """async ([rules, pack, contents]) => {
  const { readPack, PackError } = await import(pack);
  return contents.map((bytes) => {
    try { const { lines, places } = readPack(new Uint8Array(bytes).buffer); return { lines: lines.map((l) => [l.kind, l.x.length]), places }; }
    catch (error) { return { refused: error instanceof PackError, said: error.message }; }
  });
}"""


def read(page: Page, contents: list[bytes]) -> list[dict[str, Any]]:
    urls = Assets.load()
    found: list[dict[str, Any]] = page.evaluate(
        READ, [urls.url("map-rules.js"), urls.url("map-pack.js"), [list(each) for each in contents]]
    )
    return found


def rules(page: Page, call: str, argument: Any = None) -> Any:
    return page.evaluate(
        f"async ([source, argument]) => {{ const rules = await import(source); return {call}; }}",
        [Assets.load().url("map-rules.js"), argument],
    )


def test_a_pack_is_read_whole_or_refused_with_one_clear_error(console: RunningConsole, watch: Callable[..., Watched]):
    page = watch(console).sign_in()
    whole = read(page, [PACK])[0]
    assert whole["lines"] == [[0, 4], [2, 2]]
    assert [(each["name"], each["rank"], each["lat"], each["lon"]) for each in whole["places"]] == [
        ("Ouro", 5, 0.1, 0.1)
    ]
    cut = read(page, [PACK[:length] for length in range(len(PACK))])
    assert all(each.get("refused") and "damaged at byte" in each["said"] for each in cut)
    chance = random.Random(14)  # noqa: S311 - not a secret
    changed = []
    for _ in range(600):
        content = bytearray(PACK)
        for _ in range(chance.randint(1, 4)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        changed.append(bytes(content))
    answers = read(
        page, [*changed, PACK + b"\x00", b"", b"<html>", b"\xff" * 4096, PACK[:13] + b"\xff\xff\xff\x7f" * 9]
    )
    assert all("lines" in each or each["refused"] for each in answers)
    assert all(each.get("refused") for each in answers[600:])


def test_every_file_of_the_pack_is_read_and_small(console: RunningConsole, watch: Callable[..., Watched]):
    page = watch(console).sign_in()
    address = Assets.load().url("map/index.json")
    found = page.evaluate(
        """async ([index, pack]) => {
          const { readPack } = await import(pack);
          const { files } = await (await fetch(index)).json();
          const all = {};
          for (const [name, address] of Object.entries(files)) {
            const content = await (await fetch(address)).arrayBuffer();
            const { lines, places } = readPack(content);
            all[name] = [content.byteLength, lines.length, places.length];
          }
          return all;
        }""",
        [address, Assets.load().url("map-pack.js")],
    )
    assert found["world"][0] < 160_000
    assert sum(size for size, _, _ in found.values()) < 3_000_000
    assert sum(places for name, (_, _, places) in found.items() if name != "world") == 7342
    assert max(size for size, _, _ in found.values()) < 160_000


def test_projection_nearest_place_and_marks(console: RunningConsole, watch: Callable[..., Watched]):
    """Web Mercator against known values (EPSG:3857: x, y in metres divided by 20037508.342789244)."""
    page = watch(console).sign_in()
    half = 20037508.342789244
    for lon, lat, x, y in ((0, 0, 0, 0), (8.55, 47.36667, 951781.64, 6002092.0), (-180, 85.0511287798066, -half, half)):
        across, down = rules(page, "[rules.across(argument[0]), rules.down(argument[1])]", [lon, lat])
        assert abs((across - 0.5) * 2 * half - x) < 1
        assert abs((0.5 - down) * 2 * half - y) < 100
    assert 0 <= rules(page, "rules.down(90)") < 1e-9
    zurich = [{"name": "Zürich", "lat": 47.38, "lon": 8.55}, {"name": "Bern", "lat": 46.92, "lon": 7.47}]
    assert rules(page, "rules.nearest({lat: 47.38, lon: 8.55}, argument)", zurich) == "Zürich"
    assert rules(page, "rules.nearest({lat: 47.48, lon: 8.55}, argument)", zurich) == "Zürich, 11 km south"
    assert rules(page, "rules.nearest({lat: 0, lon: 0}, [])") == ""
    dots = [
        {"lat": 47.0, "lon": 8.0, "shape": "good", "label": "a"},
        {"lat": 47.0, "lon": 8.001, "shape": "bad", "label": "b"},
        {"lat": 47.0, "lon": 9.0, "shape": "good", "stale": True, "label": "c"},
    ]
    near = rules(page, "rules.clusters(argument, 10, 36).map((each) => [each.dots.length, each.state])", dots)
    assert near == [[2, "bad"], [1, "unknown"]]
    assert rules(page, "rules.clusters(argument, 3, 36).map((each) => each.dots.length)", dots) == [3]
    assert rules(page, "rules.clusters(argument, 18, 36).length", dots) == 3
    assert rules(page, "rules.clusters([], 3, 36)") == []
    assert rules(page, "rules.worstFirst(argument).map((each) => each.label)", dots) == ["b", "c", "a"]


COLOURS = """(found) => { const c = document.querySelector(found); const all = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
return new Set(new Uint32Array(all.buffer)).size; }"""


def painted(page: Page) -> int:
    """How many colours the ground of the map has."""
    count: int = page.evaluate(COLOURS, "device-map canvas")
    return count


def test_a_map_of_many_devices_is_zoomed_read_and_asks_no_other_host(scene: WaterScene, watch: Callable[..., Watched]):
    watched = watch(scene, viewport=DESKTOP, reduced_motion="reduce")
    page = scene.sign_in(watched)
    page.goto("/dashboards/water")
    wait_live(page)
    where = tile(page, "where").locator("device-map")
    where.scroll_into_view_if_needed()
    expect(where.locator(".map-mark")).to_have_count(3)
    expect(where.locator(".leaflet-control-attribution")).to_contain_text("Centre: Zürich")
    assert painted(page) > 3
    chance = random.Random(5)  # noqa: S311 - not a secret
    dots = [
        {
            "label": f"Device {at}", "href": f"/devices/d{at}", "text": "", "stale": False, "shape": "bad" if at == 0 else "good",
            "lat": 44 + 6 * chance.random(), "lon": 5 + 9 * chance.random(),
        }
        for at in range(10_000)
    ]  # fmt: skip
    # A map of its own, which no reading of the dashboard fills again.
    where.evaluate(MANY, json.dumps(dots))
    where = page.locator("#many")
    while where.get_by_role("button", name="Zoom out").get_attribute("aria-disabled") != "true":
        where.get_by_role("button", name="Zoom out").click()
    one = where.locator(".map-mark.is-bad")
    expect(one).to_have_count(1)
    expect(one).to_have_attribute("aria-label", "10000 devices, worst: bad")
    one.focus()
    page.keyboard.press("Enter")
    listed = where.locator(".map-list")
    expect(listed.locator("li").first).to_contain_text("Device 0 bad")
    expect(listed.locator("li").last).to_have_text("and 9950 more: show them closer")
    listed.get_by_role("button", name="Show them closer").click()
    expect(where.locator(".map-mark.many").nth(5)).to_be_visible()
    # Marks of what is seen, not of all: ten thousand devices cost no more to pan than some hundred.
    assert where.locator(".map-mark").count() < 400
    page.keyboard.press("Escape")
    assert watched.foreign == []


def test_a_map_of_one_device_shows_the_country_around_it(scene: WaterScene, watch: Callable[..., Watched]):
    watched = watch(scene, viewport=DESKTOP, reduced_motion="reduce")
    page = scene.sign_in(watched)
    page.goto("/dashboards/water")
    wait_live(page)
    dots = [
        {"label": "Lone", "href": "/devices/lone", "text": "", "stale": False, "shape": "good", "lat": lat, "lon": 21.0}
        for lat in (67.3, 67.3001)
    ]
    # A tile as wide as a phone, in Lapland, where places are far apart.
    tile(page, "where").locator("device-map").evaluate(SMALL, json.dumps(dots))
    scale = page.locator("#many .leaflet-control-scale-line")
    expect(scale).to_have_text(re.compile(r"^(20|30|50|100) km$"))
    expect(page.locator("#many .leaflet-control-attribution")).to_contain_text("Centre: ")
    # Names and coasts on the land, which alone is one colour.
    wait_true(page, f"({COLOURS})('#many canvas') > 3")
    # Somebody who looks closer stays there.
    page.locator("#many").get_by_role("button", name="Zoom in").click()
    before = scale.inner_text()
    page.evaluate("document.querySelector('#many').repaint()")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert scale.inner_text() == before


@pytest.mark.parametrize(
    ("look", "options"),
    [("light", {"viewport": DESKTOP}), ("dark-phone", {"viewport": PHONE, "color_scheme": "dark", "has_touch": True})],
)
def test_a_map_of_a_city_in_light_and_in_the_dark(
    scene: WaterScene, watch: Callable[..., Watched], look: str, options: dict[str, object]
):
    watched = watch(scene, **options)
    page = scene.sign_in(watched)
    page.goto("/dashboards/water")
    where = tile(page, "where").locator("device-map")
    where.scroll_into_view_if_needed()
    expect(where.locator(".map-mark")).to_have_count(3)
    expect(where.locator(".leaflet-control-attribution")).to_contain_text("Centre: Zürich")
    assert painted(page) > 3
    picture(where, ARTEFACTS / f"map-{look}.png")
    assert watched.foreign == []
