# SPDX-License-Identifier: Apache-2.0
"""Native routes of data exports, and life-cycle events over the real service; what a token of one catalog gets out."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from tests.api.mqtt_device import Connected
from tests.api.running_service import RunningService, fresh, wait_until

from armillary.engines.documents.document import changed_since
from armillary.platform.exports import exports

EXPORTS = "/api/v1/exports"
FILE = {"kind": "file"}
HOOK = {"kind": "webhook", "url": "https://example.com/in"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "POLL_S", 0.05)


def made(service: RunningService, **more: Any) -> str:
    name = f"e-{uuid.uuid4().hex[:8]}"
    reply = service.call("PUT", f"{EXPORTS}/{name}", {"name": name, "source": "telemetry", "destination": FILE, **more})
    assert reply.status == 200, reply.raw
    wait_until(lambda: service.call("GET", f"{EXPORTS}/{name}").body["status"]["cursor"], "the export to begin")
    return name


def written(service: RunningService, name: str) -> list[dict[str, Any]]:
    folder = service.platform.exports.folder_of(name)
    files = sorted(folder.iterdir()) if folder.exists() else []
    return [json.loads(line) for each in files for line in each.read_bytes().splitlines()]


def test_telemetry_of_one_catalog_leaves_and_nothing_of_another(service: RunningService, catalog: str) -> None:
    mine, theirs = service.claimed(catalog), service.claimed(service.make_catalog(fresh("O"), product="Coffee"))
    devices = [Connected(service, mine), Connected(service, theirs)]
    of_one, of_all = made(service, catalog=catalog), made(service)
    for each in devices:
        each.send({"n": 1})
    wait_until(lambda: len(written(service, of_all)) == 2, "both messages in the export of all")  # the control
    wait_until(lambda: service.call("GET", f"{EXPORTS}/{of_one}").body["status"]["behind"] == 0, "the other to be done")
    assert [each["device_id"] for each in written(service, of_one)] == [mine.device_id]
    status = service.call("GET", f"{EXPORTS}/{of_one}").body["status"]
    # What others send is not even counted.
    assert (status["state"], status["cursor"]["exported"], status["cursor"]["filtered"]) == ("running", 1, 0)
    for each in devices:
        each.close()


def test_what_befalls_devices_goes_out(service: RunningService, catalog: str) -> None:
    name = made(service, source="lifecycle", catalog=catalog)
    device = service.claimed(catalog).device_id
    service.service.registry.lifecycle.revoke(device, actor="test", reason="test")
    service.call("PATCH", f"/api/v1/devices/{device}/twin", {"desired": {"a": 1}})
    wait_until(lambda: "device.revoke" in {each["event"] for each in written(service, name)}, "the events")
    events = [each["event"] for each in written(service, name)]
    assert events[-2:] == ["device.claim", "device.revoke"]
    assert set(events[:-2]) <= {"device.manufacture"}  # in the second of the claim, or of the owner before
    assert {each["device_id"] for each in written(service, name)} == {device}


def test_secrets_stay_and_are_not_taken_to_another_place(service: RunningService) -> None:
    path = f"{EXPORTS}/e-{uuid.uuid4().hex[:8]}"
    secret = "correct horse battery staple"
    body = {"name": "x", "source": "telemetry", "enabled": False, "destination": {**HOOK, "secret": secret}}
    reply = service.call("PUT", path, body)
    assert reply.status == 200, reply.raw
    assert reply.body["body"]["destination"] == {**HOOK, "signed": True}
    for place in (path, EXPORTS, "/api/v1/application", "/api/v1/audit?limit=50"):
        assert secret not in service.call("GET", place).raw.decode()
    kept = reply.body["body"]
    assert service.call("PUT", path, {**kept, "description": "more"}).status == 200
    moved = {**kept, "destination": {"kind": "webhook", "url": "https://attacker.example/", "signed": True}}
    refused = service.call("PUT", path, moved)
    assert (refused.status, "secret" in refused.body["detail"]) == (400, True)
    assert service.call("PUT", path, {**moved, "destination": {**moved["destination"], "secret": secret}}).status == 200
    assert service.call("DELETE", path).status == 200
    assert service.platform.exports.store.secret(path.rpartition("/")[2]) is None


def test_a_refused_change_leaves_the_secret(service: RunningService, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"e-{uuid.uuid4().hex[:8]}"
    path, store = f"{EXPORTS}/{name}", service.platform.exports.store
    first, second = "correct horse battery staple", "another secret altogether"
    body = {"name": "x", "source": "telemetry", "enabled": False, "destination": {**HOOK, "secret": first}}
    other = {**body, "destination": {**HOOK, "secret": second}}
    assert service.call("PUT", path, body).status == 200
    kept: list[str] = []
    keep = store.keep_secret
    monkeypatch.setattr(store, "keep_secret", lambda one, secret: (kept.append(secret), keep(one, secret)))
    assert service.call("PUT", path, other, headers={"If-Match": '"d-0"'}).status == 412
    assert service.call("PUT", path, other, headers={"If-Match": ""}).status == 412
    assert service.call("PUT", f"{path}?catalog=Elsewhere", {**other, "catalog": "Another"}).status >= 400
    assert kept == []  # not even for a moment
    # What is refused after it: the document changed meanwhile. It is put back.
    application, changed = service.platform.documents, changed_since("export", name, "d-1", "d-2")
    with monkeypatch.context() as patch:
        patch.setattr(application, "put", lambda *_, **__: (_ for _ in ()).throw(changed))
        assert service.call("PUT", path, other).status == 412
        assert service.call("PUT", f"{path}-new", {**other, "name": "new"}).status == 412
    assert kept == [second, first, second]
    assert (store.secret(name), store.secret(f"{name}-new")) == (first, None)
    assert service.call("PUT", path, other).status == 200
    assert store.secret(name) == second


def test_what_makes_no_sense_is_refused(service: RunningService) -> None:
    good = {"name": "x", "source": "telemetry", "destination": FILE}
    for more in (
        {"source": "x"}, {"group": "nowhere"}, {"destination": {"kind": "webhook", "url": "http://127.0.0.1/"}},
        {"destination": {"kind": "webhook", "url": "https://169.254.169.254/"}}, {"transform": "env"},
        {"destination": {"kind": "mqtt", "host": "localhost", "topic": "a"}},
        {"destination": {"kind": "mqtt", "host": "broker.example", "tls": False, "topic": "a"}},
    ):  # fmt: skip
        assert service.call("PUT", f"{EXPORTS}/x", {**good, **more}).status in (400, 404), more
    assert service.call("GET", f"{EXPORTS}/x").status == 404
    secured = {"destination": {"kind": "mqtt", "host": "broker.example", "topic": "a"}}  # the control of the last one
    assert service.call("PUT", f"{EXPORTS}/y", {**good, **secured}).status == 200
    assert service.call("DELETE", f"{EXPORTS}/y").status == 200
    name = made(service)
    assert service.call("GET", f"{EXPORTS}/{name}/dead-letters").body == {"items": [], "next": None}
    assert service.call("POST", f"{EXPORTS}/{name}/dead-letters/replay").body == {"delivered": 0, "under_way": False}
    assert name in [each["id"] for each in service.call("GET", f"{EXPORTS}?limit=1000").body["items"]]


def test_devices_that_nobody_owns_hold_up_no_export(service: RunningService) -> None:
    name = made(service, source="lifecycle")

    def status() -> dict[str, Any]:
        found: dict[str, Any] = service.call("GET", f"{EXPORTS}/{name}").body["status"]
        return found

    service.make_device()
    wait_until(lambda: status()["cursor"]["filtered"] or status()["state"] != "running", "its event to be looked at")
    assert (status()["state"], status()["why"]) == ("running", "")
    assert status()["cursor"]["filtered"] >= 1
