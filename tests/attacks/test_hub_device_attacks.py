# SPDX-License-Identifier: Apache-2.0
"""Who is not let in with a shared access signature or a certificate of his own, with the honest one beside him.

Each attack has a positive control: the honest request passes, and with the one check taken away the attack gets through.
"""

from __future__ import annotations

import ssl
import time
from pathlib import Path
from typing import Any, Self

import paho.mqtt.client as mqtt
import pytest
from tests.api.running_service import RunningService, fresh, wait_until
from tests.fixtures.certificates import self_signed

from armillary.errors import ConflictError, InvalidArgumentError
from armillary.service.hub_access import clients as hub_clients
from armillary.service.hub_access.identities import IdentityForm, Keys
from armillary.wire.hub.sas_token import sign_sas_token


@pytest.fixture
def catalog(service: RunningService) -> str:
    return service.make_catalog(fresh("H"), certificates=True, symmetric_keys=True)


def sas_device(service: RunningService, catalog: str, name: str = "") -> tuple[str, Keys]:
    owner = service.service.registry.catalogs.get(catalog).catalog_id
    name = name or fresh("cable")
    _, keys = service.service.hub_access.identities.put(
        name, IdentityForm(authentication="sas"), actor="test", catalog_id=owner, create=True
    )
    assert keys is not None
    return name, keys


def token(name: str, key: bytes, *, ends_in_s: int = 600) -> str:
    return sign_sas_token(f"localhost/devices/{name.replace('/', '/modules/')}", key, int(time.time()) + ends_in_s)


class Client:
    """A paho client that says how CONNECT went: 0, a return code, or "tls"."""

    def __init__(
        self,
        service: RunningService,
        client_id: str,
        *,
        password: str | None = None,
        certificate: Path | None = None,
        username: str | None = None,
    ) -> None:
        self.connack: Any = None
        self.lost: list[Any] = []
        self.messages: list[tuple[str, bytes]] = []
        self.published: set[int] = set()
        context = ssl.create_default_context(cafile=str(service.root))
        if certificate is not None:
            context.load_cert_chain(certificate)
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=False, reconnect_on_failure=False
        )
        self.client.tls_set_context(context)
        self.client.username_pw_set(username or f"localhost/{client_id}/?api-version=2021-04-12", password)
        self.client.on_connect = lambda _c, _u, _f, reason, _p: setattr(self, "connack", reason.value)
        self.client.on_disconnect = lambda _c, _u, _f, reason, _p: self.lost.append(reason)
        self.client.on_message = lambda _c, _u, message: self.messages.append((message.topic, message.payload))
        self.client.on_publish = lambda _c, _u, mid, _r, _p: self.published.add(mid)
        try:
            self.client.connect("localhost", service.hub_port)
        except (ssl.SSLError, ConnectionError):
            self.connack = "tls"
            return
        self.client.loop_start()
        wait_until(lambda: self.connack is not None or self.lost, "CONNACK")
        if self.connack is None:
            self.connack = "tls"

    def __enter__(self) -> Self:
        return self

    def wait_published(self, mid: int) -> None:
        wait_until(lambda: mid in self.published, "PUBACK")

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def outcome(service: RunningService, client_id: str, **options: Any) -> Any:
    with Client(service, client_id, **options) as client:
        return client.connack


NOT_AUTHORIZED, BAD_ID = 135, 133


def test_an_honest_token_opens_its_own_identity_with_either_key(service: RunningService, catalog: str) -> None:
    name, keys = sas_device(service, catalog)
    for key in (keys.primary, keys.secondary):
        with Client(service, name, password=token(name, key)) as client:
            assert client.connack == 0
            mid = client.client.publish(f"devices/{name}/messages/events/", b'{"t": 21.5}', qos=1).mid
            client.wait_published(mid)
    values = wait_until(lambda: service.call("GET", f"/api/v1/devices/{name}/telemetry").body["items"], "the value")
    assert values[0]["value"] == 21.5
    shown = service.call("GET", f"/api/v1/hub-devices/{name}").body
    assert (shown["trust_tier"], shown["authentication"]) == ("unattested", "sas")
    assert "primary_key" not in shown
    assert service.call("GET", f"/api/v1/devices/{name}/twin").body["deviceId"] == name


