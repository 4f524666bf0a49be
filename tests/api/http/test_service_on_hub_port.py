# SPDX-License-Identifier: Apache-2.0
"""IoT Hub's service API on the hub's own port: who is let in, what is answered there, and what is not."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import time
from collections.abc import Mapping
from typing import Any

from tests.api.mqtt_device import HubDevice
from tests.api.running_service import RunningService, own_service

from armillary.hub.link import http_opening
from armillary.wire.hub.sas_token import decode_key, sign_sas_token

VERSION = "api-version=2021-04-12"

service = own_service("Contoso")  # no catalog admits anybody but devices that attest


def trust(service: RunningService) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(service.root))


def channel(service: RunningService) -> ssl.SSLSocket:
    """A TLS connection to the hub's port without a client certificate; the server has taken it when this returns."""
    plain = socket.create_connection(("localhost", service.hub_port), timeout=20)
    return trust(service).wrap_socket(plain, server_hostname="localhost")


def make_key(service: RunningService, name: str, role: str = "Contributor") -> str:
    made = service.call("POST", "/api/v1/catalogs/Contoso/hub-service-keys", {"name": name, "role": role})
    assert made.status == 200, made.body
    assert made.body["connection_string"].startswith(f"HostName=localhost:{service.port};")
    return sign_sas_token("localhost", decode_key(made.body["key"]), int(time.time()) + 600, name)


class Caller:
    """One kept connection to the hub's port."""

    def __init__(self, service: RunningService, authorization: str) -> None:
        self.connection = http.client.HTTPSConnection("localhost", service.hub_port, context=trust(service), timeout=20)
        self.authorization = authorization

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        sent: Mapping[str, str] = {
            "Authorization": self.authorization,
            "Content-Type": "application/json",
            **headers,
        }
        self.connection.request(method, path, None if body is None else json.dumps(body), sent)
        response = self.connection.getresponse()
        raw = response.read()
        assert response.status == 204 or response.headers["content-type"].startswith("application/json"), raw
        return response.status, json.loads(raw) if raw else None


def is_let_in(service: RunningService) -> bool:
    """Whether the hub's TLS takes a client without a certificate (TLS 1.3 says no with the first answer)."""
    try:
        with channel(service) as tls:
            tls.sendall(f"GET /devices?{VERSION} HTTP/1.1\r\nhost: h\r\n\r\n".encode())
            return tls.recv(12) == b"HTTP/1.1 401"
    except OSError:
        return False


def test_the_service_api_is_answered_where_devices_connect(service: RunningService) -> None:
    assert not is_let_in(service)  # nobody without a certificate has any business here
    reader = make_key(service, "reader", "Reader")
    assert is_let_in(service)
    signed = make_key(service, "writer")

    caller = Caller(service, signed)
    assert caller.call("PUT", f"/devices/pump-1?{VERSION}", {"deviceId": "pump-1"})[0] == 200
    status, twin = caller.call("PATCH", f"/twins/pump-1?{VERSION}", {"tags": {"floor": 2}})
    assert (status, twin["tags"]) == (200, {"floor": 2})
    status, found = caller.call("POST", f"/devices/query?{VERSION}", {"query": "SELECT deviceId FROM devices"})
    assert (status, found) == (200, [{"deviceId": "pump-1"}])
    many = [
        {"id": f"bulk-{n}", "importMode": "create", "statusReason": "x" * 120, "tags": "y" * 1000} for n in range(99)
    ]
    assert len(json.dumps(many)) > 100 * 1024  # more than a device's request may have
    assert caller.call("POST", f"/devices?{VERSION}", many)[0] == 200
    for path in ("/devices/", "/devices", "/devices/pump-1/", "/statistics/devices/", "/twins/pump-1/"):
        assert caller.call("GET", f"{path}?{VERSION}")[0] == 200, path
    assert caller.call("DELETE", f"/devices/bulk-1?{VERSION}", None, **{"If-Match": "*"})[0] == 204

    # The same people are let in as on the operator API's port, and to the same.
    assert Caller(service, f"Bearer {service.token}").call("GET", f"/devices/pump-1?{VERSION}")[0] == 200
    assert Caller(service, reader).call("PUT", f"/devices/pump-2?{VERSION}", {})[0] == 403
    for wrong in ("", "Bearer nonsense", signed.replace("sig=", "sig=A")):
        assert Caller(service, wrong).call("GET", f"/devices/pump-1?{VERSION}")[0] == 401


