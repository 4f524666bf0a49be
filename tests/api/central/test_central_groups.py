# SPDX-License-Identifier: Apache-2.0
"""Device groups in IoT Central's shape over the real API."""

from __future__ import annotations

import pytest
from tests.api.central_client import Central, make_template
from tests.api.running_service import RunningService, fresh

WHERE = "SELECT * FROM devices WHERE "


@pytest.fixture(scope="module")
def central(service: RunningService) -> Central:
    return Central.new(service, "Groups")


def test_a_group_is_made_changed_listed_and_has_its_devices(central: Central) -> None:
    template = make_template(central)
    names = [fresh(f"fan{n}") for n in range(3)]
    for n, name in enumerate(names):
        central.good("PUT", f"/devices/{name}", {"template": template})
        central.good("PATCH", f"/devices/{name}/properties", {"fanSpeed": n * 10.0, "Customer": f"C{n}"}, status=202)
    other = fresh("other")
    central.good("PUT", f"/devices/{other}", {})
    identity = f"{fresh('myGroup')}X"
    text = WHERE + f'$template = "{template}" AND fanSpeed >= 10 AND Customer != "C9"'
    body = {"displayName": "Fast fans", "description": "All of them", "filter": text}
    made = central.good("PUT", f"/deviceGroups/{identity}", body)
    assert made == {**body, "id": identity, "organizations": [], "etag": made["etag"]}
    assert central.good("GET", f"/deviceGroups/{identity}") == made
    assert made in central.good("GET", "/deviceGroups?maxpagesize=100")["value"]
    found = central.good("GET", f"/deviceGroups/{identity}/devices?maxpagesize=1")
    assert [each["id"] for each in found["value"]] == names[1:2]
    assert "nextLink" in found
    assert found["value"][0] == central.good("GET", f"/devices/{names[1]}")
    found = central.good("GET", f"/deviceGroups/{identity}/devices")
    assert [each["id"] for each in found["value"]] == sorted(names[1:])
    kept = central.service.platform.documents.get("group", central.service.platform.documents.list(
        "group", prefix=identity.lower()).items[0].id).content  # fmt: skip
    assert (kept["catalog"], kept["filters"][1]["field"]) == (central.catalog, "cloud:Customer")

    patch = {"filter": WHERE + f'$template = "{template}" AND ($provisioned = true OR fanSpeed = 0)'}
    changed = central.good("PATCH", f"/deviceGroups/{identity}", patch, headers={"If-Match": made["etag"]})
    assert (changed["filter"], changed["displayName"]) == (patch["filter"], "Fast fans")
    central.good("GET", f"/devices/{names[2]}/credentials")  # makes its keys
    found = central.good("GET", f"/deviceGroups/{identity}/devices")["value"]
    assert sorted(each["id"] for each in found) == sorted((names[0], names[2]))
    central.refused("PATCH", f"/deviceGroups/{identity}", {}, status=412, headers={"If-Match": made["etag"]})
    central.good("DELETE", f"/deviceGroups/{identity}", status=204)
    central.refused("GET", f"/deviceGroups/{identity}", status=404)


def test_what_a_group_cannot_say_is_refused_and_nothing_is_kept(central: Central) -> None:
    name = fresh("group")
    good = {"displayName": "x", "filter": "SELECT * FROM devices"}
    for change, word in (
        ({"filter": "SELECT * FROM devices WHERE (a = 1 AND b = 2) OR c = 3"}, "nested"), ({"filter": None}, "filter"),
        ({"filter": 'SELECT * FROM devices WHERE $template = "dtmi:no:such;1"'}, "template"), ({"displayName": ""}, "name"),
        ({"organizations": ["x"]}, "organizations"), ({"colour": 1}, "colour"), ({"id": "y"}, "id"),
    ):  # fmt: skip
        reply = central.call("PUT", f"/deviceGroups/{name}", {**good, **change})
        assert reply.status in (400, 404), change
        assert word in reply.body["error"]["message"]
        central.refused("GET", f"/deviceGroups/{name}", status=404)
    for wrong in ("_x", "a..b", "x" * 129):
        central.refused("PUT", f"/deviceGroups/{wrong}", good, status=400)
    central.refused("GET", "/deviceGroups/A.b", status=404)


def test_groups_of_others_and_of_all(central: Central) -> None:
    service = central.service
    theirs, everyones = fresh("theirs"), fresh("all")
    boss = Central.new(service, "Other")
    body = {
        "displayName": "x",
        "filter": 'SELECT * FROM devices WHERE $device.health = "attested" AND $tag.a CONTAINS "b"',
    }
    assert boss.good("PUT", f"/deviceGroups/{theirs}", body)["filter"] == body["filter"]
    shared = {"name": "all", "filters": [{"field": "telemetry:a b", "operator": "gt", "value": 1}]}
    assert service.call("PUT", f"/api/v1/groups/{everyones}", shared).status == 200
    for method, given in (("GET", None), ("PUT", body), ("PATCH", {}), ("DELETE", None)):
        taken = 409 if method == "PUT" else 404  # by whom is not said
        central.refused(method, f"/deviceGroups/{theirs}", given, status=taken)
    assert central.good("GET", f"/deviceGroups/{everyones}")["filter"].endswith("WHERE $telemetry.`a b` > 1")
    for method, given in (("PUT", body), ("PATCH", {"displayName": "y"}), ("DELETE", None)):
        central.refused(method, f"/deviceGroups/{everyones}", given, status=403)
    ids = {each["id"] for each in central.good("GET", "/deviceGroups?maxpagesize=100")["value"]}
    assert everyones in ids
    assert theirs not in ids