def test_expired_edited_foreign_and_wrong_tokens_open_nothing(
    service: RunningService, catalog: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, keys = sas_device(service, catalog)
    other, others = sas_device(service, catalog)
    honest = token(name, keys.primary)
    attacks = {
        "expired": token(name, keys.primary, ends_in_s=-1),
        "edited": honest.replace("&se=", "&se=9"),
        "another device's": token(other, others.primary),
        "ours, signed by another's key": token(name, others.primary),
        "another's name, our key": token(other, keys.primary),
        "a module's": token(f"{name}/m", keys.primary),
        "none": None,
        "garbage": "arm_0000",
    }
    assert outcome(service, name, password=honest) == 0
    for what, password in attacks.items():
        assert outcome(service, name, password=password) == NOT_AUTHORIZED, what
    assert outcome(service, other, password=honest) == NOT_AUTHORIZED
    monkeypatch.setattr(hub_clients, "verify_sas_token", lambda _, **__: int(time.time()) + 60)
    for what in ("expired", "edited", "another device's", "ours, signed by another's key", "another's name, our key"):
        assert outcome(service, name, password=attacks[what]) == 0, what


def test_a_token_is_worth_nothing_once_the_device_is_disabled_rekeyed_or_deleted(
    service: RunningService, catalog: str
) -> None:
    name, keys = sas_device(service, catalog)
    password = token(name, keys.primary)
    path = f"/api/v1/hub-devices/{name}"
    with Client(service, name, password=password) as client:
        assert client.connack == 0
        assert service.call("PATCH", path, {"enabled": False, "status_reason": "lost"}).body["enabled"] is False
        wait_until(lambda: client.lost, "the connection is closed")
    assert outcome(service, name, password=password) == NOT_AUTHORIZED
    service.call("PATCH", path, {"enabled": True})
    assert outcome(service, name, password=password) == 0
    made = service.call("PATCH", path, {"new_keys": True}).body
    assert made["connection_string"].startswith(f"HostName=localhost;DeviceId={name};SharedAccessKey=")
    assert outcome(service, name, password=password) == NOT_AUTHORIZED
    assert service.call("DELETE", path).status == 200
    assert outcome(service, name, password=password) == NOT_AUTHORIZED


def test_an_open_connection_ends_with_its_token(service: RunningService, catalog: str) -> None:
    name, keys = sas_device(service, catalog)
    with Client(service, name, password=token(name, keys.primary, ends_in_s=3)) as client:
        assert client.connack == 0
        wait_until(lambda: client.lost, "the connection is closed")


def test_a_catalog_admits_neither_until_it_says_so_and_not_any_more_when_it_says_no(
    service: RunningService, tmp_path: Path
) -> None:
    name = service.make_catalog(fresh("N"))
    device, keys = sas_device(service, name)
    assert outcome(service, device, password=token(device, keys.primary)) == NOT_AUTHORIZED
    path = f"/api/v1/catalogs/{name}/hub-admission"
    assert service.call("GET", path).body["symmetric_keys"] is False
    assert service.call("PATCH", path, {"symmetric_keys": True}, token=service.token_of("Contributor")).status == 403
    assert service.call("PATCH", path, {"symmetric_keys": True}).body["certificates"] is False
    with Client(service, device, password=token(device, keys.primary)) as client:
        assert client.connack == 0
        service.call("PATCH", path, {"symmetric_keys": False})
        wait_until(lambda: client.lost, "the connection is closed")
    assert outcome(service, device, password=token(device, keys.primary)) == NOT_AUTHORIZED


def test_a_device_that_attests_never_gets_a_key_and_no_token_opens_it(service: RunningService, catalog: str) -> None:
    attested = service.make_device().device_id
    owner = service.service.registry.catalogs.get(catalog).catalog_id
    identities = service.service.hub_access.identities
    for identity in (attested, attested.upper(), f"{attested}/m"):
        for way in ("sas", "selfSigned"):
            with pytest.raises(InvalidArgumentError, match="attests"):
                identities.put(identity, IdentityForm(authentication=way), actor="t", catalog_id=owner, create=True)
    _, keys = sas_device(service, catalog)
    assert outcome(service, attested, password=token(attested, keys.primary)) == NOT_AUTHORIZED


def test_a_certificate_of_its_own_opens_its_own_identity_only(
    service: RunningService, catalog: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, other = fresh("pump"), fresh("pump")
    path, pem, _ = self_signed(tmp_path, name)
    others, others_pem, _ = self_signed(tmp_path, other)
    stranger, _, _ = self_signed(tmp_path, name)
    for device, certificate in ((name, pem), (other, others_pem)):
        body = {"device_id": device, "certificate": certificate}
        made = service.call("POST", f"/api/v1/catalogs/{catalog}/hub-devices", body)
        assert (made.status, made.body["certificate_known"]) == (200, True), made.body
    assert outcome(service, name, certificate=path) == 0
    assert outcome(service, name, certificate=stranger) == "tls"
    assert outcome(service, name, certificate=others) == NOT_AUTHORIZED
    assert outcome(service, name) == NOT_AUTHORIZED
    monkeypatch.setattr(hub_clients, "_by_thumbprint", lambda *_: None)
    assert outcome(service, name, certificate=others) == 0


def test_modules_show_their_own_or_their_devices(service: RunningService, catalog: str) -> None:
    name, keys = sas_device(service, catalog)
    assert outcome(service, f"{name}/m", password=token(f"{name}/m", keys.primary)) == NOT_AUTHORIZED
    path = f"/api/v1/hub-devices/{name}/modules"
    assert service.call("POST", path, {"module_id": "m"}).status == 200
    own = service.call("POST", path, {"module_id": "own", "authentication": "sas"}).body
    assert "ModuleId=own" in own["connection_string"]
    with Client(service, f"{name}/m", password=token(f"{name}/m", keys.primary)) as client:
        assert client.connack == 0
        topic = f"devices/{name}/modules/m/messages/events/%24.on=out"
        mid = client.client.publish(topic, b'{"speed": 3}', qos=1).mid
        wait_until(lambda: mid in client.published, "PUBACK")
        client.client.publish(f"devices/{name}/messages/events/", b"{}", qos=1)
        wait_until(lambda: client.lost, "its device's topic is not its own")
    assert outcome(service, f"{name}/own", password=token(f"{name}/own", keys.primary)) == NOT_AUTHORIZED
    items = wait_until(
        lambda: service.call("GET", f"/api/v1/devices/{name}/telemetry?module=m").body["items"], "the module's value"
    )
    assert items[0]["metric"] == "speed"
    assert service.call("GET", f"/api/v1/devices/{name}/telemetry").body["items"] == []
    listed = service.call("GET", path).body["items"]
    assert [each["module_id"] for each in listed] == ["m", "own"]
    with Client(service, f"{name}/m", password=token(f"{name}/m", keys.primary)) as client:
        assert service.call("DELETE", f"{path}/m").status == 200
        wait_until(lambda: client.lost, "a deleted module is closed")


def test_names_and_doubles_are_refused(service: RunningService, catalog: str) -> None:
    owner = service.service.registry.catalogs.get(catalog).catalog_id
    identities = service.service.hub_access.identities
    for wrong in ("", "a b", "a+b", "#", "$x", "a/b/c", "é", "a" * 129, "F" * 128):
        with pytest.raises(InvalidArgumentError):
            identities.put(wrong, IdentityForm(authentication="sas"), actor="t", catalog_id=owner, create=True)
    name, _ = sas_device(service, catalog)
    with pytest.raises(ConflictError):
        sas_device(service, catalog, name)


def test_a_token_of_another_catalog_sees_no_hub_device_of_ours(service: RunningService, catalog: str) -> None:
    name, _ = sas_device(service, catalog)
    mine, theirs = service.token_for(catalog), service.token_for(service.make_catalog(fresh("E")))
    for path in (f"/api/v1/hub-devices/{name}", f"/api/v1/devices/{name}/twin", f"/api/v1/devices/{name}/messages"):
        assert service.call("GET", path, token=mine).status == 200
        assert service.call("GET", path, token=theirs).status == 404


def test_keys_are_sealed_at_rest(service: RunningService, catalog: str) -> None:
    name, keys = sas_device(service, catalog)
    folder = service.service.context.folder.path
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert keys.primary not in content, path
            assert keys.secondary not in content, path
    assert set(service.service.hub_access.identities.keys_of(service.service.hub_access.identities.get(name))) == {
        keys.primary, keys.secondary,
    }  # fmt: skip


def test_modules_of_a_device_stay_with_the_owner_that_registered_them(service: RunningService, catalog: str) -> None:
    later = service.make_catalog(fresh("L"))
    attested = service.make_device().device_id
    service.service.registry.devices.claim(catalog, [attested], actor="test")
    path = f"/api/v1/hub-devices/{attested}/modules"
    assert service.call("POST", path, {"module_id": "edge"}).status == 200
    other = service.service.registry.catalogs.get(later).catalog_id
    offer = service.service.registry.transfers.offer(catalog, attested, other, actor="test")
    service.service.registry.transfers.accept(later, offer.transfer_id, actor="test")
    assert service.call("GET", path).body["items"] == []
    assert service.call("GET", f"/api/v1/devices/{attested}/twin?module=edge").status == 404
    assert service.call("DELETE", f"{path}/edge").status == 404
    made = service.call("POST", path, {"module_id": "edge"})
    assert (made.status, made.body["etag"]) == (200, "id-1")


def test_who_gets_a_name_again_gets_nothing_of_the_one_before(service: RunningService, catalog: str) -> None:
    name, keys = sas_device(service, catalog)
    path = f"/api/v1/devices/{name}"
    service.call("PATCH", f"{path}/twin", {"desired": {"secret": 1}})
    with Client(service, name, password=token(name, keys.primary)) as client:
        mid = client.client.publish(f"devices/{name}/messages/events/", b'{"t": 1}', qos=1).mid
        client.wait_published(mid)
    wait_until(lambda: service.call("GET", f"{path}/telemetry").body["items"], "the value")
    service.call("POST", f"{path}/messages", {"text": "for the old one"})
    upload, _ = service.hub.files.begin(name, "old.txt")
    with service.hub.files.part(upload, None) as part:
        part.write(b"old")
        service.hub.files.finish(upload, "", part)
    service.platform.documents.put("device", name, {"properties": {"secret": 1}}, by="test")
    assert service.call("DELETE", f"/api/v1/hub-devices/{name}").status == 200
    elsewhere = service.make_catalog(fresh("N"), symmetric_keys=True)
    _, later = sas_device(service, elsewhere, name)
    assert service.platform.documents.find("device", name) is None
    with Client(service, name, password=token(name, later.primary)) as client:
        assert client.connack == 0
        client.client.subscribe(f"devices/{name}/messages/devicebound/#", 1)
        assert service.call("GET", f"{path}/telemetry").body["items"] == []
        assert "secret" not in service.call("GET", f"{path}/twin").body["properties"]["desired"]
        assert service.call("GET", f"{path}/messages").body["items"] == []
        assert service.call("GET", f"{path}/files").body["items"] == []
        assert client.messages == []
    folder = service.service.context.folder.path / "hub" / "files"
    assert not (folder / upload.upload_id).exists()
