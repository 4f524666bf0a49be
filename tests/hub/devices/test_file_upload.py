# SPDX-License-Identifier: Apache-2.0
"""Files of devices: three steps over real TLS, who may not, what is made of names, and every limit."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import sys
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, strategies as st
from tests.api.running_service import RunningService, own_service, wait_until
from tests.attacks.test_hub_device_attacks import sas_device, token
from tests.fixtures.certificates import self_signed
from tests.hub.wire_client import WireClient

from armillary.engines.hub import uploads
from armillary.errors import InvalidArgumentError
from armillary.hub.devices import upload_room
from armillary.hub.devices.files import harmless
from armillary.hub.link import admission
from armillary.hub.link.https import HttpChannel
from armillary.hub.provisioning import routes as device_https
from armillary.service.hub_access.identities import IdentityForm
from armillary.wire.mqtt.fields import Property

service = own_service("Contoso", admits={"certificates": True, "symmetric_keys": True})


class Uploader:
    """A device that asks over HTTP, with a token or a certificate."""

    def __init__(self, service: RunningService, name: str, key: bytes | None, certificate: Path | None = None) -> None:
        self.service, self.name, self.key = service, name, key
        self.context = ssl.create_default_context(cafile=str(service.root))
        if certificate is not None:
            self.context.load_cert_chain(certificate)

    def ask(self, path: str, body: Any, *, method: str = "POST", shown: str | None = "") -> tuple[int, Any]:
        connection = http.client.HTTPSConnection("localhost", self.service.hub_port, context=self.context, timeout=20)
        headers = {}
        if shown == "" and self.key is not None:
            shown = token(self.name, self.key)
        if shown:
            headers["Authorization"] = shown
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            connection.request(method, path, body=data, headers=headers)
            response = connection.getresponse()
            raw = response.read()
            return response.status, json.loads(raw) if raw else None
        finally:
            connection.close()

    def begin(self, blob: str = "photo.jpg") -> dict[str, str]:
        status, place = self.ask(f"/devices/{self.name}/files?api-version=2021-04-12", {"blobName": blob})
        assert status == 200, place
        return dict(place)

    def notify(self, place: dict[str, str], *, good: bool = True) -> int:
        body = {
            "correlationId": place["correlationId"],
            "isSuccess": good,
            "statusCode": 201,
            "statusDescription": "ok",
        }
        return self.ask(f"/devices/{self.name}/files/notifications", body)[0]


def put(service: RunningService, place: dict[str, str], content: bytes, *, extra: str = "", token_: str = "") -> Any:
    path = f"/{place['containerName']}/{quote(place['blobName'])}{token_ or place['sasToken']}{extra}"
    return service.call("PUT", path, content, token=None, headers={"x-ms-blob-type": "BlockBlob"})


@pytest.fixture
def device(service: RunningService) -> Uploader:
    name, keys = sas_device(service, "Contoso")
    return Uploader(service, name, keys.primary)


def listed(service: RunningService, device: Uploader) -> list[dict[str, Any]]:
    return list(service.call("GET", f"/api/v1/devices/{device.name}/files").body["items"])


def test_a_file_arrives_in_three_steps_and_is_downloaded_and_deleted(service: RunningService, device: Uploader) -> None:
    place = device.begin("../../etc/pa ss wd<>.txt")
    assert place["hostName"] == f"localhost:{service.port}"
    assert place["blobName"] == f"{device.name}/pa ss wd__.txt"
    content = b"x" * 300_000
    assert put(service, place, content).status == 201
    assert device.notify(place) == 204
    (found,) = listed(service, device)
    assert (found["state"], found["size"], found["status"]) == ("confirmed", 300_000, "201 ok")
    path = f"/api/v1/devices/{device.name}/files/{found['upload_id']}"
    got = service.call("GET", path)
    assert got.raw == content
    assert got.headers["content-disposition"].startswith("attachment")
    assert got.headers["x-content-type-options"] == "nosniff"
    assert service.call("DELETE", path, token=service.token_of("Reader")).status == 403
    assert service.call("DELETE", path).status == 200
    assert service.call("GET", path).status == 404
    assert listed(service, device) == []


def test_blocks_are_joined_in_the_order_of_the_list(service: RunningService, device: Uploader) -> None:
    place = device.begin()
    for name, content in (("b", b"two"), ("a", b"one-"), ("unused", b"three")):
        assert put(service, place, content, extra=f"&comp=block&blockid={name}").status == 201
    order = b'<?xml version="1.0"?><BlockList><Latest>a</Latest><Latest>b</Latest></BlockList>'
    assert put(service, place, order, extra="&comp=blocklist").status == 201
    (found,) = listed(service, device)
    assert service.call("GET", f"/api/v1/devices/{device.name}/files/{found['upload_id']}").raw == b"one-two"


def test_a_certificate_opens_it_too(service: RunningService, tmp_path: Path) -> None:
    name = f"camera-{uuid.uuid4().hex[:6]}"
    path, pem, _ = self_signed(tmp_path, name)
    body = {"device_id": name, "certificate": pem}
    assert service.call("POST", "/api/v1/catalogs/Contoso/hub-devices", body).status == 200
    device = Uploader(service, name, None, path)
    assert put(service, device.begin(), b"picture").status == 201
    other, _ = sas_device(service, "Contoso")
    assert device.ask(f"/devices/{other}/files", {"blobName": "a"})[0] == 401


def test_who_is_not_let_in_gets_no_place(service: RunningService, device: Uploader) -> None:
    other, keys = sas_device(service, "Contoso")
    path = f"/devices/{device.name}/files"
    for shown in (None, token(device.name, keys.primary), token(other, keys.primary), "Bearer " + service.token):
        assert device.ask(path, {"blobName": "a"}, shown=shown)[0] == 401
    expired = token(device.name, device.key or b"", ends_in_s=-1)
    assert device.ask(path, {"blobName": "a"}, shown=expired)[0] == 401
    assert device.ask(path, {"blobName": "a"})[0] == 200


def test_an_address_is_good_for_one_file_once_and_for_an_hour(
    service: RunningService, device: Uploader, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = device.begin()
    edited = place["sasToken"].replace("sig=", "sig=A")
    later = place["sasToken"].replace("&se=", "&se=9")
    assert put(service, place, b"x", token_=edited).status == 403
    assert put(service, {**place, "blobName": f"{device.name}/other.jpg"}, b"x").status == 403
    assert put(service, {**place, "blobName": "other/photo.jpg"}, b"x").status == 403
    assert put(service, place, b"x", token_="?si=x&sig=y").status == 403
    with monkeypatch.context() as patch:
        patch.setattr(service.hub.files, "_now_ms", lambda: int(4e12))
        assert put(service, place, b"x", token_=later).status == 403
    assert put(service, place, b"first").status == 201
    assert put(service, place, b"second").status == 409
    (found,) = listed(service, device)
    assert service.call("GET", f"/api/v1/devices/{device.name}/files/{found['upload_id']}").raw == b"first"


def test_another_device_neither_notifies_nor_downloads(service: RunningService, device: Uploader) -> None:
    name, keys = sas_device(service, "Contoso")
    other = Uploader(service, name, keys.primary)
    place = device.begin()
    put(service, place, b"x")
    assert other.notify(place) == 404
    assert service.call("GET", f"/api/v1/devices/{name}/files/{place['correlationId']}").status == 404
    assert service.call("DELETE", f"/api/v1/devices/{name}/files/{place['correlationId']}").status == 404
    assert device.notify(place) == 204
    assert device.notify(place) == 404


def test_a_notification_may_name_its_upload_in_the_path(service: RunningService, device: Uploader) -> None:
    place = device.begin()
    assert put(service, place, b"x").status == 201
    path = f"/devices/{device.name}/files/notifications/{quote(place['correlationId'])}?api-version=2021-04-12"
    assert device.ask(path, {"isSuccess": True, "statusCode": 200, "statusDescription": "ok"})[0] == 204
    assert [each["state"] for each in listed(service, device)] == ["confirmed"]


def test_a_failed_upload_leaves_no_bytes(service: RunningService, device: Uploader) -> None:
    place = device.begin()
    put(service, place, b"x")
    assert device.notify(place, good=False) == 204
    assert listed(service, device)[0]["state"] == "failed"
    folder = service.service.context.folder.path / "hub" / "files"
    assert not list(folder.glob(f"{place['correlationId']}*"))
    without = device.begin("empty")
    assert device.notify(without) == 204
    assert listed(service, device)[0]["state"] == "failed"  # it said good, and there are no bytes


def test_everything_is_bounded(service: RunningService, device: Uploader, monkeypatch: pytest.MonkeyPatch) -> None:
    places = [device.begin(f"f-{number}") for number in range(uploads.MAX_OPEN)]
    status, body = device.ask(f"/devices/{device.name}/files", {"blobName": "one-more"})
    assert (status, "open uploads" in body["Message"]) == (429, True)
    monkeypatch.setattr(upload_room, "MAX_FILE_BYTES", 10)
    assert put(service, places[0], b"x" * 11).status == 400
    assert put(service, places[0], b"x" * 10).status == 201
    assert put(service, places[1], b"<!DOCTYPE a [<!ENTITY b 'c'>]><BlockList/>", extra="&comp=blocklist").status == 400
    assert (
        put(service, places[1], b"<BlockList><Latest>gone</Latest></BlockList>", extra="&comp=blocklist").status == 400
    )
    assert put(service, places[1], b"x", extra="&comp=other").status == 400
    assert put(service, places[1], b"x", extra="&comp=block&blockid=" + "b" * 101).status == 400


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/devices/{}/files", b"no JSON", 400),
        ("/devices/{}/files", {"blobName": 7}, 400),
        ("/devices/{}/files", {"blobName": "///"}, 400),
        ("/devices/{}/files/notifications", {"correlationId": "x", "isSuccess": "yes"}, 400),
        ("/devices/{}/files/notifications", {"correlationId": "x", "isSuccess": True}, 404),
        ("/devices/{}/files/notifications/x", {"isSuccess": True}, 404),
        ("/devices/{}/files/notifications/x", {"correlationId": "y", "isSuccess": True}, 400),
        ("/devices/{}/other", {}, 404),
        ("/other", {}, 404),
        ("/devices/nobody/files", {"blobName": "a"}, 401),
    ],
)
def test_bad_requests_are_explained(
    service: RunningService, device: Uploader, path: str, body: Any, status: int
) -> None:
    got, answer = device.ask(path.format(device.name), body)
    assert got == status
    assert answer["Message"]
    assert device.ask(f"/devices/{device.name}/files", {}, method="PUT")[0] == 405


def test_requests_that_are_too_large_or_no_http_end_the_connection(service: RunningService, device: Uploader) -> None:
    assert device.ask(f"/devices/{device.name}/files", b"x" * 70_000)[0] == 400
    plain = socket.create_connection(("localhost", service.hub_port))
    with device.context.wrap_socket(plain, server_hostname="localhost") as secure:
        secure.sendall(b"POST nonsense\r\n\r\n")
        assert b"400" in secure.recv(1000)
    wait_until(lambda: not service.hub.front.https._channels, "all closed")  # type: ignore[union-attr]


def test_who_connects_and_asks_nothing_keeps_nobody_out(
    service: RunningService, device: Uploader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_https, "MAX_CONNECTIONS", 3)
    found = service.hub.front.https
    assert found is not None

    def idle() -> ssl.SSLSocket:
        plain = socket.create_connection(("localhost", service.hub_port))
        secure = device.context.wrap_socket(plain, server_hostname="localhost")
        secure.sendall(b"POST /devices/x/files HTTP/1.1\r\n")
        return secure

    def crowd() -> list[ssl.SSLSocket]:
        wait_until(lambda: not found._channels, "nobody is there")
        made: list[ssl.SSLSocket] = []
        for _ in range(3):  # one after the other: the hub, too, knows who came first
            made.append(idle())
            wait_until(lambda: len(found._channels) == len(made), "it is there")
        return made

    waiting = crowd()
    assert device.begin()["correlationId"]
    assert waiting[0].recv(1) == b""  # who waits longest
    for each in waiting[1:]:  # the others stay
        each.settimeout(0.2)
        with pytest.raises(TimeoutError):
            each.recv(1)
    for each in waiting:
        each.close()
    monkeypatch.setattr(HttpChannel, "is_waiting", False)
    waiting = crowd()
    with pytest.raises((ConnectionError, ssl.SSLError, http.client.HTTPException)):
        device.begin()  # the control
    for each in waiting:
        each.close()


@given(st.text(max_size=300))
def test_names_are_harmless(name: str) -> None:
    try:
        kept = harmless(name)
    except InvalidArgumentError:
        return
    assert 1 <= len(kept) <= 200
    assert "/" not in kept
    assert "\\" not in kept
    assert not kept.startswith((".", " "))
    assert kept.isascii()
    assert kept.isprintable()


def test_who_is_not_let_in_does_not_learn_which_devices_there_are(
    service: RunningService, device: Uploader, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Every route of devices over HTTPS, and MQTT 5: a device that is there, one that is disabled, one that is not."""
    disabled, keys = sas_device(service, "Contoso")
    service.service.hub_access.identities.put(
        disabled, IdentityForm(authentication="sas", is_enabled=False), actor="test", create=False
    )
    own = f"camera-{uuid.uuid4().hex[:6]}"
    _, pem, _ = self_signed(tmp_path, own)
    body = {"device_id": own, "certificate": pem}
    assert service.call("POST", "/api/v1/catalogs/Contoso/hub-devices", body).status == 200
    paths = ("files", "files?api-version=2021-04-12", "files/notifications", "files/notifications/x", "files/")
    shown_by = {
        "nothing": lambda _: None,
        "no token": lambda _: "Bearer x",
        "half a token": lambda _: "SharedAccessSignature sr=x",
        "another key": lambda name: token(name, b"k" * 32),
        "one that is over": lambda name: token(name, keys.primary, ends_in_s=-1),
    }

    def answers() -> list[set[Any]]:
        found: list[set[Any]] = []
        for path in paths:
            for make in shown_by.values():
                each = {
                    name: device.ask(f"/devices/{name}/{path}", {"blobName": "a"}, shown=make(name))
                    for name in (device.name, disabled, own, "nobody-at-all")
                }
                assert all(status == 401 for status, _ in each.values()), each
                found.append({json.dumps(answer).replace(name, "NAME") for name, (_, answer) in each.items()})
        said = set()
        for name in (device.name, disabled, own, "nobody-at-all"):  # MQTT 5 has a sentence as well
            client = WireClient(service.hub_port, context=device.context)
            refused = client.connect(client_id=name, username=f"localhost/{name}/", password=b"x")
            said.add((refused.reason, str(dict(refused.properties)[Property.REASON_STRING]).replace(name, "NAME")))
            client.close()
        return [*found, said]

    assert all(len(each) == 1 for each in answers())
    # Mutation: with the reasons themselves they can be told apart.
    monkeypatch.setattr(admission, "NotLetInError", lambda *_, **__: sys.exception())
    assert all(len(each) > 1 for each in answers()), "the control"
