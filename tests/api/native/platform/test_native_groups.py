# SPDX-License-Identifier: Apache-2.0
"""Native routes of device groups: kept, changed, found; members over pages; what a token of one catalog gets."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from tests.api.native.platform.test_native_rules import hot
from tests.api.running_service import RunningService, fresh
from tests.twin.template.test_template import BODY

GROUPS = "/api/v1/groups"


def devices(service: RunningService, catalog: str, count: int) -> list[str]:
    return sorted(service.claimed(catalog).device_id for _ in range(count))


def members(service: RunningService, group: str, query: str = "", **options: Any) -> list[str]:
    reply = service.call("GET", f"{GROUPS}/{group}/members?limit=1000{query}", **options)
    assert reply.status == 200, reply.raw
    return [each["device_id"] for each in reply.body["items"]]


def test_members_are_who_meets_the_filters_now(service: RunningService, catalog: str) -> None:
    first, second, third = devices(service, catalog, 3)
    group = fresh("warm")
    body = {
        "name": "Warm",
        "catalog": catalog,
        "filters": [
            {"field": "desired:limit", "operator": "gt", "value": 5},
            {"field": "device:health", "operator": "eq", "value": "never"},
        ],
    }
    made = service.call("PUT", f"{GROUPS}/{group}", body)
    assert (made.status, made.body["version"], made.body["body"]) == (200, 1, body)
    assert members(service, group) == []
    for each, limit in ((first, 6), (second, 4), (third, 7)):
        service.hub.twins.change(each, desired={"limit": limit})
    assert members(service, group) == [first, third]
    shown = service.call("GET", f"{GROUPS}/{group}/members").body["items"][0]
    assert shown["values"] == {"desired:limit": 6, "device:health": "never"}
    assert (shown["catalog"], shown["device_group"], shown["connected"]) == (catalog, "Production", False)
    service.hub.twins.change(first, desired={"limit": None})
    service.service.registry.lifecycle.revoke(third, actor="test", reason="test")
    assert members(service, group) == []
    preview = {**body, "filters": [{"field": "device:health", "operator": "eq", "value": "revoked"}]}
    found = service.call("POST", "/api/v1/group-preview", preview).body["items"]
    assert [each["device_id"] for each in found] == [third]


def test_cloud_properties_and_templates(service: RunningService, catalog: str) -> None:
    first, second = devices(service, catalog, 2)
    for each, site in ((first, "north"), (second, "south")):
        service.platform.documents.put(
            "device", each, {"template": "sensor", "version": 2, "cloud": {"site": site}}, by="t"
        )
    body = {
        "name": "North",
        "catalog": catalog,
        "template": "sensor",
        "filters": [{"field": "cloud:site", "operator": "eq", "value": "north"}],
    }
    group = fresh("north")
    service.call("PUT", f"{GROUPS}/{group}", body)
    assert members(service, group) == [first]
    service.call("PUT", f"{GROUPS}/{group}", {**body, "template": "gateway"})
    assert members(service, group) == []


def test_pages_of_members_are_complete_and_cost_no_read_a_device(
    service: RunningService, catalog: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = devices(service, catalog, 7)
    monkeypatch.setattr("armillary.platform.authored.device_facts.CHUNK", 3)  # several chunks
    group = fresh("all")
    service.call("PUT", f"{GROUPS}/{group}", {"name": "All", "catalog": catalog})
    found, after = [], ""
    while True:
        page = service.call("GET", f"{GROUPS}/{group}/members?limit=2{after and '&after=' + after}").body
        found += [each["device_id"] for each in page["items"]]
        if page["next"] is None:
            break
        after = page["next"]
    assert found == made
    every = service.call("PUT", f"{GROUPS}/{group}", {"name": "All"})
    assert every.status == 200
    assert set(made) <= set(members(service, group))
    reads: list[object] = []
    directory = service.platform.directory
    monkeypatch.setattr("armillary.platform.authored.device_facts.CHUNK", 10_000)  # all devices of this service

    class Counting:
        def page(self, **chosen: Any) -> Any:
            reads.append(chosen)
            return directory.page(**chosen)

        def of(self, device_ids: Any) -> Any:
            reads.append(device_ids)
            return directory.of(device_ids)

    monkeypatch.setattr(service.platform.groups._reader, "_directory", Counting())
    counts = []
    for _ in range(5):  # what exports and rules of this service read meanwhile is counted too, but not every time
        reads.clear()
        assert len(members(service, group)) >= 7
        counts.append(len(reads))
    assert min(counts) <= 2


def test_groups_are_listed_changed_by_who_has_seen_them_and_deleted(service: RunningService, catalog: str) -> None:
    group = fresh("group")
    path = f"{GROUPS}/{group}"
    first = service.call("PUT", path, {"name": "One", "catalog": catalog}, headers={"If-Match": '""'}).body
    assert service.call("PUT", path, {"name": "Two"}, headers={"If-Match": "d-0"}).status == 412
    second = service.call("PUT", path, {"name": "Two"}, headers={"If-Match": first["etag"]})
    assert (second.status, second.body["version"]) == (200, 2)
    assert group in [each["id"] for each in service.call("GET", f"{GROUPS}?limit=1000").body["items"]]
    assert service.call("GET", path).body["body"]["name"] == "Two"
    for bad in ({}, {"name": 1}, {"name": "x", "filters": [{"field": "x"}]}, {"name": "x", "y": 1}):
        assert service.call("PUT", path, bad).status == 400
    assert service.call("PUT", f"{GROUPS}/No%20Id", {"name": "x"}).status == 400
    assert service.call("DELETE", path).status == 200
    assert service.call("GET", path).status == 404
    lines = [line["operation"] for line in service.call("GET", "/api/v1/audit?limit=20").body["items"]]
    assert {"group.put", "group.delete"} <= set(lines)


def test_a_device_that_nobody_owns_is_in_no_group_and_one_only_the_hub_knows_is(
    service: RunningService, catalog: str
) -> None:
    unclaimed = service.make_device().device_id
    simulated = "0" * 100 + uuid.uuid4().hex[:28]
    hub = service.hub
    for each in (unclaimed, simulated):
        hub.series.commits.submit(hub.series.restoring.devices([each])).result(10)
    groups = service.platform.groups
    service.call("PUT", f"{GROUPS}/{(group := fresh('every'))}", {"name": "Every"})
    found = groups.ids(group)
    assert simulated in found
    assert unclaimed not in found
    assert simulated not in groups.ids(group, catalog=catalog)


def test_a_group_that_something_uses_is_deleted_by_force_only(service: RunningService, catalog: str) -> None:
    group, job, other = fresh("used"), fresh("job"), service.make_catalog(fresh("other"))
    path = f"{GROUPS}/{group}"
    service.call("PUT", path, {"name": "Used", "catalog": catalog})
    tile = {"id": "now", "kind": "kpi", "title": "Flow", "value": "flow", "x": 0, "y": 0, "w": 4, "h": 3}
    board = {"name": "Water", "catalog": catalog, "tiles": [{**tile, "source": {"group": group}}]}
    theirs = {
        "name": "Theirs",
        "catalog": other,
        "target": {"group": group},
        "conditions": [{"telemetry": "flow", "op": ">", "value": 1}],
    }
    action = {"kind": "set-property", "properties": {"a": 1}}
    rule = {**theirs, "name": "Flows", "catalog": catalog, "actions": [{"name": "go", "kind": "job", "job": job}]}
    for place, body in (
        (f"dashboards/{group}", board),
        (f"jobs/{job}", {"name": "Slow", "catalog": catalog, "group": group, "action": action}),
        (f"exports/{group}", {
            "name": "Out", "catalog": catalog, "group": group, "source": "telemetry", "enabled": False,
            "destination": {"kind": "file"},
        }),
        (f"rules/{group}", rule),
        (f"rules/{other}", theirs),
    ):  # fmt: skip
        answer = service.call("PUT", f"/api/v1/{place}", body)
        assert answer.status == 200, answer.body
    mine = ['dashboard "Water" (tile "Flow")', 'export "Out"', 'job "Slow"', 'rule "Flows"']
    uses = service.call("GET", f"{path}/uses?catalog={catalog}").body
    assert [each["words"] for each in uses["items"]] == mine
    everybodys = service.call("GET", f"{path}/uses").body["items"]
    assert {each["words"] for each in everybodys} == {*mine, 'rule "Theirs"'}
    refused = service.call("DELETE", f"{path}?catalog={catalog}")
    assert (refused.status, refused.body["code"]) == (409, "request.conflict")
    assert all(each in refused.body["detail"] for each in mine)
    assert "Theirs" not in str(refused.body)  # another owner's rule is not named
    assert service.call("GET", path).status == 200
    held = service.call("DELETE", f"/api/v1/jobs/{job}?catalog={catalog}")
    assert (held.status, 'rule "Flows" (action "go")' in held.body["detail"]) == (409, True)
    assert [each["id"] for each in service.call("GET", f"/api/v1/jobs/{job}/uses").body["items"]] == [group]
    for place in (f"dashboards/{group}", f"exports/{group}", f"rules/{group}", f"jobs/{job}"):
        assert service.call("DELETE", f"/api/v1/{place}?catalog={catalog}").status == 200
    # Another owner's rule keeps nobody from deleting what is his, and everybody is told of it.
    assert service.call("DELETE", path).status == 409
    assert service.call("DELETE", f"{path}?force=true").status == 200
    service.call("PUT", path, {"name": "Used", "catalog": catalog})
    assert service.call("DELETE", f"{path}?catalog={catalog}").status == 200
    service.call("DELETE", f"/api/v1/rules/{other}")
    assert service.call("GET", f"{path}/uses").status == 404
    assert service.call("GET", "/api/v1/templates/nothing/uses?value=flow").status == 404


def test_if_none_match_makes_something_new_and_changes_nothing(service: RunningService, catalog: str) -> None:
    """Every document that has a version; what is there already is refused with 412 and stays (RFC 9110 §13.1.2)."""
    hook = {"kind": "webhook", "url": "https://example.com/in"}
    bodies: dict[str, Any] = {
        "groups": {"name": "x", "filters": []},
        "exports": {"name": "x", "source": "telemetry", "destination": hook, "enabled": False},
        "dashboards": {"name": "x", "tiles": []},
        "rules": hot(catalog),
        "templates": BODY,
    }
    for noun, body in bodies.items():
        path, only_new = f"/api/v1/{noun}/{fresh('new')}", {"If-None-Match": "*"}
        first = service.call("PUT", path, body, headers=only_new)
        assert first.status == 200, (noun, first.raw)
        again = service.call("PUT", path, body if noun == "templates" else {**body, "name": "other"}, headers=only_new)
        assert (again.status, again.body["code"]) == (412, "request.precondition"), (noun, again.raw)
        assert service.call("GET", path).body["etag"] == first.body["etag"], noun
        for headers in ({**only_new, "If-Match": "*"}, {"If-None-Match": first.body["etag"]}):
            assert service.call("PUT", path, body, headers=headers).status == 400, noun
        assert service.call("PUT", path, body, headers={"If-Match": first.body["etag"]}).status == 200  # the control
