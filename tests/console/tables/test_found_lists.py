# SPDX-License-Identifier: Apache-2.0
"""Lists that are narrowed by a text: in the address, over pages, with the order and columns that were chosen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from tests.console.water_scene import WaterScene
from tests.twin.template.test_template import BODY

from armillary.console.authored import read as authored
from armillary.console.dashboards import read as dashboards
from armillary.console.device_templates import read as templates

CATALOG = "northwind"
NAMES = {"zq-cold": "Zq Cold 100% <room>", "zq-warm": "Zq warm 100 room", "zq-ice": "ZQ COLD 1000"}
KINDS: dict[str, dict[str, Any]] = {
    "rule": {"conditions": [{"telemetry": "flow", "op": ">", "value": 1e9}], "enabled": False},
    "dashboard": {"tiles": []},
    "group": {},
    "job": {"group": "zq-cold", "action": {"kind": "command", "command": "clean"}},
    "export": {
        "source": "telemetry", "enabled": False,
        "destination": {"kind": "webhook", "url": "https://example.com/in"},
    },
    "template": BODY,
}  # fmt: skip


@pytest.fixture
def filled(scene: WaterScene) -> Iterator[WaterScene]:
    """Three documents of each kind, as long as a test goes on."""
    store = scene.running.platform.documents
    made = [(kind, document_id) for kind in ("group", *KINDS) for document_id in NAMES]
    for kind, document_id in made:
        called = {"display_name" if kind == "template" else "name": NAMES[document_id]}
        store.put(kind, document_id, {**KINDS[kind], **called, "catalog": CATALOG}, by="test")
    yield scene
    for kind, document_id in dict.fromkeys(made):
        store.delete(kind, document_id, by="test")


def shown(page: str, kind: str) -> list[str]:
    """Which of the documents of a kind a page links to."""
    return [each for each in NAMES if f'href="/{kind}s/{each}"' in page]


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_list_has_what_is_named_so(filled: WaterScene, kind: str) -> None:
    browser, place = filled.browser("Reader"), f"/{kind}s"
    for text, expected in (
        ("zq", list(NAMES)),
        ("zq cold", ["zq-cold", "zq-ice"]),
        ("100%", ["zq-cold"]),
        ("ZQ-WARM", ["zq-warm"]),
        ("<room>", ["zq-cold"]),
    ):
        page = browser.get(f"{place}?q={quote(text)}")
        assert (page.status, shown(page.text, kind)) == (200, expected), text
        assert "in their name or id." in page.text
    field = re.search(r'name="q" value="([^"]*)"', page.text)
    assert field is not None
    assert unescape(field[1]) == "<room>"


@pytest.mark.parametrize("kind", list(KINDS))
def test_where_nothing_is_named_so_the_list_says_it_and_leads_to_all(filled: WaterScene, kind: str) -> None:
    page = filled.browser("Reader").get(f"/{kind}s?q=zq%20nothing").text
    assert "Nothing here has &#34;zq nothing&#34; in its name or id." in page
    assert f'href="/{kind}s">Show all</a>' in page
    assert shown(page, kind) == []
    assert "Nothing is here yet" not in page


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_text_that_no_name_can_have_is_one_clear_error(filled: WaterScene, kind: str) -> None:
    browser = filled.browser("Reader")
    refused = browser.get(f"/{kind}s?q={'x' * 129}")
    assert (refused.status, "at most 128 characters, got 129" in refused.text) == (400, True)
    assert browser.get(f"/{kind}s?q=%00%ff%0a").status == 200
    assert shown(browser.get(f"/{kind}s?q=%20%20").text, kind) == list(NAMES)  # spaces narrow nothing


@pytest.mark.parametrize(
    ("kind", "module", "name"),
    [("rule", authored, "LINES"), ("group", authored, "LINES"), ("template", templates, "LINES"),
     ("dashboard", dashboards, "LIST_LINES")],
)  # fmt: skip
def test_further_pages_and_the_form_keep_what_was_chosen(
    filled: WaterScene, monkeypatch: pytest.MonkeyPatch, kind: str, module: Any, name: str
) -> None:
    monkeypatch.setattr(module, name, 1)
    browser, found, path = filled.browser("Reader"), list[str](), f"/{kind}s?q=zq&columns=catalog,changed"
    while path:
        page = browser.get(path).text
        found += shown(page, kind)
        assert '<input type="hidden" name="columns" value="catalog,changed">' in page
        following = re.search(r'<a href="([^"]+)" rel="next">', page)
        path = unescape(following[1]) if following else ""
        assert not path or parse_qs(urlsplit(path).query)["q"] == ["zq"]
    assert found == sorted(NAMES)


def test_an_exported_list_has_what_is_named_so(filled: WaterScene) -> None:
    exported = filled.browser("Reader").get("/rules?q=zq+cold&export=csv")
    assert exported.status == 200
    assert [name in exported.text for name in NAMES.values()] == [True, False, True]
