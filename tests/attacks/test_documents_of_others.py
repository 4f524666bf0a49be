# SPDX-License-Identifier: Apache-2.0
"""A token of one catalog and what authors make: templates that name another's catalog, devices that have left."""

from __future__ import annotations

import base64
import json
import socket
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from tests.api.mqtt_device import Connected
from tests.api.running_service import RunningService, fresh, wait_until
from tests.attacks.owners import Owner, owner
from tests.twin.template.test_template import BODY

from armillary.api.native import dashboard_live
from armillary.engines.outbound import webhook as rule_webhook
from armillary.engines.outbound.attempts import NotNowError
from armillary.engines.outbound.webhook import AllowedHosts
from armillary.platform.authored import groups
from armillary.platform.exports import destinations as export_destinations
from armillary.platform.exports.port import Outgoing
from armillary.platform.rules import names as rule_names
from armillary.platform.templates import device_templates
from armillary.service.hub_access import service_keys as hub_service_keys
from armillary.service.hub_access.identities import HubIdentities
from armillary.twin.author.export_destination import Destination, DestinationKind
from armillary.wire.hub.sas_token import sign_sas_token

ACTION = {"kind": "set-property", "properties": {"taken": True}}


# Templates ------------------------------------------------------------------------------------------------------------


def imported(who: Owner, name: str, **more: object) -> Any:
    files = [{"name": "t.json", "content": json.dumps({**BODY, **more})}]
    return who.call("POST", f"/templates/{name}/import?catalog={who.name}", {"documents": files})


@pytest.mark.parametrize("what", ["another's", "everybody's"])
def test_no_imported_file_puts_a_template_into_another_catalog(
    service: RunningService, alice: Owner, bob: Owner, what: str
) -> None:
    name, owned = fresh("t"), {"catalog": bob.name if what == "another's" else None}
    reply = imported(alice, name, **owned)
    assert (reply.status, reply.body["code"]) == (400, "request.invalid"), reply.raw
    assert service.platform.documents.find("template", name) is None
    mine = imported(alice, name, catalog=alice.name.upper())  # the control
    assert mine.status == 200, mine.raw
    assert imported(alice, name, **owned).status == 400  # nor is one's own given away
    assert service.call("PUT", f"/api/v1/templates/{fresh('t')}", {**BODY, **owned}).status == 200


def test_a_catalog_that_is_called_none_is_not_everybody(service: RunningService) -> None:
    service.service.registry.catalogs.create("None", actor="test")
    token = service.service.tokens.create("none", "Contributor", actor="test", catalog="None").secret
    path = f"/api/v1/templates/{fresh('t')}?catalog=None"
    assert service.call("PUT", path, {**BODY, "catalog": None}, token=token).status == 400
    assert service.call("PUT", path, BODY, token=token).status == 200


def migrated(alice: Owner, bob: Owner) -> tuple[Any, Any]:
    """Alice gives her device away, then migrates her template: her answer, and the version that the device has."""
    name, own = fresh("t"), f"?catalog={alice.name}"
    device = f"/devices/{alice.device.device_id}/template"
    assert alice.call("PUT", f"/templates/{name}{own}", BODY).status == 200
    assert alice.call("POST", f"/templates/{name}/publish{own}").status == 200
    assert alice.call("PUT", device, {"template": name}).status == 200
    alice.give_device(bob)
    less = {**BODY, "cloud_properties": [], "views": []}
    assert alice.call("PUT", f"/templates/{name}{own}", less).status == 200
    assert alice.call("POST", f"/templates/{name}/publish{own}").status == 200
    done = alice.call("POST", f"/templates/{name}/migrate{own}", {})
    assert done.status == 200, done.raw
    return done.body, bob.call("GET", device).body["version"]


def test_a_migration_leaves_a_device_alone_that_has_another_owner_now(alice: Owner, bob: Owner) -> None:
    answer, version = migrated(alice, bob)
    assert (answer["devices"], answer["named"], version) == (0, [], 1)


