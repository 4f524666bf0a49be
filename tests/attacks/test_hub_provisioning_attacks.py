# SPDX-License-Identifier: Apache-2.0
"""Who cannot make himself a device, and what a client that registers cannot do; each with the honest one beside it.

What both ways have is tried over both: MQTT, and the service's device API over HTTP.
"""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from tests.api.running_service import RunningService, fresh, own_service, wait_until
from tests.attacks.test_hub_device_attacks import NOT_AUTHORIZED, Client, outcome
from tests.fixtures.certificates import self_signed

from armillary.hub.provisioning import registrations
from armillary.service.hub_access import enrolments as hub_enrolments
from armillary.service.hub_access.identities import IdentityForm
from armillary.wire.hub.sas_token import decode_key, derive_device_key, sign_sas_token

ANSWERS = "$dps/registrations/res/#"
CATALOG = "/api/v1/catalogs/Contoso"


service = own_service("Contoso", admits={"certificates": True, "symmetric_keys": True})


def enrol(service: RunningService, **body: Any) -> dict[str, Any]:
    made = service.call("POST", f"{CATALOG}/hub-enrolments", body)
    assert made.status == 200, made.body
    return dict(made.body)


def verified_group(service: RunningService, name: str, folder: Path) -> tuple[str, Any]:
    """The route of a group whose authority has proven possession, and that authority's key and certificate."""
    _, pem, authority = self_signed(folder, f"Factory of {name}", authority=True)
    group = enrol(service, name=f"g-{name}", group=True, certificate=pem)
    _, honest, _ = self_signed(folder, group["possession_nonce"], issuer=authority)
    path = f"{CATALOG}/hub-enrolments/{group['enrolment_id']}"
    assert service.call("POST", f"{path}/verify", {"certificate": honest}).status == 200
    return path, authority


def group_key(service: RunningService, name: str, **more: Any) -> bytes:
    """The key of a group, from which those of its devices are derived."""
    return decode_key(enrol(service, name=f"g-{name}", group=True, attestation="symmetricKey", **more)["primary_key"])


def scope(service: RunningService) -> str:
    return str(service.call("GET", f"{CATALOG}/hub-enrolments").body["id_scope"])


def password(service: RunningService, name: str, key: bytes, *, ends_in_s: int = 600) -> str:
    return sign_sas_token(f"{scope(service)}/registrations/{name}", key, int(time.time()) + ends_in_s, "registration")


def connect(service: RunningService, name: str, **options: Any) -> Client:
    username = f"{scope(service)}/registrations/{name}/api-version=2019-03-31&ClientVersion=test"
    return Client(service, name, username=username, **options)


def registers_over_mqtt(service: RunningService, name: str, *, claimed: str = "", **options: Any) -> Any:
    """Register; the answer's status, or how CONNECT was refused."""
    with connect(service, name, **options) as client:
        if client.connack != 0:
            return client.connack
        client.client.subscribe(ANSWERS, 1)
        body = json.dumps({"registrationId": claimed or name}).encode()
        client.client.publish("$dps/registrations/PUT/iotdps-register/?$rid=1", body, qos=1)
        wait_until(lambda: client.messages or client.lost, "an answer")
        topic, payload = client.messages.pop()
        while "/202/" in topic:
            operation = json.loads(payload)["operationId"]
            poll = f"$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId={operation}"
            client.client.publish(poll, b" ", qos=1)
            wait_until(lambda: client.messages or client.lost, "an answer")
            topic, payload = client.messages.pop()
        return json.loads(payload).get("status", topic)


def ask(
    service: RunningService,
    name: str,
    method: str = "PUT",
    what: str = "/register",
    body: Any = None,
    *,
    password: str | None = None,
    certificate: Path | None = None,
    version: str = "2021-06-01",
) -> tuple[int, Any, Any]:
    """One request over HTTP on a connection of its own: status, headers, body; or "tls"."""
    context = ssl.create_default_context(cafile=str(service.root))
    if certificate is not None:
        context.load_cert_chain(certificate)
    connection = http.client.HTTPSConnection("localhost", service.hub_port, context=context, timeout=20)
    headers = {} if password is None else {"Authorization": password}
    data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    try:
        path = f"/{scope(service)}/registrations/{name}{what}?api-version={version}"
        connection.request(method, path, body=data, headers=headers)
        response = connection.getresponse()
        return response.status, response.headers, json.loads(response.read())
    except (ssl.SSLError, ConnectionError, http.client.RemoteDisconnected):
        return 0, {}, "tls"
    finally:
        connection.close()


