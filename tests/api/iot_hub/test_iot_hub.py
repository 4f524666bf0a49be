# SPDX-License-Identifier: Apache-2.0
"""The service API in IoT Hub's shape without its client: signatures, scopes, bodies, pages, and the console beside it."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

import pytest
from tests.api.running_service import Reply, RunningService, fresh, own_service

from armillary.api.iot_hub import fleet as iot_hub_fleet
from armillary.wire.hub.sas_token import decode_key, encode_key, sign_sas_token

VERSION = "api-version=2021-04-12"

service = own_service("Contoso", "Fabrikam", admits={"symmetric_keys": True})


def make_key(service: RunningService, catalog: str, role: str) -> tuple[str, bytes]:
    body = {"name": fresh("k"), "role": role}
    made = service.call("POST", f"/api/v1/catalogs/{catalog}/hub-service-keys", body)
    assert made.status == 200, made.body
    return body["name"], decode_key(made.body["key"])


class Tool:
    """A caller with a service key."""

    def __init__(self, service: RunningService, catalog: str = "Contoso", role: str = "Contributor") -> None:
        self.service = service
        self.name, self.key = make_key(service, catalog, role)

    def signature(self, *, ends_in_s: int = 600) -> str:
        return sign_sas_token(f"localhost:{self.service.port}", self.key, int(time.time()) + ends_in_s, self.name)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        sent = {"Authorization": self.signature(), **{name.replace("_", "-"): value for name, value in headers.items()}}
        mark = "&" if "?" in path else "?"
        return self.service.call(method, f"{path}{mark}{VERSION}", body, token=None, headers=sent)

    def pages(self, query: str, size: int) -> list[list[dict[str, Any]]]:
        """What a query finds, page after page."""
        found, token = [], ""
        while not found or token:
            page = self.call(
                "POST", "/devices/query", {"query": query}, x_ms_max_item_count=str(size), x_ms_continuation=token
            )
            found.append(page.body)
            token = page.headers.get("x-ms-continuation", "")
        return found


@pytest.fixture(scope="module")
def tool(service: RunningService) -> Tool:
    return Tool(service)


@pytest.fixture
def name() -> str:
    return fresh("d")


def test_a_device_is_made_read_changed_and_deleted(tool: Tool, name: str) -> None:
    made = tool.call("PUT", f"/devices/{name}", {"deviceId": name})
    assert made.status == 200, made.raw
    assert made.body["authentication"]["symmetricKey"]["primaryKey"]
    assert made.headers["ETag"] == f'"{made.body["etag"]}"'
    got = tool.call("GET", f"/devices/{name}")
    assert got.body["authentication"]["symmetricKey"] == {"primaryKey": None, "secondaryKey": None}
    assert tool.call("PUT", f"/devices/{name}", {"deviceId": name}).status == 409
    disabled = {"deviceId": name, "status": "disabled", "statusReason": "lost"}
    stale = tool.call("PUT", f"/devices/{name}", disabled, If_Match='"bm90aGluZw=="')
    assert (stale.status, stale.headers["iothub-errorcode"]) == (412, "PreconditionFailed")
    changed = tool.call("PUT", f"/devices/{name}", disabled, If_Match=made.headers["ETag"])
    assert (changed.status, changed.body["status"]) == (200, "disabled")
    assert tool.call("DELETE", f"/devices/{name}", If_Match="*").status == 204
    gone = tool.call("GET", f"/devices/{name}")
    assert gone.status == 404
    assert gone.body["Message"].startswith("ErrorCode:DeviceNotFound;")


def test_keys_are_shown_to_a_service_key_that_reveals_them_and_to_nobody_else(
    service: RunningService, tool: Tool, name: str
) -> None:
    body = {"name": f"k-{name}", "role": "Contributor", "reveals_keys": True}
    made = service.call("POST", "/api/v1/catalogs/Contoso/hub-service-keys", body).body
    assert made["reveals_keys"] is True
    revealing = Tool(service)
    revealing.name, revealing.key = made["name"], decode_key(made["key"])
    stranger = Tool(service, "Fabrikam")
    for device, kind in ((name, "sas"), (f"{name}-x", "selfSigned")):
        form = {"authentication": {"type": kind, "x509Thumbprint": {"primaryThumbprint": "A" * 64}}}
        assert tool.call("PUT", f"/devices/{device}", form).status == 200
    assert tool.call("PUT", f"/devices/{name}/modules/camera", {}).status == 200
    absent = tool.call("GET", f"/devices/{name}/modules/lamp").body["Message"]
    assert f"device '{name}' has no module 'lamp', or does not exist. List" in absent

    def keys(tool: Tool, path: str) -> Any:
        return tool.call("GET", path).body["authentication"]["symmetricKey"]

    nothing = {"primaryKey": None, "secondaryKey": None}
    shown = {path: keys(revealing, path) for path in (f"/devices/{name}", f"/devices/{name}/modules/camera")}
    identities = service.service.hub_access.identities
    for path, identity in zip(shown, (name, f"{name}/camera"), strict=True):
        primary, secondary = map(encode_key, identities.keys_of(identities.get(identity)))
        assert shown[path] == {"primaryKey": primary, "secondaryKey": secondary}
        assert keys(tool, path) == nothing
        assert stranger.call("GET", path).status == 404
        token = {"Authorization": f"Bearer {service.token}"}  # not even to an administrator's token
        answer = service.call("GET", f"{path}?{VERSION}", token=None, headers=token)
        assert (answer.status, b"primaryKey" in answer.raw, primary.encode() in answer.raw) in (
            (200, True, False),
            (400, False, False),  # it is for all catalogs
        )
    assert keys(revealing, f"/devices/{name}-x") == nothing
    listed = {each["deviceId"]: each["authentication"] for each in revealing.call("GET", "/devices").body}
    assert listed[name]["symmetricKey"] == shown[f"/devices/{name}"]
    (module,) = revealing.call("GET", f"/devices/{name}/modules").body
    assert module["authentication"]["symmetricKey"] == shown[f"/devices/{name}/modules/camera"]
    lines = [each for each in service.service.audit.list(limit=20).items if each.operation == "hub-device.show-keys"]
    assert {each.target for each in lines} >= {name, f"{name}/camera"}
    assert all(each.actor == f"hub-service-key k-{name}" for each in lines)
    refused = service.call(
        "POST", "/api/v1/catalogs/Contoso/hub-service-keys", {**body, "name": f"r-{name}", "role": "Reader"}
    )
    assert (refused.status, "reveals_keys" in refused.body["detail"]) == (400, True)


def test_only_a_good_signature_gets_in(service: RunningService, tool: Tool) -> None:
    honest = tool.signature()
    other = Tool(service, "Fabrikam")
    attacks = {
        "expired": tool.signature(ends_in_s=-1),
        "edited": honest.replace("&se=", "&se=9"),
        "another key's name": honest.replace(tool.name, other.name),
        "no key": sign_sas_token("localhost", b"x" * 32, int(time.time()) + 60, tool.name),
        "unknown name": sign_sas_token("localhost", tool.key, int(time.time()) + 60, "nobody"),
        "nameless": sign_sas_token("localhost", tool.key, int(time.time()) + 60),
        "garbage": "SharedAccessSignature x",
        "endless": tool.signature(ends_in_s=10**9),
    }

    def status(header: str, path: str = f"/devices?{VERSION}") -> int:
        return service.call("GET", path, token=None, headers={"Authorization": header}).status

    assert status(honest) == 200
    for what, header in attacks.items():
        assert status(header) == 401, what
    # A signature opens nothing but routes in IoT Hub's shape.
    for path in ("/api/v1/devices", "/api/v1/tokens", "/subscriptions/0/providers/Microsoft.AzureSphere/catalogs"):
        assert status(honest, path) == 401, path


def test_roles_and_catalogs_hold(service: RunningService, tool: Tool, name: str) -> None:
    reader, other = Tool(service, role="Reader"), Tool(service, "Fabrikam")
    tool.call("PUT", f"/devices/{name}", {})
    assert reader.call("GET", f"/devices/{name}").status == 200
    for method, path in (("PUT", "/devices/x"), ("PATCH", f"/twins/{name}"), ("DELETE", f"/devices/{name}")):
        assert reader.call(method, path, {}).status == 403
    for method, path in (
        ("GET", f"/devices/{name}"), ("DELETE", f"/devices/{name}"), ("GET", f"/twins/{name}"),
        ("PATCH", f"/twins/{name}"), ("GET", f"/devices/{name}/modules"), ("POST", f"/twins/{name}/methods"),
        ("DELETE", f"/devices/{name}/commands"), ("PUT", f"/devices/{name}/modules/m"),
    ):  # fmt: skip
        body = {"tags": {}} if method in ("PATCH", "PUT") else {"methodName": "m"} if method == "POST" else None
        assert other.call(method, path, body).status == 404, (method, path)
    assert other.call("PUT", f"/devices/{name}", {}, If_Match="*").status == 404
    assert other.call("GET", "/devices").body == []
    assert other.call("GET", "/statistics/devices").body["totalDeviceCount"] == 0
    # A token of all catalogs has to say which one it means, and cannot here.
    unclear = service.call("GET", f"/devices?{VERSION}")
    assert (unclear.status, "one catalog" in unclear.body["Message"]) == (400, True)


def test_a_device_that_attests_is_shown_and_not_made_here(service: RunningService, tool: Tool) -> None:
    attested = service.make_device().device_id
    assert tool.call("GET", f"/devices/{attested}").status == 404
    service.service.registry.devices.claim("Contoso", [attested], actor="test")
    shown = tool.call("GET", f"/devices/{attested}").body
    assert (shown["authentication"]["type"], shown["status"]) == ("certificateAuthority", "enabled")
    assert tool.call("PUT", f"/devices/{attested}", {}, If_Match="*").status == 400
    assert tool.call("DELETE", f"/devices/{attested}").status == 409
    twin = tool.call("GET", f"/twins/{attested}").body
    assert twin["trustTier"] == "software"
    chosen = tool.call("POST", "/devices/query", {"query": "SELECT deviceId FROM devices WHERE trustTier = 'software'"})
    assert {"deviceId": attested} in chosen.body
    module = {"authentication": {"type": "certificateAuthority"}}
    assert tool.call("PUT", f"/devices/{attested}/modules/edge", module).status == 200
    assert [each["moduleId"] for each in tool.call("GET", f"/devices/{attested}/modules").body] == ["edge"]


def test_a_module_that_is_made_anew_has_nothing_of_an_earlier_one(
    service: RunningService, tool: Tool, name: str
) -> None:
    """One that is there keeps what it has: it is not made a second time."""
    path = f"/devices/{name}/modules/edge"
    twin = f"/twins/{name}/modules/edge"
    tool.call("PUT", f"/devices/{name}", {})
    assert tool.call("PUT", path, {}).status == 200
    tool.call("PATCH", twin, {"properties": {"desired": {"secret": 1}}})
    assert tool.call("PUT", path, {}).status == 409
    assert "secret" in tool.call("GET", twin).body["properties"]["desired"]
    service.service.hub_access.identities.delete(f"{name}/edge", actor="test")  # As when its device changes hands
    assert tool.call("PUT", path, {}).status == 200
    assert "secret" not in tool.call("GET", twin).body["properties"]["desired"]


def test_queries_go_on_where_they_ended(service: RunningService, tool: Tool, name: str) -> None:
    for number in range(7):
        tool.call("PUT", f"/devices/{name}-{number}", {})
        tool.call("PATCH", f"/twins/{name}-{number}", {"tags": {"set": name}})
    query = f"SELECT deviceId FROM devices WHERE tags.set = '{name}'"  # noqa: S608 - no SQL
    found = [each["deviceId"] for page in tool.pages(query, 3) for each in page]
    assert found == [f"{name}-{number}" for number in range(7)]
    count = tool.call("POST", "/devices/query", {"query": query.replace("deviceId", "COUNT() AS n")})
    assert count.body == [{"n": 7}]
    top = query.replace("SELECT", "SELECT TOP 4")
    shown = tool.call("POST", "/devices/query", {"query": top})
    assert [each["deviceId"] for each in shown.body] == found[:4]
    assert [len(page) for page in tool.pages(top, 3)] == [3, 1]
    for device in found[:3]:
        for module in ("camera", "lamp"):
            assert tool.call("PUT", f"/devices/{device}/modules/{module}", {}).status == 200
    tool.call("PATCH", f"/twins/{found[0]}/modules/lamp", {"properties": {"desired": {"on": True}}})
    of = f"startswith(deviceId, '{name}')"
    both = f"SELECT m.deviceId, m.moduleId FROM devices.modules m WHERE {of}"  # noqa: S608 - no SQL
    modules = [(each["deviceId"], each["moduleId"]) for page in tool.pages(both, 4) for each in page]
    assert modules == [(device, module) for device in found[:3] for module in ("camera", "lamp")]
    grouped = f"SELECT moduleId, COUNT() AS n FROM devices.modules WHERE {of} GROUP BY moduleId"  # noqa: S608 - as above
    assert tool.call("POST", "/devices/query", {"query": grouped}).body == [
        {"moduleId": "camera", "n": 3},
        {"moduleId": "lamp", "n": 3},
    ]
    lit = f"SELECT * FROM devices.modules WHERE {of} AND properties.desired.on = true"  # noqa: S608 - as above
    (twin,) = tool.call("POST", "/devices/query", {"query": lit}).body
    assert (twin["deviceId"], twin["moduleId"]) == (found[0], "lamp")
    assert (
        Tool(service, "Fabrikam").call("POST", "/devices/query", {"query": "SELECT * FROM devices.modules"}).body == []
    )
    for headers in ({"x_ms_max_item_count": "0"}, {"x_ms_max_item_count": "x"}, {"x_ms_continuation": "e30="}):
        assert tool.call("POST", "/devices/query", {"query": query}, **headers).status == 400


def test_a_twin_is_changed_as_a_whole_or_not_at_all(tool: Tool, name: str) -> None:
    tool.call("PUT", f"/devices/{name}", {})
    both = {"tags": {"a": 1}, "properties": {"desired": {"x": 1, "$version": 9}}}
    changed = tool.call("PATCH", f"/twins/{name}", both)
    assert (changed.body["tags"], changed.body["properties"]["desired"]["x"]) == ({"a": 1}, 1)
    half = {"tags": {"a": 2}, "properties": {"desired": {"bad.key": 1}}}
    assert tool.call("PATCH", f"/twins/{name}", half).status == 400
    assert tool.call("GET", f"/twins/{name}").body["tags"] == {"a": 1}
    assert tool.call("PATCH", f"/twins/{name}", {}).status == 400
    replaced = tool.call("PUT", f"/twins/{name}", {"tags": {}, "properties": {"desired": {"y": 2}}})
    assert (replaced.body["tags"], "x" in replaced.body["properties"]["desired"]) == ({}, False)


def test_a_section_that_is_null_is_cleared_and_one_that_is_not_there_is_left(tool: Tool, name: str) -> None:
    tool.call("PUT", f"/devices/{name}", {})
    full = {"tags": {"a": 1, "b": {"c": 2}}, "properties": {"desired": {"x": 1, "y": {"z": 2}}}}

    def kept(body: Any) -> tuple[list[str], list[str]]:
        assert tool.call("PUT", f"/twins/{name}", full).status == 200
        changed = tool.call("PATCH", f"/twins/{name}", body)
        assert changed.status == 200, changed.raw
        desired = [key for key in changed.body["properties"]["desired"] if not key.startswith("$")]
        return sorted(changed.body["tags"]), sorted(desired)

    assert kept({"properties": {"desired": None}}) == (["a", "b"], [])
    assert kept({"tags": None}) == ([], ["x", "y"])
    assert kept({"tags": None, "properties": {"desired": {"x": None}}}) == ([], ["y"])
    assert kept({"tags": {"d": 1}, "properties": None}) == (["a", "b", "d"], ["x", "y"])
    before = tool.call("GET", f"/twins/{name}").body
    assert tool.call("PATCH", f"/twins/{name}", {"tags": None, "properties": {"desired": 7}}).status == 400
    assert tool.call("GET", f"/twins/{name}").body == before  # both or neither


def test_bulk_modes_are_written_either_way(tool: Tool, name: str) -> None:
    def ask(mode: Any, **more: Any) -> Reply:
        return tool.call("POST", "/devices", [{"id": name, "importMode": mode, **more}])

    for mode, status, reason in (
        ("Create", "enabled", None), ("Update", "disabled", "lost"), ("UPDATE", "enabled", "found"),
        ("CreateOrUpdate", "disabled", "sold"),
    ):  # fmt: skip
        assert ask(mode, status=status, statusReason=reason).body["isSuccessful"], mode
        got = tool.call("GET", f"/devices/{name}").body
        assert (got["status"], got["statusReason"]) == (status, reason), mode
    for mode in ("updateIfMatchETag", "DeleteIfMatchEtag"):
        for etag in ({}, {"eTag": ""}, {"eTag": None}, {"eTag": 7}):
            (error,) = ask(mode, status="enabled", **etag).body["errors"]
            assert "eTag: expected the device's" in error["errorStatus"], (mode, etag)
        assert not ask(mode, eTag="AAAA").body["isSuccessful"]
    etag = tool.call("GET", f"/devices/{name}").body["etag"]
    assert ask("updateIfMatchETag", eTag=etag, status="enabled", statusReason="back").body["isSuccessful"]
    assert tool.call("GET", f"/devices/{name}").body["statusReason"] == "back"
    for mode in ("UpdateTwin", "remove", 7):
        (error,) = ask(mode).body["errors"]
        assert "importMode: expected create" in error["errorStatus"], mode
    assert ask("DELETE").body["isSuccessful"]
    assert tool.call("GET", f"/devices/{name}").status == 404


def test_two_equal_keys_are_two_keys(tool: Tool, name: str) -> None:
    key = encode_key(b"k" * 32)
    form = {"authentication": {"type": "sas", "symmetricKey": {"primaryKey": key, "secondaryKey": key}}}
    made = tool.call("PUT", f"/devices/{name}", form)
    assert (made.status, made.body["authentication"]["symmetricKey"]) == (200, {"primaryKey": key, "secondaryKey": key})


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/devices/{}", {"deviceId": "other"}),
        ("/devices/{}", {"authentication": {"type": "none"}}),
        ("/devices/{}", {"authentication": {"type": "sas", "symmetricKey": {"primaryKey": "YQ=="}}}),
        ("/devices/{}", {"authentication": {"type": "sas", "symmetricKey": {"primaryKey": "!", "secondaryKey": "!"}}}),
        ("/devices/{}", {"authentication": {"type": "certificateAuthority"}}),
        ("/devices/{}", {"authentication": {"type": "selfSigned"}}),
        ("/devices/{}", {"status": "asleep"}),
        ("/devices/{}", []),
        ("/devices/a%20b", {}),
        ("/devices/{}", {"capabilities": {"iotEdge": True}}),
        ("/devices/{}", {"capabilities": {"iotEdge": "yes"}}),
        ("/configurations/UPPER", {}),
        ("/configurations/{}", {"targetCondition": "tags.x ="}),
        ("/configurations/{}", {"content": {"deviceContent": {"reported.x": 1}}}),
        ("/configurations/{}", {"content": {"modulesContent": {"a": {}}}}),
    ],
)
def test_bodies_that_make_no_sense_are_explained(tool: Tool, name: str, path: str, body: Any) -> None:
    reply = tool.call("PUT", path.format(name), body)
    assert reply.status == 400
    assert reply.body["Message"]


def test_a_configuration_for_too_many_devices_changes_none(
    tool: Tool, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in (name, f"{name}-2", f"{name}-3"):
        assert tool.call("PUT", f"/devices/{each}", {}).status == 200
    body = {"content": {"deviceContent": {f"properties.desired.{name}": 1}}}
    monkeypatch.setattr(iot_hub_fleet, "MAX_TARGETED", 2)
    refused = tool.call("PUT", f"/configurations/{name}", body)
    assert (refused.status, "more than 2 devices" in refused.body["Message"]) == (400, True)
    assert tool.call("GET", f"/configurations/{name}").status == 404
    known = [each["deviceId"] for each in tool.call("GET", "/devices").body]
    for each in known:
        assert name not in tool.call("GET", f"/twins/{each}").body["properties"]["desired"]


def test_a_device_that_cannot_take_a_configuration_keeps_no_other_from_it(
    service: RunningService, tool: Tool, name: str
) -> None:
    for each in (f"{name}-a", f"{name}-b", f"{name}-c"):
        assert tool.call("PUT", f"/devices/{each}", {}).status == 200
        assert tool.call("PATCH", f"/twins/{each}", {"tags": {"lot": name}}).status == 200
    full = {f"p{number}": "x" * 4000 for number in range(8)}
    assert tool.call("PATCH", f"/twins/{name}-b", {"properties": {"desired": full}}).status == 200
    content = {"deviceContent": {"properties.desired.more": "y" * 4000}}
    body = {"targetCondition": f"tags.lot = '{name}'", "content": content}
    made = tool.call("PUT", f"/configurations/{name}", body)
    assert (made.status, made.body["systemMetrics"]["results"]) == (200, {"targetedCount": 3, "appliedCount": 2})
    has = ["more" in tool.call("GET", f"/twins/{name}-{each}").body["properties"]["desired"] for each in "abc"]
    assert has == [True, False, True]
    (line,) = service.service.audit.list(limit=1).items
    assert (line.operation, line.detail["devices"], line.detail["refused"]) == (
        "hub-configuration.put",
        2,
        [f"{name}-b"],
    )


def test_other_routes_and_the_consoles_pages_are_apart(service: RunningService, tool: Tool) -> None:
    assert tool.call("GET", "/devices/x/other").status == 404
    assert tool.call("PATCH", "/devices/x", {}).status == 405
    without = service.call("GET", f"/devices?{VERSION}", token=None)
    assert (without.status, "Message" in without.body) == (401, True)
    assert service.call("GET", "/twins/x", token=None).status == 404  # without a version: nobody's
    assert service.call("GET", f"/devices/{quote('../../api/v1/tokens', safe='')}?{VERSION}", token=None).status in (
        401,
        404,
    )


def test_a_catalog_with_hub_devices_is_not_deleted(service: RunningService, name: str) -> None:
    service.service.registry.catalogs.create(f"C-{name}", actor="test")
    tool = Tool(service, f"C-{name}")
    tool.call("PUT", f"/devices/{name}", {})
    assert service.azure("DELETE", f"/C-{name}").status == 409
    assert tool.call("DELETE", f"/devices/{name}").status == 204
    assert service.azure("DELETE", f"/C-{name}").status in (200, 202, 204)
