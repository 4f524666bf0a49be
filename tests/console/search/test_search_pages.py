# SPDX-License-Identifier: Apache-2.0
"""The search page without script, and what the palette offers to whom."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import pytest
from tests.console.plain_browser import Browser, signed_in
from tests.console.water_scene import WaterScene

from armillary.console.search.pages_search import ACTIONS, href_of, lines, search_page, where

HIT: dict[str, Any] = {"id": "x", "name": "X", "note": "", "catalog": None, "product": None, "group": None}


def reader(scene: WaterScene, role: str = "Reader") -> Browser:
    return signed_in(scene, scene.running.token_of(role))


def test_it_works_without_script(scene: WaterScene) -> None:
    browser = reader(scene)
    assert 'action="/search"' in browser.get("/fleet").text
    empty = browser.get("/search?q=+")
    assert (empty.status, "Type a name" in empty.text) == (200, True)
    found = unescape(browser.get("/search?q=pump").text)
    # Three devices; template, segment, product, and the group of that; other tests make more in the scene.
    (count,) = re.findall(r"([0-9]+) results for “pump”", found)
    assert int(count) >= 7
    for href in (f"/devices/{scene.pumps[0].device_id}", "/templates/pump", "/groups/pumps"):
        assert f'href="{href}"' in found
    assert "Nothing is called “<b>”" in unescape(browser.get("/search?q=%3Cb%3E").text)
    assert "<b>" not in browser.get("/search?q=%3Cb%3E").text
    only = unescape(browser.get("/search?q=pump&kind=template").text)
    assert "1 result for “pump”" in only
    assert f"{count} results" in unescape(browser.get("/search?q=pump&kind=nonsense").text)
    assert browser.get(f"/search?q={'x' * 129}").status == 400


@pytest.mark.parametrize(("role", "may"), [("Reader", False), ("Administrator", True)])
def test_the_palette_offers_what_one_may_do(scene: WaterScene, role: str, may: bool) -> None:
    browser = reader(scene, role)
    answer = json.loads(browser.get("/search/lines").body)
    (actions,) = answer["groups"]
    offered = {each["name"]: each for each in actions["hits"]}
    assert ("Create rule" in offered, "New release" in offered, "New roll-out" in offered) == (may, may, may)
    assert offered["Go to Alerts"]["href"] == "/alerts"
    assert offered["Sign out"]["form"] == "/sign-out"
    for each in offered.values():
        if each["href"]:
            assert browser.get(each["href"].partition("#")[0]).status == 200, each
    typed = json.loads(browser.get("/search/lines?q=go+al").body)["groups"]
    assert [hit["name"] for group in typed for hit in group["hits"]] == ["Go to Alerts"]


def test_nobody_who_is_not_signed_in_is_answered(scene: WaterScene) -> None:
    for path in ("/search?q=pump", "/search/lines?q=pump"):
        assert Browser(scene).get(path).status == 303


def test_what_leads_where() -> None:
    device = {**HIT, "kind": "hub-device", "id": "a b/c"}
    assert (href_of(device), where(device)) == ("/hub-devices/a%20b%2Fc", "all catalogs")
    group = {**HIT, "kind": "device-group", "name": "G", "catalog": "C", "product": "P 1", "group": "G"}
    assert (href_of(group), where(group)) == ("/device-groups/C/P%201/G", "C / P 1")
    assert where({**HIT, "kind": "device"}) == "not claimed"
    assert where({**HIT, "kind": "catalog", "catalog": "X"}) == ""
    found = {"text": "x", "kinds": [{"kind": "rule", "count": 100, "is_cut": True}], "items": [{**HIT, "kind": "rule"}]}
    (rules,) = lines(found, "x", ACTIONS)["groups"]
    assert rules["hits"][-1] == {"name": "All 100 or more", "where": "", "href": "/search?q=x&kind=rule"}
    page = search_page(found, "")
    assert (page.title, page.sections[0].more) == (
        "100 or more results for “x”",
        ("All 100 or more", "/search?q=x&kind=rule"),
    )