def registers_over_http(service: RunningService, name: str, *, claimed: str = "", **options: Any) -> Any:
    """Register; the answer's status, or how it was refused, in the words of MQTT."""
    status, headers, body = ask(service, name, body={"registrationId": claimed or name}, **options)
    while status == 202:
        assert headers["retry-after"] == "1"
        status, headers, body = ask(service, name, "GET", f"/operations/{body['operationId']}", **options)
    if status == 401:
        assert body == {"errorCode": 401002, "message": "unauthorized"}
        return NOT_AUTHORIZED
    return body if status != 200 else body["status"]


Registers = Callable[..., Any]


@pytest.fixture(params=[registers_over_mqtt, registers_over_http], ids=["mqtt", "http"])
def registers(request: pytest.FixtureRequest) -> Registers:
    found: Registers = request.param
    return found


@pytest.fixture
def name() -> str:
    return fresh("r")


def test_only_the_key_and_the_name_that_go_together_register(
    service: RunningService, registers: Registers, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = group_key(service, name)
    mine, others = derive_device_key(key, name), derive_device_key(key, "other")
    assert registers(service, name, password=password(service, name, mine)) == "assigned"
    attacks = {
        "another device's derived key": password(service, name, others),
        "the group's own key": password(service, name, key),
        "expired": password(service, name, mine, ends_in_s=-1),
        "for another name": password(service, "other", mine),
        "none": None,
    }
    for what, shown in attacks.items():
        assert registers(service, name, password=shown) == NOT_AUTHORIZED, what
    assert registers(service, name, claimed="other", password=password(service, name, mine)) == "failed"
    monkeypatch.setattr(hub_enrolments, "verify_sas_token", lambda *_, **__: 0)
    assert registers(service, name, password=attacks["expired"]) == "assigned"


def test_an_authority_is_used_only_after_possession_was_proven(
    service: RunningService, registers: Registers, name: str, tmp_path: Path
) -> None:
    _, pem, authority = self_signed(tmp_path, f"Factory of {name}", authority=True)
    group = enrol(service, name=f"g-{name}", group=True, certificate=pem)
    leaf, leaf_pem, _ = self_signed(tmp_path, name, issuer=authority)
    assert registers(service, name, certificate=leaf) == NOT_AUTHORIZED
    verify = f"{CATALOG}/hub-enrolments/{group['enrolment_id']}/verify"
    nonce = group["possession_nonce"]
    _, stranger, other = self_signed(tmp_path, nonce)
    _, forged, _ = self_signed(tmp_path, nonce, issuer=(other[0], authority[1]))
    for proof in (leaf_pem, stranger, forged, pem):
        assert service.call("POST", verify, {"certificate": proof}).status == 400
    assert registers(service, name, certificate=leaf) == NOT_AUTHORIZED
    _, honest, _ = self_signed(tmp_path, nonce, issuer=authority)
    assert service.call("POST", verify, {"certificate": honest}).status == 200
    assert registers(service, name, certificate=leaf) == "assigned"
    assert registers(service, f"{name}-2", certificate=leaf) == NOT_AUTHORIZED  # the certificate names another


def test_a_groups_device_is_let_in_as_long_as_the_group_is(
    service: RunningService, registers: Registers, name: str, tmp_path: Path
) -> None:
    one, authority = verified_group(service, name, tmp_path)
    leaf, _, _ = self_signed(tmp_path, name, issuer=authority)
    assert registers(service, name, certificate=leaf) == "assigned"
    renewed, _, _ = self_signed(tmp_path, name, issuer=authority)
    other, _, _ = self_signed(tmp_path, f"{name}-2", issuer=authority)
    assert [outcome(service, name, certificate=path) for path in (leaf, renewed, other)] == [0, 0, NOT_AUTHORIZED]
    with Client(service, name, certificate=leaf) as client:
        assert service.call("PATCH", one, {"enabled": False}).status == 200
        wait_until(lambda: client.lost, "the connection is closed")
    assert outcome(service, name, certificate=leaf) == NOT_AUTHORIZED
    service.call("PATCH", one, {"enabled": True})
    assert service.call("DELETE", one).status == 200
    assert outcome(service, name, certificate=leaf) == NOT_AUTHORIZED


def test_a_disabled_enrolment_of_its_own_shuts_a_device_out_of_its_group_too(
    service: RunningService, registers: Registers, name: str
) -> None:
    group = enrol(service, name=f"g-{name}", group=True, attestation="symmetricKey")
    own = enrol(service, name=name, attestation="symmetricKey")
    service.call("PATCH", f"{CATALOG}/hub-enrolments/{own['enrolment_id']}", {"enabled": False})
    derived = derive_device_key(decode_key(group["primary_key"]), name)
    assert registers(service, name, password=password(service, name, derived)) == NOT_AUTHORIZED
    assert registers(service, name, password=password(service, name, decode_key(own["primary_key"]))) == NOT_AUTHORIZED


def test_a_group_takes_over_no_device_that_has_something_to_show(
    service: RunningService, registers: Registers, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator may make a device ahead of its registration; one with keys or of another catalog is no such device."""
    key = group_key(service, name)
    identities, registry = service.service.hub_access.identities, service.service.registry
    registry.catalogs.create(f"O-{name}", actor="test")
    owners = {"mine": "Contoso", "theirs": f"O-{name}", "keyed": "Contoso"}
    for word, catalog in owners.items():
        form = IdentityForm(authentication="sas", awaits_keys=word != "keyed")
        owner = registry.catalogs.get(catalog).catalog_id
        identities.put(f"{name}-{word}", form, actor="test", catalog_id=owner, create=True)

    def tries(word: str) -> Any:
        each = f"{name}-{word}"
        return registers(service, each, password=password(service, each, derive_device_key(key, each)))

    assert [tries(word) for word in owners] == ["assigned", "failed", "failed"]
    assert identities.get(f"{name}-theirs").catalog_id == registry.catalogs.get(f"O-{name}").catalog_id
    monkeypatch.setattr(hub_enrolments, "_may_register", lambda _: True)
    assert [tries(word) for word in ("theirs", "keyed")] == ["failed", "assigned"]


def test_an_enrolment_takes_back_no_device_that_an_operator_gave_keys(
    service: RunningService, registers: Registers, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The group's key is known to others, so its device gets keys of its own: the group's key opens nothing then."""
    key = derive_device_key(group_key(service, name), name)
    identities = service.service.hub_access.identities

    def again() -> Any:
        return registers(service, name, password=password(service, name, key))

    assert [again(), again()] == ["assigned", "assigned"]
    identities.put(name, IdentityForm(authentication="sas", is_enabled=False), actor="test")
    identities.put(name, IdentityForm(authentication="sas"), actor="test")
    assert again() == "assigned"  # its keys are the group's still
    changed = service.call("PATCH", f"/api/v1/hub-devices/{name}", {"new_keys": True}).body
    assert again() == "failed"
    assert identities.keys_of(identities.get(name))[0] == decode_key(changed["primary_key"])
    identities.put(name, IdentityForm(authentication="sas", awaits_keys=True), actor="test")
    assert again() == "assigned"  # the way back: it has nothing of its own any more
    monkeypatch.setattr("armillary.service.hub_access.identities._shows", lambda _: ())
    service.call("PATCH", f"/api/v1/hub-devices/{name}", {"new_keys": True})
    assert again() == "assigned"  # the control


def test_a_client_that_registers_is_no_device(service: RunningService, name: str) -> None:
    made = enrol(service, name=name, attestation="symmetricKey")
    shown = password(service, name, decode_key(made["primary_key"]))
    for topic in (
        f"devices/{name}/messages/events/", "$iothub/twin/GET/?$rid=1", "devices/other/messages/events/",
        "$dps/registrations/PUT/other/?$rid=1", "$dps/registrations/PUT/iotdps-register/?$rid=a b",
    ):  # fmt: skip
        with connect(service, name, password=shown) as client:
            assert client.connack == 0
            client.client.publish(topic, b"{}", qos=1)
            wait_until(lambda: client.lost, f"{topic} ends the connection")
    assert f"#dps/{scope(service)}/{name}" not in service.hub.connected()
    with connect(service, name, password=shown) as client:
        granted: list[Any] = []
        client.client.on_subscribe = lambda _c, _u, _m, reasons, _p: granted.extend(each.value for each in reasons)
        client.client.subscribe([(ANSWERS, 1), ("#", 1), ("$iothub/twin/res/#", 1), ("$dps/#", 0)])
        wait_until(lambda: granted, "SUBACK")
        assert granted == [1, 128, 128, 128]
        client.client.publish("$dps/registrations/PUT/iotdps-register/?$rid=7", b"no JSON", qos=1)
        wait_until(lambda: client.messages, "an answer")
        assert client.messages.pop()[0] == "$dps/registrations/res/400/?$rid=7"
        client.client.publish(
            "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=8&operationId=5.0.0", b" ", qos=1
        )
        wait_until(lambda: client.messages, "an answer")
        assert client.messages.pop()[0] == "$dps/registrations/res/404/?$rid=8"


def test_one_device_does_not_learn_anothers_registration(service: RunningService, name: str) -> None:
    key = group_key(service, name)
    first, second = f"{name}-a", f"{name}-b"
    with connect(service, first, password=password(service, first, derive_device_key(key, first))) as client:
        client.client.subscribe(ANSWERS, 1)
        client.client.publish(
            "$dps/registrations/PUT/iotdps-register/?$rid=1", json.dumps({"registrationId": first}).encode(), qos=1
        )
        wait_until(lambda: client.messages, "an answer")
        operation = json.loads(client.messages[0][1])["operationId"]
    with connect(service, second, password=password(service, second, derive_device_key(key, second))) as client:
        client.client.subscribe(ANSWERS, 1)
        poll = f"$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId={operation}"
        client.client.publish(poll, b" ", qos=1)
        wait_until(lambda: client.messages, "an answer")
        assert client.messages[0][0] == "$dps/registrations/res/404/?$rid=2"


def test_nothing_registers_where_the_catalog_does_not_admit_it(
    service: RunningService, registers: Registers, name: str
) -> None:
    made = enrol(service, name=name, attestation="symmetricKey")
    shown = password(service, name, decode_key(made["primary_key"]))
    service.service.hub_access.identities.set_admission("Contoso", actor="test", symmetric_keys=False)
    try:
        assert registers(service, name, password=shown) in (NOT_AUTHORIZED, "tls")
    finally:
        service.service.hub_access.identities.set_admission("Contoso", actor="test", symmetric_keys=True)
    assert registers(service, name, password=shown) == "assigned"


def test_enrolments_that_make_no_sense_are_refused(service: RunningService, name: str, tmp_path: Path) -> None:
    _, pem, _ = self_signed(tmp_path, name)
    for body in (
        {"name": name}, {"name": name, "certificate": "x"}, {"name": name, "group": True, "certificate": pem},
        {"name": "a b", "attestation": "symmetricKey"}, {"name": name, "attestation": "symmetricKey", "certificate": pem},
        {"name": name, "attestation": "symmetricKey", "group": True, "device_id": "x"},
        {"name": name, "attestation": "symmetricKey", "device_id": "f" * 128},
        {"name": name, "attestation": "symmetricKey", "initial_twin": {"reported": {}}},
        {"name": name, "attestation": "symmetricKey", "initial_twin": {"desired": {"a.b": 1}}},
        {"name": name, "attestation": "symmetricKey", "returned_payload": "x" * 9000},
    ):  # fmt: skip
        assert service.call("POST", f"{CATALOG}/hub-enrolments", body).status == 400, body
    enrol(service, name=name, attestation="symmetricKey")
    again = service.call("POST", f"{CATALOG}/hub-enrolments", {"name": name, "attestation": "symmetricKey"})
    assert again.status == 409


def test_no_authority_takes_the_name_of_anothers_or_of_ours(
    service: RunningService, registers: Registers, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL tries one issuer of a name: a second one would shut out the devices of the first."""
    _, authority = verified_group(service, name, tmp_path)
    leaf, _, _ = self_signed(tmp_path, name, issuer=authority)
    assert registers(service, name, certificate=leaf) == "assigned"
    elsewhere = f"/api/v1/catalogs/{service.make_catalog(f'O-{name}', certificates=True)}"
    _, double, _ = self_signed(tmp_path, f"Factory of {name}", authority=True)
    body = {"name": "g", "group": True, "certificate": double}
    assert service.call("POST", f"{elsewhere}/hub-enrolments", body).status == 409
    device = {"device_id": f"{name}-x", "certificate": double}
    assert service.call("POST", f"{elsewhere}/hub-devices", device).status == 409
    ours = service.service.authority.catalogs.issuer(service.service.registry.catalogs.get("Contoso").catalog_id)
    subject = x509.load_der_x509_certificate(ours.chain[0]).subject
    _, lookalike, _ = self_signed(tmp_path, subject, authority=True)
    assert service.call("POST", f"{elsewhere}/hub-enrolments", {**body, "certificate": lookalike}).status == 409
    assert registers(service, name, certificate=leaf) == "assigned"
    monkeypatch.setattr(hub_enrolments, "claim_names", lambda *_: None)
    assert service.call("POST", f"{elsewhere}/hub-enrolments", body).status == 200
    assert registers(service, f"{name}", certificate=leaf) in ("tls", "assigned")  # OpenSSL takes the one or the other


def test_over_http_each_request_is_asked_who_it_is(service: RunningService, name: str) -> None:
    """The connection is nobody: an operation and a registration are shown to who shows that device's key, each time."""
    key = group_key(service, name, returned_payload={"a": 1})
    first, second = f"{name}-a", f"{name}-b"
    mine = {"password": password(service, first, derive_device_key(key, first))}
    other = {"password": password(service, second, derive_device_key(key, second))}
    assert ask(service, first, "POST", "", {"registrationId": first}, **mine)[0] == 404
    status, _, body = ask(service, first, body={"registrationId": first, "payload": {"modelId": "dtmi:x:y;1"}}, **mine)
    assert status == 202
    operation = f"/operations/{body['operationId']}"
    assert ask(service, first, "GET", operation)[0] == 401
    assert ask(service, first, "GET", operation, **other)[0] == 401
    assert ask(service, second, "GET", operation, **other)[0] == 404
    wait_until(lambda: ask(service, first, "GET", operation, **mine)[0] == 200, "it is registered")
    for version in ("2018-11-01", "2019-03-31"):
        state = ask(service, first, "GET", operation, version=version, **mine)[2]["registrationState"]
        assert (state["deviceId"], state["assignedHub"], state["payload"]) == (first, "localhost", {"a": 1})
    assert ask(service, first, "POST", "", {"registrationId": first}, **mine)[2] == state
    assert ask(service, first, "POST", "", {"registrationId": first}, **other)[0] == 401
    service.service.hub_access.identities.put(
        first, IdentityForm(authentication="sas", is_enabled=False), actor="test", if_match="*"
    )
    assert ask(service, first, "POST", "", {}, **mine)[2]["status"] == "disabled"


def test_over_http_what_is_no_request_is_refused(
    service: RunningService, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = enrol(service, name=name, attestation="symmetricKey")
    mine = {"password": password(service, name, decode_key(made["primary_key"]))}
    good = {"registrationId": name}
    for body in (b"no JSON", [], {"registrationId": 1}, {**good, "payload": "x" * 9000}):
        status, _, answer = ask(service, name, body=body, **mine)
        assert (status, answer["errorCode"]) == (400, 400004), body
    assert ask(service, name, body=good, version="2001-01-01", **mine)[0] == 400
    assert ask(service, f"{name}%20x", body=good, **mine)[0] == 400
    status, headers, _ = ask(service, name, "POST", "/register", good, **mine)
    assert (status, headers["allow"]) == (405, "PUT")
    assert ask(service, name, "DELETE", "", **mine)[0] in (0, 405)  # DELETE begins no HTTP here
    assert ask(service, name, "PUT", "/other", good, **mine)[0] == 404
    monkeypatch.setattr(registrations, "MAX_PENDING", 0)
    status, headers, answer = ask(service, name, body=good, **mine)
    assert (status, headers["retry-after"], answer["errorCode"]) == (429, "5", 429001)
