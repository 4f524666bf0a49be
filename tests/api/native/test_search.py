# SPDX-License-Identifier: Apache-2.0
"""One search finds everything that has a name or an id, in the words that people type."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.api.running_service import RunningService

from armillary.api.views.search import KINDS, MAX_COUNTED


@pytest.fixture(scope="module")
def owner(service: RunningService) -> str:
    """A catalog of its own, with a device that attests, hub devices, and documents of each kind."""
    name = service.make_catalog(f"Find{uuid.uuid4().hex[:6]}", product="Zqfreezer", symmetric_keys=True)
    device = service.make_device()
    place = {"product": "Zqfreezer", "group": "Production"}
    service.service.registry.devices.claim(name, [device.device_id], actor="test", **place)
    named = service.call("PUT", f"/api/v1/devices/{device.device_id}/name", {"name": "Zqnorth hall 2"})
    assert named.status == 200
    for number in range(3):
        body = {"device_id": f"Zqplant-{number}", "authentication": "sas", "name": f"Zqpump {number}"}
        assert service.call("POST", f"/api/v1/catalogs/{name}/hub-devices", body).status == 200
    rule = {"name": "Zqwarm", "conditions": [{"telemetry": "t", "op": ">", "value": 1}], "catalog": name}
    board = {"name": "Zqübersicht 100%", "tiles": [], "catalog": name}
    segment = {"name": "Zqwarm ones", "filters": [], "catalog": name}
    for path, body in (("rules/zq-a", rule), ("dashboards/zq-b", board), ("groups/zq-c", segment)):
        answer = service.call("PUT", f"/api/v1/{path}", body)
        assert answer.status == 200, answer.body
    return name


def find(service: RunningService, q: str, **query: Any) -> dict[str, Any]:
    answer = service.call("GET", f"/api/v1/search?{urlencode({'q': q, **query})}")
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.body
    return found


def names(found: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["kind"], each["name"]) for each in found["items"]]


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("zqNORTH", "device", "Zqnorth hall 2"),
        ("hall 2", "device", "Zqnorth hall 2"),
        ("Zqplant-1", "hub-device", "Zqpump 1"),
        ("zqpump 2", "hub-device", "Zqpump 2"),
        ("qwarm", "rule", "Zqwarm"),
        ("zq-a", "rule", "Zqwarm"),
        ("qwarm ones", "group", "Zqwarm ones"),
        ("Zqü", "dashboard", "Zqübersicht 100%"),
        ("00%", "dashboard", "Zqübersicht 100%"),
        ("qfreez", "product", "Zqfreezer"),
        ("  zqfreezer ", "device", "Zqnorth hall 2"),
    ],
)
def test_it_is_found(service: RunningService, owner: str, text: str, kind: str, name: str) -> None:
    assert (kind, name) in names(find(service, text, catalog=owner))


def test_a_catalog_its_groups_and_an_id_by_its_first_digits(service: RunningService, owner: str) -> None:
    assert ("catalog", owner) in names(find(service, owner[2:], catalog=owner))
    groups = [each for each in find(service, "production", catalog=owner)["items"] if each["kind"] == "device-group"]
    assert [(each["catalog"], each["product"], each["group"]) for each in groups] == [
        (owner, "Zqfreezer", each) for each in ("Production", "Production OS Evaluation")
    ]
    device = next(each for each in find(service, "zqnorth", catalog=owner)["items"])
    for digits in (device["id"], device["id"][:6].upper()):
        assert ("device", "Zqnorth hall 2") in names(find(service, digits, catalog=owner))
    release = service.call("GET", "/api/v1/releases").body["items"][0]
    for text in (release["release_id"][:8], release["version"]):
        assert release["release_id"] in [each["id"] for each in find(service, text, kind="release")["items"]]


def test_it_is_bounded_and_says_how_many_there_are(service: RunningService, owner: str) -> None:
    found = find(service, "zqpump", catalog=owner, limit=2, kind="device")
    assert names(found) == [("hub-device", "Zqpump 0"), ("hub-device", "Zqpump 1")]
    assert found["kinds"] == [{"kind": "device", "count": 3, "is_cut": False}]
    for number in range(MAX_COUNTED + 2):
        body = {"name": f"Zqmany {number:03}", "tiles": [], "catalog": owner}
        assert service.call("PUT", f"/api/v1/dashboards/zqmany-{number}", body).status == 200
    found = find(service, "zqmany", catalog=owner, limit=1)
    assert found["kinds"] == [{"kind": "dashboard", "count": MAX_COUNTED, "is_cut": True}]
    assert len(find(service, "zqmany", catalog=owner, kind="dashboard", limit=MAX_COUNTED)["items"]) == MAX_COUNTED


def test_a_character_of_the_query_language_means_itself(service: RunningService, owner: str) -> None:
    assert names(find(service, "100%", catalog=owner)) == [("dashboard", "Zqübersicht 100%")]
    assert names(find(service, "%", catalog=owner)) == [("dashboard", "Zqübersicht 100%")]
    for text in ("zq%b", "z_-b", "'; drop table device; --", "\\"):
        assert find(service, text, catalog=owner)["items"] == [], text


@pytest.mark.parametrize(
    "query",
    ["", "q=", "q=%20", "q=a%00b", f"q={'x' * 129}", "q=a&kind=person", "q=a&limit=0", "q=a&limit=101", "q=a&q=b"],
)
def test_bad_input_is_one_clear_error(service: RunningService, query: str) -> None:
    answer = service.call("GET", f"/api/v1/search?{query}")
    assert answer.status == 400, answer.body
    assert answer.body["detail"]


def test_every_kind_is_described_in_the_console(service: RunningService) -> None:
    from armillary.console.search.pages_search import WORDS  # noqa: PLC0415

    assert tuple(WORDS) == KINDS
    assert find(service, "zznobodyiscalledso") == {"text": "zznobodyiscalledso", "items": [], "kinds": [], "next": None}