def test_without_the_look_at_the_owner_the_migration_gets_through(
    alice: Owner, bob: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_templates, "of_catalog", lambda _hub, ids, _catalog: frozenset(ids))
    answer, version = migrated(alice, bob)
    assert (answer["devices"], version) == (1, 2)


def test_the_mark_of_a_next_page_names_no_device_of_another(service: RunningService, alice: Owner, bob: Owner) -> None:
    name = fresh("t")
    assert service.call("PUT", f"/api/v1/templates/{name}", BODY).status == 200
    assert service.call("POST", f"/api/v1/templates/{name}/publish").status == 200
    for who in (alice, bob):
        assert who.call("PUT", f"/devices/{who.device.device_id}/template", {"template": name}).status == 200
    for who, other in ((alice, bob), (bob, alice)):
        page = who.call("GET", f"/templates/{name}/devices?catalog={who.name}&limit=1")
        assert ([each["device_id"] for each in page.body["items"]], page.body["next"]) == ([who.device.device_id], None)
        assert other.device.device_id.encode() not in page.raw
    first = service.call("GET", f"/api/v1/templates/{name}/devices?limit=1").body  # the control: pages go on
    second = service.call("GET", f"/api/v1/templates/{name}/devices?limit=1&after={first['next']}").body
    shown = {each["device_id"] for page in (first, second) for each in page["items"]}
    assert (shown, second["next"]) == ({alice.device.device_id, bob.device.device_id}, None)


def warned(who: Owner, template: str) -> str:
    """What is said of a rule that names a template."""
    rule = {
        "name": "r",
        "target": {"template": template},
        "conditions": [{"telemetry": "no.such.name", "op": ">", "value": 1}],
    }
    reply = who.call("POST", f"/rule-test?catalog={who.name}", {"rule": rule, "start_ms": 0, "end_ms": 60_000})
    assert reply.status == 200, reply.raw
    return " ".join(reply.body["warnings"])


