# SPDX-License-Identifier: Apache-2.0
"""Attacks on the device endpoint with many requests in one segment, and with replies that nobody reads."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from pathlib import Path

import pytest
from tests.api.running_service import application
from tests.fixtures.waiting import wait_until

from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice

CHALLENGE = b"GET /v1/challenge HTTP/1.1\r\nhost: x\r\n\r\n"
# Descriptors that a fair exchange may add: the connection and an open image.
FAIR_DESCRIPTORS = 8


def received(connection: ssl.SSLSocket, until_s: float = 10.0) -> bytes:
    """Everything the endpoint sends until it closes."""
    connection.settimeout(until_s)
    data = b""
    with contextlib.suppress(OSError):
        while chunk := connection.recv(65536):
            data += chunk
    return data


def descriptors() -> int:
    """Open files of this process, in which the service runs."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def check_in_request(device: WireDevice) -> bytes:
    body = device.request_body()
    return f"POST /v1/check-in HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def deploy_image(host: ServiceHost, size: int) -> str:
    """An application of ``size`` bytes for every device of the group Production."""
    image_id, package = application(size=size)
    host.service.updates.images.upload("Contoso", package, actor="t")
    host.service.updates.deployments.create("Contoso", "Kettle", "Production", (image_id,), actor="t")
    return str(image_id)


def test_one_request_after_the_other_is_answered_on_one_connection(host: ServiceHost) -> None:
    with host.claimed(b"1" * 32) as device:
        assert device.check_in().verdict == "attested"
        assert device.exchange("GET", "/v1/challenge").status == 200
        assert device.check_in().verdict == "attested"


@pytest.mark.parametrize("second", [CHALLENGE, b"\x00 not a request\r\n\r\n"])
def test_no_reply_overtakes_the_one_before(host: ServiceHost, second: bytes) -> None:
    with host.claimed(b"2" * 32) as device:
        request = check_in_request(device)
        recorded = host.service.serving.server.endpoint.counts["check-ins"]
        connection = device.connect()
        connection.sendall(request + second)
        data = received(connection)
        assert data.count(b"HTTP/1.1 ") == 0, "the second request was answered while the first was being recorded"
        wait_until_recorded(host, recorded + 1)
        device.connect()
        device.challenge = b""
        assert device.check_in().verdict == "attested"


def wait_until_recorded(host: ServiceHost, check_ins: int) -> None:
    """Until so many are recorded, also those whose connection was cut off: before, their device is told to wait."""
    wait_until(
        lambda: host.service.serving.server.endpoint.counts["check-ins"] >= check_ins, "the record of the check-in"
    )


def test_requests_after_a_last_one_are_not_answered(host: ServiceHost) -> None:
    with host.claimed(b"3" * 32) as device:
        connection = device.connect()
        connection.sendall(CHALLENGE.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n") + CHALLENGE)
        assert received(connection).count(b"HTTP/1.1 200") == 1


def test_a_burst_of_image_requests_opens_one_file(host: ServiceHost) -> None:
    with host.claimed(b"4" * 32) as device:
        image_id = deploy_image(host, 300_000)
        device.check_in()
        request = f"GET /v1/images/{image_id} HTTP/1.1\r\nhost: x\r\n\r\n".encode()
        assert device.exchange("GET", f"/v1/images/{image_id}").status == 200
        before = descriptors()
        plain = socket.create_connection((device.host, device.port), timeout=10)
        with device.tls_context().wrap_socket(plain, server_hostname=device.host) as connection:
            connection.sendall(request * 300)
            deadline = time.monotonic() + 1.0
            most = 0
            while time.monotonic() < deadline:
                most = max(most, descriptors())
                time.sleep(0.02)
        assert most - before <= FAIR_DESCRIPTORS
        device.connect()
        assert device.exchange("GET", f"/v1/images/{image_id}").status == 200


def test_replies_that_nobody_reads_stop_the_requests(host: ServiceHost) -> None:
    with host.claimed(b"5" * 32) as device, host.claimed(b"6" * 32) as other:
        connection = device.connect()
        connection.settimeout(2.0)
        sent = 0
        with contextlib.suppress(OSError):  # the endpoint stops reading, so that sending stops
            while sent < 200 * 2**20:
                connection.sendall(CHALLENGE * 100)
                sent += 100 * len(CHALLENGE)
        assert sent < 200 * 2**20
        assert other.check_in().verdict == "attested"
