# SPDX-License-Identifier: Apache-2.0
"""Lists that are sorted over all pages by the operator API: hub devices, images, cases, crash dumps, actions."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest
from tests.api.running_service import RunningService, application, fresh

from armillary.engines.records import order_words, ordered

LISTS = {
    "hub-devices": order_words.HUB_DEVICES,
    "cases": order_words.CASES,
    "crash-dumps": order_words.CRASH_DUMPS,
    "actions": order_words.ACTIONS,
}


def place(catalog: str, what: str, **query: Any) -> str:
    if what == "hub-devices":
        return f"/api/v1/catalogs/{catalog}/hub-devices?{urlencode(query)}"
    return f"/api/v1/{what}?{urlencode({**query, 'catalog': catalog})}"


def walked(service: RunningService, catalog: str, what: str, sort: str, **query: Any) -> list[dict[str, Any]]:
    """Rows of a list, read in pages of one."""
    found: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    while True:
        page = service.call("GET", place(catalog, what, sort=sort, limit=1, **query, **after))
        assert page.status == 200, page.raw
        found += page.body["items"]
        if page.body["next"] is None:
            return found
        after = {"after": page.body["next"]}


def test_hub_devices_are_sorted_over_all_pages(service: RunningService, catalog: str) -> None:
    others = service.make_catalog(fresh("O"))
    names = {fresh("a"): "press 2", fresh("b"): "Press 1", fresh("c"): "lamp", fresh("d"): "press 2"}
    for device_id, name in names.items():
        for owner, made in ((catalog, device_id), (others, f"{device_id}-of-others")):
            body = {"device_id": made, "authentication": "sas", "name": name}
            assert service.call("POST", f"/api/v1/catalogs/{owner}/hub-devices", body).status in (200, 201)
    expected = [(each, names[each]) for each in sorted(names, key=lambda each: (names[each].lower(), each))]
    assert [(e["device_id"], e["name"]) for e in walked(service, catalog, "hub-devices", "name")] == expected
    falling = [each["name"] for each in walked(service, catalog, "hub-devices", "-name")]
    assert falling == [name for _, name in reversed(expected)]
    only = walked(service, catalog, "hub-devices", "-name", search="press")
    assert [each["name"] for each in only] == ["press 2", "press 2", "Press 1"]


def test_cases_are_sorted_over_all_pages(service: RunningService, catalog: str) -> None:
    aware = {"beta": 3, "Alpha": 1, "gamma": 2}
    for title, at in aware.items():
        body = {"kind": "severe-incident", "title": title, "at": 1_700_000_000 + at}
        assert service.call("POST", place(catalog, "cases"), body).status in (200, 201)
    found = [each["title"] for each in walked(service, catalog, "cases", "title", open="true")]
    assert found == ["Alpha", "beta", "gamma"]
    assert [each["title"] for each in walked(service, catalog, "cases", "-aware_at")] == ["beta", "gamma", "Alpha"]


def test_images_are_sorted_over_all_pages(service: RunningService, catalog: str) -> None:
    names = ["Mill", "blink", "Élan", "arm"]
    for name in names:
        _, package = application(name)
        body = {"properties": {"image": base64.b64encode(package).decode()}}
        assert service.azure("POST", f"/{catalog}/uploadImage", body).status == 202
    found, target = [], ""
    while True:
        query = "&sort=name&$maxpagesize=1"
        reply = service.call("GET", target) if target else service.azure("GET", f"/{catalog}/images", query=query)
        assert reply.status == 200, reply.raw
        found += [each["properties"]["imageName"] for each in reply.body["value"]]
        if reply.body["nextLink"] is None:
            break
        parts = urlsplit(reply.body["nextLink"])
        target = f"{parts.path}?{parts.query}"
    assert found == ["arm", "blink", "Mill", "Élan"]
    skipped = service.azure("GET", f"/{catalog}/images", query="&sort=-name&$skip=1&$top=2").body["value"]
    assert [each["properties"]["imageName"] for each in skipped] == ["Mill", "blink"]
    for query in (
        "&sort=nonsense",
        "&sort=name&$skiptoken=zz",
        "&sort=name&$skiptoken=ff",
        "&sort=size&$skiptoken=3931",
    ):
        assert service.azure("GET", f"/{catalog}/images", query=query).status == 400, query


@pytest.mark.parametrize("what", list(LISTS))
def test_every_order_is_answered_and_what_is_none_refused(service: RunningService, catalog: str, what: str) -> None:
    for word in LISTS[what]:
        for sort in (word, f"-{word}"):
            assert service.call("GET", place(catalog, what, sort=sort)).status == 200, sort
    refused = service.call("GET", place(catalog, what, sort="nonsense"))
    assert refused.status == 400
    assert f"sort: expected {LISTS[what][0]}" in refused.body["detail"]
    for cursor in ("1", "[1]", '["\u0000", 1]', '["a", "b", "c"]'):
        reply = service.call("GET", place(catalog, what, sort=LISTS[what][0], after=cursor))
        assert reply.status == 400, (cursor, reply.raw)
    long = quote("x" * (ordered.MAX_CURSOR_CHARACTERS + 1))
    assert service.call("GET", place(catalog, what) + f"&after={long}").status == 400