def test_a_rule_learns_nothing_of_anothers_template(alice: Owner, bob: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    name = fresh("t")
    assert bob.call("PUT", f"/templates/{name}?catalog={bob.name}", BODY).status == 200
    assert "no.such.name" in warned(bob, name)  # the control: the owner is told what the template lacks
    assert warned(alice, name) == warned(alice, "nobodys").replace("nobodys", name)
    monkeypatch.setattr(rule_names, "_is_for", lambda *_: True)
    assert "no.such.name" in warned(alice, name)


# Hub devices ----------------------------------------------------------------------------------------------------------


def slipped_in(service: RunningService, alice: Owner, bob: Owner) -> list[str]:
    """The modules of Bob's hub device after Alice, in a bulk request, names a device that looks like one of them."""
    device, keys = fresh("pump"), [base64.b64encode(each * 32).decode() for each in (b"k", b"l")]
    wanted = {"device_id": device, "authentication": "sas"}
    made = bob.call("POST", f"/catalogs/{bob.name}/hub-devices", wanted)
    assert made.status == 200, made.raw
    authentication = {"type": "sas", "symmetricKey": {"primaryKey": keys[0], "secondaryKey": keys[1]}}
    for mode in ("create", "createOrUpdate"):
        body = [{"id": f"{device}/{mode}", "importMode": mode, "authentication": authentication}]
        service.call("POST", "/iothub/devices?api-version=2021-04-12", body, token=alice.token)
    found = bob.call("GET", f"/hub-devices/{device}/modules").body["items"]
    return [each["module_id"] for each in found]


def test_nobody_makes_a_module_with_his_own_key_of_anothers_device(
    service: RunningService, alice: Owner, bob: Owner
) -> None:
    assert slipped_in(service, alice, bob) == []
    assert slipped_in(service, bob, bob) == ["create", "createOrUpdate"]  # the control: of one's own


def test_without_the_look_at_the_devices_owner_the_module_is_made(
    service: RunningService, alice: Owner, bob: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner_for = HubIdentities._owner_for

    def careless(self: Any, connection: Any, identity: str, form: Any, catalog_id: Any) -> Any:
        return owner_for(self, connection, identity, form, None if "/" in identity else catalog_id)

    monkeypatch.setattr(HubIdentities, "_owner_for", careless)
    assert slipped_in(service, alice, bob) == ["create", "createOrUpdate"]


# Jobs -----------------------------------------------------------------------------------------------------------------


def test_a_job_of_all_shows_no_run_over_others_devices(
    service: RunningService, alice: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    group, job = fresh("g"), fresh("j")
    assert service.call("PUT", f"/api/v1/groups/{group}", {"name": "All"}).status == 200
    assert service.call("PUT", f"/api/v1/jobs/{job}", {"name": "j", "group": group, "action": ACTION}).status == 200
    run = service.platform.jobs.begin(job, by="rule of-bob, delivery 1")

    def seen() -> list[Any]:
        listed = alice.call("GET", f"/jobs?catalog={alice.name}&limit=1000").body["items"]
        one = alice.call("GET", f"/jobs/{job}?catalog={alice.name}").body
        return [each["run"] for each in (*listed, one) if each["id"] == job]

    assert seen() == [None, None]
    assert (
        service.call("GET", f"/api/v1/jobs/{job}").body["run"]["begun_by"] == "rule of-bob, delivery 1"
    )  # the control
    operations = service.platform.job_operations
    newest = operations.newest
    monkeypatch.setattr(operations, "newest", lambda job_id, owner, _catalog: newest(job_id, owner, None))
    assert [each["begun_by"] for each in seen()] == ["rule of-bob, delivery 1"] * 2
    wait_until(lambda: service.platform.jobs.store.run(job, run.number).state.value != "running", "the end of the run")


# Live values ----------------------------------------------------------------------------------------------------------


def live_after_transfer(service: RunningService, alice: Owner, bob: Owner) -> tuple[bool, bool]:
    """Whether an open dashboard of the old owner shows a value of before, and one of the new owner's."""
    mine, board = Connected(service, alice.device), fresh("d")
    source = {"device": alice.device.device_id}
    tile = {"id": "a", "kind": "kpi", "x": 0, "y": 0, "w": 4, "h": 2, "source": source, "value": "flow"}
    body = {"name": "x", "tiles": [tile]}
    assert alice.call("PUT", f"/dashboards/{board}?catalog={alice.name}", body).status == 200
    watching = service.connection()
    path = f"/api/v1/dashboards/{board}/live?catalog={alice.name}"
    watching.request("GET", path, headers={"Authorization": f"Bearer {alice.token}"})
    stream = watching.getresponse()
    assert stream.readline() == b": listening\n"

    def shows(value: int, wait_s: float) -> bool:
        deadline = time.monotonic() + wait_s
        watching.sock.settimeout(wait_s)
        try:
            while time.monotonic() < deadline:
                line = stream.readline().removeprefix(b"data: ")
                if line.startswith(b"{") and any(each["value"] == value for each in json.loads(line)["items"]):
                    return True
        except (TimeoutError, OSError):
            pass
        return False

    mine.send({"flow": 11})
    before = shows(11, 20)
    mine.client.on_disconnect = None
    alice.give_device(bob)
    mine.client.disconnect()
    mine.client.loop_stop()
    alice.device.challenge = b""
    theirs = Connected(service, alice.device)
    theirs.send({"flow": 77})
    place = f"/devices/{alice.device.device_id}/telemetry"
    wait_until(lambda: b"77" in bob.call("GET", place).raw, "the new owner to see it")
    after = shows(77, 4)
    theirs.client.disconnect()
    theirs.client.loop_stop()
    watching.close()
    return before, after


def test_an_open_dashboard_shows_nothing_of_a_device_that_has_left(
    service: RunningService, alice: Owner, bob: Owner
) -> None:
    assert live_after_transfer(service, alice, bob) == (True, False)


def test_without_the_look_at_the_owner_the_dashboard_goes_on(
    service: RunningService, alice: Owner, bob: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard_live, "of_catalog", lambda _hub, ids, _catalog: frozenset(ids))
    assert live_after_transfer(service, alice, bob) == (True, True)


def members_after_transfer(service: RunningService, alice: Owner, bob: Owner) -> int:
    group = fresh("g")
    assert service.call("PUT", f"/api/v1/groups/{group}", {"name": "All"}).status == 200
    device = alice.device.device_id
    assert service.platform.groups.ids(group, catalog=alice.name) == (device,)
    assert service.platform.groups.ids(group, catalog=alice.name) == (device,)  # the control: remembered
    alice.give_device(bob)
    return len(service.platform.groups.ids(group, catalog=alice.name))


def test_members_that_are_remembered_are_the_owners_still(
    service: RunningService, alice: Owner, bob: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert members_after_transfer(service, alice, bob) == 0
    another = owner(service)  # Mutation: without the look the device stays in sight
    monkeypatch.setattr(groups, "of_catalog", lambda _hub, ids, _catalog: frozenset(ids))
    assert members_after_transfer(service, another, bob) == 1


# Service keys ---------------------------------------------------------------------------------------------------------


def test_a_signature_for_one_device_opens_no_other(
    service: RunningService, alice: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has a hub's key can sign for a part of it and give that away (IoT Hub: ``sr`` is a prefix)."""
    name = fresh("k")
    key = service.service.hub_access.service_keys.create(alice.name, name, "Contributor", actor="test")[1]
    ends = int(time.time()) + 600

    def answer(resource: str) -> int:
        token = sign_sas_token(resource, key, ends, name)
        path = f"/iothub/devices/{alice.device.device_id}?api-version=2021-04-12"
        return service.call("GET", path, token=None, headers={"Authorization": token}).status

    for elsewhere in (
        "localhost/devices/another", "other.example", "https://other.example/", "localhost.other.example", "a@other",
        "other.example#localhost", "", "/", "localhost:x",
    ):  # fmt: skip
        assert answer(elsewhere) == 401, elsewhere
    for here in ("localhost", "LOCALHOST:443", "https://localhost/", "127.0.0.1", "[::1]:8443"):
        assert answer(here) == 200, here  # the control
    # Mutation: with the rest of the resource unread it would open everything.
    real = hub_service_keys.parse_sas_token
    monkeypatch.setattr(hub_service_keys, "parse_sas_token", lambda given: replace(real(given), resource="localhost"))
    assert answer("localhost/devices/another") == 200


# Exports --------------------------------------------------------------------------------------------------------------


def test_an_export_to_a_broker_goes_to_the_address_that_was_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that means a public address when it is looked at, and the inside of the network a moment later."""
    asked: list[str] = []
    called: list[Any] = []

    def rebinding(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        address = "93.184.215.14" if len(asked) == 1 else "169.254.169.254"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    def called_at(address: tuple[str, int], *_: Any, **__: Any) -> socket.socket:
        # As socket.create_connection: it looks a name up.
        found = address[0] if address[0][0].isdecimal() else rebinding(*address)[0][4][0]
        called.append((found, address[1]))
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    monkeypatch.setattr(socket, "create_connection", called_at)
    options = {"host": "evil.example", "port": 8883, "tls": True, "topic": "t", "username": ""}
    destination = Destination(DestinationKind.MQTT, options)

    def deliver() -> None:
        asked.clear()
        called.clear()
        allowed = AllowedHosts(public=True, named=frozenset())
        port = export_destinations.open_destination(destination, secret=None, allowed=allowed, folder=None)  # type: ignore[arg-type]
        with pytest.raises(NotNowError):
            port.deliver([Outgoing(b"{}", "d", "r")], "b")

    deliver()
    assert called == [("93.184.215.14", 8883)]
    # Mutation: when the name is called instead, the attack gets through.
    looked = rule_webhook.resolve

    def by_name(url: str, allowed: AllowedHosts) -> tuple[str, int]:
        looked(url, allowed)
        return "evil.example", 8883

    monkeypatch.setattr(export_destinations, "rule_webhook", SimpleNamespace(resolve=by_name))
    deliver()
    assert called == [("169.254.169.254", 8883)]
