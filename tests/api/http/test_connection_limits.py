# SPDX-License-Identifier: Apache-2.0
"""Callers that hold connections, drip bytes, send without end or take nothing: they go, the others are served."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.api.running_service import RunningService, own_service, running_service

from armillary.api.http import connection

HALF_A_HEAD = b"GET /api/v1/health HTTP/1.1\r\nhost: x\r\n"
# An end that is due in half a second is waited for so long: less than the time after which any idle connection ends.
ENDS_S = 15.0
# Drips of 50 ms: eight to ten come before an end that is due in half a second, however slow the host is.
DRIPS = 150
WHOLE = b"GET /api/v1/health HTTP/1.1\r\nhost: x\r\n\r\n"

own = own_service()


@pytest.fixture
def opened(own: RunningService) -> Iterator[list[ssl.SSLSocket]]:
    connections: list[ssl.SSLSocket] = []
    yield connections
    for each in connections:
        each.close()


def dial(own: RunningService) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(own.root))
    plain = socket.create_connection(("localhost", own.port), timeout=20)
    return context.wrap_socket(plain, server_hostname="localhost")


def healthy(own: RunningService) -> bool:
    return own.call("GET", "/api/v1/health", token=None, fresh=True).status == 200


def answer(sock: ssl.SSLSocket) -> bytes:
    """Everything until the other side closes."""
    data = b""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while chunk := sock.recv(65536):
            data += chunk
    return data


def send_without_end(sock: ssl.SSLSocket, data: bytes) -> None:
    while True:
        sock.sendall(data)


def drips_until_its_end(sock: ssl.SSLSocket, drip: bytes) -> int:
    """How many drips the other side takes before it closes."""
    for count in range(DRIPS):
        try:
            sock.sendall(drip)
        except OSError:
            return count
        time.sleep(0.05)
    return DRIPS


def test_idle_unauthenticated_callers_take_no_place_from_others(
    own: RunningService, opened: list[ssl.SSLSocket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MAX_CONNECTIONS", 8)
    for _ in range(20):
        opened.append(dial(own))
        opened[-1].sendall(HALF_A_HEAD)
        assert healthy(own)
    opened[0].settimeout(10)
    assert answer(opened[0]) == b"", "the one that waited longest is the first to go"
    opened[-1].sendall(b"\r\n")
    assert opened[-1].recv(64).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("sent", [b"", HALF_A_HEAD, WHOLE + b"GET /api"])
def test_a_head_that_does_not_come_ends_the_connection(
    own: RunningService, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    with monkeypatch.context() as patch, dial(own) as sock:
        patch.setattr(connection, "HEAD_TIMEOUT_S", 0.4)
        sock.sendall(sent)
        sock.settimeout(ENDS_S)
        answer(sock)
    assert healthy(own)


def test_blank_lines_are_no_head(own: RunningService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_TIMEOUT_S", 1.0)
    with dial(own) as sock:
        sock.sendall(WHOLE)
        assert sock.recv(65536).startswith(b"HTTP/1.1 200")
        assert drips_until_its_end(sock, b"\r\n") < DRIPS


def test_a_head_that_drips_ends_too(own: RunningService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_TIMEOUT_S", 0.5)
    with dial(own) as sock:
        sock.sendall(HALF_A_HEAD)
        assert drips_until_its_end(sock, b"x: y\r\n") < DRIPS


def test_a_body_that_drips_ends_and_a_slow_one_is_taken(own: RunningService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "BODY_TIMEOUT_S", 0.5)
    monkeypatch.setattr(connection, "BODY_BYTES_A_SECOND", 2)
    body = json.dumps({"name": "n" * 60, "role": "Reader"}).encode()
    head = (
        f"POST /api/v1/tokens HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {own.token}\r\n"
        f"content-type: application/json\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode()
    with dial(own) as slow:  # Longer than the time alone allows; each ten bytes give it five seconds more
        slow.sendall(head)
        for start in range(0, len(body), 10):
            slow.sendall(body[start : start + 10])
            time.sleep(0.1)
        assert answer(slow).startswith(b"HTTP/1.1 201")
    with dial(own) as dripping:
        dripping.sendall(head)
        dripping.settimeout(ENDS_S)
        assert answer(dripping) == b""


@pytest.mark.parametrize(
    "head",
    [
        b"GET /api/v1/me HTTP/1.1\r\nhost: x\r\nx: " + b"y" * 40_000 + b"\r\n\r\n",
        b"GET /api/v1/me HTTP/1.1\r\n" + b"x: y\r\n" * 200 + b"\r\n",
        b"GET /" + b"y" * 40_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
    ],
)
def test_a_head_without_end_is_refused_with_a_remedy(own: RunningService, head: bytes) -> None:
    with dial(own) as sock:
        sock.sendall(head)
        status, _, body = answer(sock).partition(b"\r\n\r\n")
    assert status.startswith(b"HTTP/1.1 431")
    assert json.loads(body)["code"] == "request.head-too-large"
    assert json.loads(body)["remedy"]


@pytest.mark.parametrize(
    "junk",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET http://[::1/ HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\n folded: y\r\nx\x00: y\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 5\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\nabc",
    ],
)
def test_what_is_no_http_is_refused_as_a_problem(own: RunningService, junk: bytes) -> None:
    with dial(own) as sock:
        sock.sendall(junk)
        status, _, body = answer(sock).partition(b"\r\n\r\n")
    assert status.startswith(b"HTTP/1.1 400")
    assert json.loads(body)["code"] == "request.http"


def test_more_requests_than_there_is_room_for_are_told_to_come_back(
    own: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = own.make_device()
    stream = f"/api/v1/devices/{device.device_id}/telemetry/stream"
    with dial(own) as held:
        held.sendall(f"GET {stream} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {own.token}\r\n\r\n".encode())
        assert held.recv(16).startswith(b"HTTP/1.1 200")
        monkeypatch.setattr(connection, "MAX_REQUESTS", 1)
        refused = own.call("GET", "/api/v1/me", fresh=True)
        assert (refused.status, refused.headers["retry-after"]) == (503, "2")
        assert refused.body["code"] == "service.busy"
        assert own.azure("GET", "/x").body["error"]["code"] == "ServiceUnavailable"
    monkeypatch.undo()
    assert own.call("GET", "/api/v1/me", fresh=True).status == 200


def test_a_caller_that_takes_nothing_is_cut_off(own: RunningService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "STALLED_S", 0.5)
    with socket.socket() as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.connect(("localhost", own.port))
        context = ssl.create_default_context(cafile=str(own.root))
        with context.wrap_socket(plain, server_hostname="localhost") as sock:
            request = b"GET /api/v1/openapi.json HTTP/1.1\r\nhost: x\r\n\r\n"
            sock.settimeout(ENDS_S)  # nothing more can be sent once the buffers are full; then the end has to come
            with pytest.raises((ConnectionError, ssl.SSLError)):
                send_without_end(sock, 1000 * request)
    assert healthy(own)


def test_two_hundred_callers_at_once_are_all_answered(own: RunningService) -> None:
    with ThreadPoolExecutor(200) as pool:
        statuses = pool.map(lambda _: own.call("GET", "/api/v1/fleet", fresh=True).status, range(200))
    assert list(statuses) == [200] * 200


def test_a_connection_that_never_begins_tls_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("armillary.api.http.server.HANDSHAKE_TIMEOUT_S", 2.0)
    with running_service(tmp_path) as running, socket.create_connection(("localhost", running.port), timeout=10) as raw:
        assert raw.recv(1) == b""
        assert healthy(running)
