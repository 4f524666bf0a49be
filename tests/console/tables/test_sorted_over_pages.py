# SPDX-License-Identifier: Apache-2.0
"""Lists that their source sorts over all pages: the fleet by each column, roll-outs by when they were created."""

from __future__ import annotations

import csv
import html
import io
import re
from typing import Any

import pytest
from tests.console.console_server import RunningConsole
from tests.console.hub_scene import HubScene
from tests.console.plain_browser import Browser, signed_in
from tests.console.security_scene import SecurityScene
from tests.console.water_scene import NAMES, WaterScene

from armillary.console.device import pages_fleet
from armillary.console.evidence import pages_cases
from armillary.console.hub_devices import read as hub_devices
from armillary.console.releases import pages_images
from armillary.console.security import pages_actions, pages_dumps
from armillary.engines.records import device_order


def walked(browser: Browser, path: str) -> list[str]:
    """Names of the devices on all pages of the fleet from an address on."""
    found: list[str] = []
    while path:
        page = browser.get(path)
        assert page.status == 200, path
        found += re.findall(r'<span class="called"><a href="[^"]+">([^<]+)</a>', page.text)
        following = re.search(r'<a href="([^"]+)" rel="next">Next page', page.text)
        path = html.unescape(following[1]) if following else ""
    return found


def test_the_fleet_is_sorted_over_all_its_pages_and_exported_so(
    scene: WaterScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages_fleet, "PAGE_SIZE", 2)
    browser = scene.browser("Reader")
    rising = walked(browser, "/fleet?sort=device")
    assert len(rising) > 2
    assert [each for each in rising if each in NAMES] == sorted(NAMES)
    assert rising == sorted(rising, key=str.lower)
    assert walked(browser, "/fleet?sort=-device") == rising[::-1]
    assert [each for each in walked(browser, "/fleet?sort=device&q=pump") if each in NAMES] == [
        "Pump north",
        "Pump south",
    ]
    for column in pages_fleet.BY_SOURCE:
        name = re.sub(r"[^a-z]+", "-", column.lower())
        assert sorted(walked(browser, f"/fleet?sort={name}")) == sorted(rising)
    lines = list(csv.reader(io.StringIO(browser.get("/fleet?sort=-device&export=csv").text)))
    assert [each[0].partition(" (")[0] for each in lines[1:]] == rising[::-1]


def test_the_first_page_of_a_sorted_fleet_is_one_click_away_and_sorted(
    scene: WaterScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages_fleet, "PAGE_SIZE", 1)
    browser = scene.browser("Reader")
    first = browser.get("/fleet?sort=-device")
    following = re.search(r'<a href="([^"]+)" rel="next">Next page', first.text)
    assert following is not None
    second = browser.get(html.unescape(following[1])).text
    assert '<a href="/fleet?sort=-device">First page</a>' in second
    assert 'aria-sort="descending"><a href="/fleet?sort=device">Device</a>' in second
    # A page of another order is none of this one: the list begins anew, and says so.
    other = browser.get(html.unescape(following[1]).replace("sort=-device", "sort=last-check-in"))
    assert (other.status, "After: expected `next` of the page before" in other.text) == (200, True)


def test_more_devices_than_are_sorted_are_shown_in_their_own_order_with_the_reason(
    scene: WaterScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages_fleet, "PAGE_SIZE", 2)
    monkeypatch.setattr(device_order, "MAX_SORTED", 2)
    browser = scene.browser("Reader")
    page = browser.get("/fleet?sort=device")
    assert page.status == 200
    assert "Sort: expected at most 2 devices that match, got more." in page.text
    assert "aria-sort" not in page.text
    assert walked(browser, "/fleet?sort=device") == walked(browser, "/fleet")


def test_roll_outs_have_the_line_above_their_table_filters_and_an_order(console: RunningConsole) -> None:
    browser = signed_in(console)
    page = browser.get("/updates?sort=created").text
    assert "3 in all" in page
    assert 'aria-sort="ascending"><a href="/updates?sort=-created">Created</a>' in page
    for what in ("Save view", "Columns", 'href="/updates?sort=created&amp;export=csv"'):
        assert what in page
    running = browser.get("/updates?state=running&sort=created").text
    assert "1 roll-out: running." in running
    assert '<a href="/updates?state=running" aria-current="true">running</a>' in running
    assert "1 in all" in running
    halted = browser.get("/updates?state=held").text
    assert "No roll-out is in this state." in halted
    assert browser.get("/updates?state=nonsense").text.count('<tr><th scope="row">') == 3
    rows = list(csv.reader(io.StringIO(browser.get("/updates?export=csv").text)))
    assert [len(rows), rows[0][-1]] == [4, "Roll-out id"]


def test_hub_devices_are_sorted_over_all_pages(hub_scene: HubScene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_devices, "LINES", 2)
    browser, catalog = hub_scene.browser(), "northwind"
    names = {"zs-1": "Zsort b", "zs-2": "zsort A", "zs-3": "zsort b", "zs-4": "zsort c", "zs-5": "Zsort B"}
    for device_id, name in names.items():
        body = {"device_id": device_id, "authentication": "sas", "name": name}
        made = hub_scene.running.call("POST", f"/api/v1/catalogs/{catalog}/hub-devices", body)
        assert made.status in (200, 201), made.raw
    try:
        for sort, expected in (
            ("device", ["zs-2", "zs-1", "zs-3", "zs-5", "zs-4"]),
            ("-device", ["zs-4", "zs-1", "zs-3", "zs-5", "zs-2"]),
        ):
            found, path = list[str](), f"/hub-devices?catalog={catalog}&q=zsort&sort={sort}"
            while path:
                page = browser.get(path)
                assert page.status == 200
                assert "aria-sort" in page.text
                found += re.findall(r'/(zs-\d)">', page.text)
                following = re.search(r'<a href="([^"]+)" rel="next">', page.text)
                path = html.unescape(following[1]) if following else ""
            assert found == expected
        # A page of another order is none of this one: the list begins anew, and says so.
        other = browser.get(f"/hub-devices?catalog={catalog}&q=zsort&sort=device&after=zs-1")
        assert (other.status, "After: expected `next` of the page before" in other.text) == (200, True)
        assert "aria-sort" not in other.text
    finally:
        for device_id in names:
            hub_scene.running.call("DELETE", f"/api/v1/hub-devices/{device_id}")


@pytest.mark.parametrize(
    ("path", "pages"),
    [
        ("/actions", pages_actions),
        ("/crash-dumps", pages_dumps),
        ("/cases?only=all", pages_cases),
        ("/images", pages_images),
    ],
)
def test_every_column_that_a_source_sorts_is_answered(security_scene: SecurityScene, path: str, pages: Any) -> None:
    browser = security_scene.browser("Administrator")
    assert browser.get(path).status == 200
    for column in pages.BY_SOURCE:
        for sign in ("", "-"):
            word = f"{sign}{re.sub('[^a-z]+', '-', column.lower())}"
            page = browser.get(f"{path}{'&' if '?' in path else '?'}sort={word}")
            assert page.status == 200, word
            assert "newest first" not in page.text.split("Playbooks")[0]
    # One that there is not is the list in its own order.
    assert "newest first" in browser.get(f"{path}{'&' if '?' in path else '?'}sort=nonsense").text
