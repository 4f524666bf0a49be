# SPDX-License-Identifier: Apache-2.0
"""A token of one catalog and other owners' device groups: it sees its own devices only, and changes nobody else's."""

from __future__ import annotations

import pytest
from tests.api.running_service import RunningService, fresh
from tests.attacks.owners import Owner

from armillary.platform.authored import documents
from armillary.platform.authored.documents import AuthoredDocuments
from armillary.platform.authored.groups import Groups


def ids(who: Owner, path: str, body: object = None) -> set[str]:
    reply = who.call("GET" if body is None else "POST", f"{path}?limit=1000&catalog={who.name}", body)
    assert reply.status == 200, reply.raw
    return {each["device_id"] for each in reply.body["items"]}


def test_each_sees_own_devices_whatever_the_group_says(service: RunningService, alice: Owner, bob: Owner) -> None:
    shared = fresh("shared")
    assert service.call("PUT", f"/api/v1/groups/{shared}", {"name": "Everything"}).status == 200
    for mine, theirs in ((alice, bob), (bob, alice)):
        assert ids(mine, f"/groups/{shared}/members") == {mine.device.device_id}
        anyone = {
            "name": "x",
            "filters": [{"field": "device:id", "operator": "contains", "value": "a"}],
            "match": "any",
        }
        assert ids(mine, "/group-preview", anyone) <= {mine.device.device_id}
        assert ids(mine, "/group-preview", {"name": "x", "catalog": theirs.name}) == set()
        assert mine.call("GET", f"/groups/{shared}/members").status == 403
        assert mine.call("GET", f"/groups/{shared}/members?catalog={theirs.name}").status == 404
        both = f"/groups/{shared}/members?catalog={theirs.name}&catalog={mine.name}"
        assert mine.call("GET", both).status == 400
    everybody = service.call("GET", f"/api/v1/groups/{shared}/members?limit=1000").body["items"]  # the control
    assert {alice.device.device_id, bob.device.device_id} <= {each["device_id"] for each in everybody}


def test_nobody_changes_a_group_of_another_or_of_all(service: RunningService, alice: Owner, bob: Owner) -> None:
    mine, shared = fresh("mine"), fresh("shared")
    service.call("PUT", f"/api/v1/groups/{shared}", {"name": "Everything"})
    own = f"catalog={alice.name}"
    made = alice.call("PUT", f"/groups/{mine}?{own}", {"name": "Mine"})
    assert (made.status, made.body["body"]["catalog"]) == (200, alice.name)
    for place in (mine, shared):
        expected = 404 if place == mine else 403
        taken = 409 if place == mine else expected  # by whom is not said
        assert bob.call("PUT", f"/groups/{place}?catalog={bob.name}", {"name": "Yours"}).status == taken
        assert bob.call("DELETE", f"/groups/{place}?catalog={bob.name}").status == expected
    assert bob.call("GET", f"/groups/{mine}?catalog={bob.name}").status == 404
    listed = {each["id"] for each in bob.call("GET", f"/groups?limit=1000&catalog={bob.name}").body["items"]}
    assert shared in listed
    assert mine not in listed
    assert bob.call("PUT", f"/groups/new?catalog={bob.name}", {"name": "x", "catalog": alice.name}).status == 400
    assert bob.call("PUT", f"/groups/new?catalog={bob.name}", {"name": "x", "catalog": None}).status == 400
    assert alice.call("PUT", f"/groups/{mine}?{own}", {"name": "Still mine"}).status == 200  # the control
    assert alice.call("DELETE", f"/groups/{mine}?{own}").status == 200


def test_without_the_checks_the_attacks_get_through(
    service: RunningService, alice: Owner, bob: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = fresh("mine")
    alice.call("PUT", f"/groups/{mine}?catalog={alice.name}", {"name": "Mine"})
    monkeypatch.setattr(AuthoredDocuments, "check_owned", lambda *_: None)
    monkeypatch.setattr(AuthoredDocuments, "owned_version", lambda *_: None)
    monkeypatch.setattr(documents, "is_visible", lambda *_: True)
    assert bob.call("DELETE", f"/groups/{mine}?catalog={bob.name}").status == 200
    scan = Groups.scan
    monkeypatch.setattr(
        Groups, "scan", lambda self, group, **options: scan(self, group, **{**options, "catalog": None})
    )
    assert ids(bob, "/group-preview", {"name": "x", "catalog": alice.name}) == {alice.device.device_id}