def test_without_a_service_key_nobody_without_a_certificate_is_let_in_again(service: RunningService) -> None:
    keys = "/api/v1/catalogs/Contoso/hub-service-keys"
    make_key(service, "last")
    assert is_let_in(service)
    for each in service.call("GET", keys).body["items"]:
        assert service.call("DELETE", f"{keys}/{each['name']}").status == 200
    assert not is_let_in(service)
    make_key(service, "another")  # for the tests that follow


def test_nothing_else_of_the_api_is_reached_there(service: RunningService) -> None:
    caller = Caller(service, f"Bearer {service.token}")
    assert caller.call("GET", f"/devices?{VERSION}")[0] == 200  # the connection is one for services
    for path in ("/api/v1/tokens", "/metrics", "/api/v1/me", "/iothub/devices", "/iothub/statistics/devices"):
        status, body = caller.call("GET", path)
        assert (status, body) == (404, {"Message": "ErrorCode:NotFound;there is no such route"}), path
        assert service.call("GET", path).status == 200, path  # the control: on the operator API's own port
    # As first request such a path is one of devices, who have none of the kind.
    for path in ("/api/v1/tokens", f"/devices/a/messages/devicebound?{VERSION}", f"/devices/a/files?{VERSION}"):
        assert Caller(service, f"Bearer {service.token}").call("POST", path, {})[0] in (401, 404), path
    for path in (f"/jobs/v2/x?{VERSION}", f"/digitaltwins/x?{VERSION}"):
        status, body = caller.call("GET", path)
        assert (status, body["ExceptionMessage"]) == (404, "request.no-route"), path


def test_one_connection_carries_what_services_and_devices_ask(service: RunningService) -> None:
    """Clients keep connections for whatever they ask next: Node's keep one pool for a whole process."""
    made = service.call("POST", "/api/v1/catalogs/Contoso/hub-devices", {"device_id": "both", "authentication": "sas"})
    service.service.hub_access.identities.set_admission("Contoso", actor="test", symmetric_keys=True)
    key = decode_key(made.body["connection_string"].partition("SharedAccessKey=")[2])
    device = sign_sas_token("localhost/devices/both", key, int(time.time()) + 600)
    listing, upload = f"/devices?{VERSION}", f"/devices/both/files?{VERSION}"
    operator = f"Bearer {service.token}"
    try:
        for first in (True, False):
            caller = Caller(service, operator)
            for is_service in (first, not first, not first, first):
                caller.authorization = operator if is_service else device
                status, body = (
                    caller.call("GET", listing) if is_service else caller.call("POST", upload, {"blobName": "log.txt"})
                )
                assert status == 200, body
                assert is_service or body["hostName"] == f"localhost:{service.port}"
            # What a device may not ask it may not ask here either, and whoever shows nothing is nobody.
            for shown, path, refusal in (
                (device, "/devices/other/files", 401),
                ("", upload, 401),
                (operator, upload, 401),
            ):
                caller.authorization = shown
                assert caller.call("POST", path, {"blobName": "x"})[0] == refusal, (shown, path)
            caller.authorization = device
            assert caller.call("GET", listing)[0] == 401
            assert caller.call("POST", upload, {"blobName": "x" * 70_000})[0] == 413
    finally:
        service.service.hub_access.identities.set_admission("Contoso", actor="test", symmetric_keys=False)


def test_a_first_line_in_pieces_is_one_line_and_one_without_end_is_refused(
    service: RunningService,
) -> None:
    request = f"GET /devices?{VERSION} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {service.token}\r\n\r\n".encode()
    with channel(service) as tls:
        for n in range(len(request)):
            tls.sendall(request[n : n + 1])
        assert tls.recv(12) == b"HTTP/1.1 200"
    with channel(service) as tls, contextlib.suppress(ConnectionError):
        tls.sendall(b"GET /devices/" + b"x" * (http_opening.MAX_LINE_BYTES * 3))
        assert tls.recv(12) in (b"", b"HTTP/1.1 414")  # the WebSocket's limit, which it then has


def test_a_client_without_certificate_speaks_no_mqtt_there(service: RunningService) -> None:
    """That services are let in by TLS opens nothing to devices: the control is the same client as a hub device."""
    made = service.call(
        "POST", "/api/v1/catalogs/Contoso/hub-devices", {"device_id": "cable-1", "authentication": "sas"}
    ).body
    key = decode_key(made["connection_string"].partition("SharedAccessKey=")[2])

    def answer() -> int:
        with HubDevice(service, "cable-1", key) as client:
            return client.connack[0]

    assert answer() != 0
    service.service.hub_access.identities.set_admission("Contoso", actor="test", symmetric_keys=True)
    try:
        assert answer() == 0
    finally:
        service.service.hub_access.identities.set_admission("Contoso", actor="test", symmetric_keys=False)
