# SPDX-License-Identifier: Apache-2.0
"""Every route that keeps a name refuses one that cannot be seen; what is not there is the same for every token."""

from __future__ import annotations

import json

from tests.api.running_service import RunningService, fresh

NAMES = {"   ": "blank", "a\u202eb": "U+202E", "a\u200bb": "U+200B", "a\u2028b": "U+2028", "\ufeffa": "U+FEFF"}
AZURE = "?api-version=2024-04-01"


def test_a_name_that_cannot_be_seen_is_refused_wherever_people_give_one(service: RunningService, catalog: str) -> None:
    where = {"kind": "webhook", "url": "https://example.com/"}
    group = fresh("named")
    assert (
        service.call("PUT", f"/api/v1/groups/{group}", {"name": "g", "catalog": catalog, "filters": []}).status == 200
    )
    bodies = {
        "groups": {"catalog": catalog, "filters": []},
        "rules": {"catalog": catalog, "conditions": [{"telemetry": "t", "op": ">", "value": 1}]},
        "dashboards": {"catalog": catalog, "tiles": []},
        "jobs": {"catalog": catalog, "group": group, "action": {"kind": "command", "command": "x"}},
        "exports": {"catalog": catalog, "source": "telemetry", "destination": where},
        "organisations": {"catalog": catalog},
    }
    for place, body in bodies.items():
        path = f"/api/v1/{place}/{fresh('named')}"
        for name, said in NAMES.items():
            reply = service.call("PUT", path, {**body, "name": name})
            assert (reply.status, said in reply.body["detail"]) == (400, True), (place, name, reply.body)
        reply = service.call("PUT", path, {**body, "name": "fine", "description": "a\x07"})
        assert reply.status == 400, (place, reply.body)
        assert service.call("GET", f"{path}?catalog={catalog}").status == 404
    for name, said in NAMES.items():
        reply = service.call("POST", "/api/v1/tokens", {"name": name, "role": "Reader"})
        assert (reply.status, said in reply.body["detail"] or "printable" in reply.body["detail"]) == (400, True), name
    product = service.azure("PUT", f"/{catalog}/products/Tea", {"properties": {"description": "a\u202eb"}})
    assert (product.status, "U+202E" in product.body["error"]["message"]) == (400, True)


def test_several_lines_are_a_description_and_an_old_name_may_stay(service: RunningService, catalog: str) -> None:
    path = f"/api/v1/groups/{fresh('named')}"
    body = {"name": "fine", "description": "one\ntwo", "catalog": catalog, "filters": []}
    assert service.call("PUT", path, body).body["body"]["description"] == "one\ntwo"
    old = {**body, "name": "   "}
    service.platform.documents.put("group", path.rpartition("/")[2], old, by="an older program")
    assert service.call("PUT", path, {**old, "description": "changed"}).status == 200
    assert service.call("PUT", path, {**old, "name": "    "}).status == 400
    files = {f"group/{path.rpartition('/')[2]}.json": json.dumps({**old, "description": "imported"})}
    exported = service.call("GET", "/api/v1/application").body
    brought = service.call("POST", "/api/v1/application/import", {**exported, "files": files})
    assert brought.status == 200, brought.raw  # as it stands there already


def test_what_is_not_there_is_the_same_for_a_token_of_one_catalog(service: RunningService, catalog: str) -> None:
    token = service.service.tokens.create("of-one", "Administrator", actor="test", catalog=catalog).secret
    for method, path, status in (
        ("POST", "/api/v1/me", 405),
        ("DELETE", "/api/v1/status", 405),
        ("GET", "/api/v1/x//y", 404),
        ("GET", "/subscriptions/nothing", 404),
    ):
        replies = [service.call(method, path + AZURE, token=each) for each in (token, service.token)]
        assert [each.status for each in replies] == [status, status], (method, path, replies[0].raw)
        assert b"rest:path" not in replies[0].raw
    assert service.call("GET", "/api/v1/status", token=token).status == 403
