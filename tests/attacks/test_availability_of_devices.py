# SPDX-License-Identifier: Apache-2.0
"""One address or one device that takes more than its share of the device endpoint or of the hub: others come in.

A share is of connections, of check-ins (also of those that are refused), and of what is sent beside them.

Health answers meanwhile; each attack is played once more with the limit taken away.
"""

from __future__ import annotations

import contextlib
import math
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.api.running_service import RunningService, fresh
from tests.attacks.under_attack import ELSEWHERE, HEALTH_S, Health, close

from armillary.api.http import callers, connection, unauthenticated
from armillary.api.http.callers import Budgets
from armillary.engines import acceptor
from armillary.engines.quota import CATALOG_SHARE
from armillary.engines.rules import shares
from armillary.hub.devices import upload_room
from armillary.hub.link import gate
from armillary.platform.exports import limits as export_limits, replays as export_replays
from armillary.platform.rules.plans import MAX_ALERTS_OF_RULE
from armillary.service.endpoint import listener, open_connections
from armillary.service.endpoint.connection import DeviceConnection
from armillary.service.people import sessions
from armillary.service.verifier import device_rates, verifier
from armillary.service.verifier.device_rates import Allowance, DeviceRates, Meter
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.device.checkin import CheckinRequest, parse_request
from armillary.wire.device.problem import parse_problem
from armillary.wire.device.update_status import UpdateStatus

UNLIMITED = 1 << 30


def begun(opened: list[socket.socket], port: int, count: int) -> None:
    """Connections from elsewhere that begin a handshake and do not go on."""
    for _ in range(count):
        opened.append(socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(ELSEWHERE, 0)))
        opened[-1].sendall(b"\x16")


def hub_says_hello(own: RunningService) -> bool:
    """Whether a handshake with the hub is answered."""
    context = ssl.create_default_context(cafile=str(own.root))
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", own.hub_port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="localhost"),
    ):
        return True
    return False


def device_is_served(own: RunningService) -> bool:
    with own.make_device() as device:
        device.connect()
        return answered(device)


def answered(device: WireDevice) -> bool:
    """Whether a device gets an answer; that it is nobody's yet is one."""
    return device.exchange("GET", "/v1/challenge").status in (200, 403)


@pytest.mark.parametrize("at_hub", [False, True], ids=["device endpoint", "hub"])
def test_an_address_that_begins_handshakes_keeps_no_other_out(
    own: RunningService, opened: list[socket.socket], monkeypatch: pytest.MonkeyPatch, at_hub: bool
) -> None:
    monkeypatch.setattr(listener, "MAX_ENTERING", 12)  # of the 1,000 that there are
    monkeypatch.setattr(gate, "MAX_UNAUTHENTICATED", 12)
    monkeypatch.setattr(acceptor, "MAX_OF_ADDRESS", 6)
    port = own.hub_port if at_hub else own.service.device_address.port
    served = hub_says_hello if at_hub else device_is_served
    with Health(own) as health:
        begun(opened, port, 30)
        for _ in range(3):
            assert served(own)
    health.check()
    close(opened)
    assert served(own), "who waited behind them is forgotten with them"
    monkeypatch.setattr(acceptor, "MAX_OF_ADDRESS", UNLIMITED)
    begun(opened, port, 30)
    said: list[bool] = []
    honest = threading.Thread(target=lambda: said.append(served(own)))
    honest.start()
    honest.join(0.7)
    assert honest.is_alive(), "the control: it waits for them"
    close(opened)
    honest.join(20)
    assert said == [True]


def test_who_waits_behind_others_of_its_address_comes_in_after_them(
    own: RunningService, opened: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptor, "MAX_OF_ADDRESS", 2)
    port = own.service.device_address.port
    begun(opened, port, 2)
    with own.make_device() as device:
        plain = socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(ELSEWHERE, 0))
        secured: list[ssl.SSLSocket] = []
        context = device.tls_context()
        honest = threading.Thread(
            target=lambda: secured.append(context.wrap_socket(plain, server_hostname=device.host))
        )
        honest.start()
        honest.join(0.3)
        assert not secured, "two of its address are on their way in"
        opened.pop().close()
        honest.join(20)
        assert secured[0].version() == "TLSv1.3"
        secured[0].close()


def held_by(device: WireDevice, opened: list[socket.socket], count: int) -> int:
    """Open connections of one device; how many of them are open a moment later."""
    context = device.tls_context()
    mine: list[ssl.SSLSocket] = []
    for _ in range(count):
        plain = socket.create_connection((device.host, device.port), timeout=20)
        mine.append(context.wrap_socket(plain, server_hostname=device.host))
        opened.append(mine[-1])
    alive = 0
    for each in reversed(mine):  # OpenSSL tells a thread's next read of an error before it: the good ones are first
        with contextlib.suppress(OSError):
            each.sendall(b"GET /v1/challenge HTTP/1.1\r\nhost: x\r\n\r\n")
            alive += each.recv(9) == b"HTTP/1.1 "
    return alive


def test_one_device_has_so_many_connections_and_the_newest_are_the_ones_it_has(
    own: RunningService, opened: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_connections, "MAX_CONNECTIONS_OF_DEVICE", 3)
    with own.make_device() as device, Health(own) as health:
        assert held_by(device, opened, 8) == 3
        assert opened[-1].fileno() >= 0
        device.connect()
        assert answered(device), "the device itself always comes in"
        close(opened)
        monkeypatch.setattr(open_connections, "MAX_CONNECTIONS_OF_DEVICE", UNLIMITED)
        assert held_by(device, opened, 8) == 8, "the control"
    health.check()


def test_a_body_of_a_byte_a_chunk_holds_up_nobody(own: RunningService, monkeypatch: pytest.MonkeyPatch) -> None:
    chunks = b"1\r\nx\r\n" * 12_000 + b"0\r\n\r\n"
    request = b"POST /v1/check-in HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n" + chunks

    def refused(device: WireDevice) -> bool:
        connection = device.connect()
        connection.sendall(request)
        return connection.recv(12).startswith(b"HTTP/1.1 4")

    with own.make_device() as device:
        with Health(own) as health:
            for _ in range(4):
                assert refused(device)
        health.check()
        take = DeviceConnection.on_body

        def counted_anew(self: DeviceConnection, body: bytes) -> None:
            take(self, body)
            assert sum(map(len, self._body)) <= endpoint_limit

        endpoint_limit = 64 * 1024
        monkeypatch.setattr(DeviceConnection, "on_body", counted_anew)
        with Health(own) as control:
            assert refused(device)
        assert max(control.waits) > 2 * HEALTH_S, "the control has to hurt"


BURST = 20
MANY_ITEMS = b"\x99\xff\xf0" + b"\x80" * 0xFFF0  # an array of arrays, as many as a request has bytes


@pytest.fixture
def claimed(own: RunningService) -> Iterator[Callable[[], WireDevice]]:
    """Makes devices of an owner who has been told to expect them, and who may ask for their logs."""
    catalog, made = own.make_catalog(fresh("flood"), product="Coffee"), list[WireDevice]()

    def make() -> WireDevice:
        made.append(own.claimed(catalog))
        made[-1].update_status, made[-1].sends_log = UpdateStatus(abilities=("log",)), True
        return made[-1]

    yield make
    for each in made:
        each.disconnect()


def replayed(device: WireDevice) -> bytes:
    body = device.request_body(device.fetch_challenge())
    assert device.exchange("POST", "/v1/check-in", body).status == 200
    return body


def of_another_service(device: WireDevice) -> bytes:
    device.prover.service_name = "another.example"
    return device.request_body(device.fetch_challenge())


@pytest.mark.parametrize(
    ("make", "refused", "before"),
    [
        pytest.param(lambda _: MANY_ITEMS, 400, 0, id="malformed"),
        pytest.param(replayed, 401, 1, id="replayed"),
        pytest.param(lambda device: device.request_body(bytes(54)), 401, 0, id="a challenge of nobody"),
        pytest.param(of_another_service, 403, 0, id="no valid evidence"),
    ],
)
def test_check_ins_that_are_refused_take_no_more_than_accepted_ones(
    own: RunningService,
    claimed: Callable[[], WireDevice],
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[WireDevice], bytes],
    refused: int,
    before: int,
) -> None:
    serving = own.service.serving.server
    assert serving is not None
    read: list[int] = []

    def noted(body: bytes) -> CheckinRequest:
        read.append(len(body))
        return parse_request(body)

    monkeypatch.setattr(device_rates, "CHECK_INS", Allowance(BURST, 3600.0))
    monkeypatch.setattr(serving.verifier, "_rates", DeviceRates(4 * 3600))
    monkeypatch.setattr(verifier, "parse_request", noted)
    device, other = claimed(), claimed()
    body = make(device)
    answers = [device.exchange("POST", "/v1/check-in", body) for _ in range(2 * BURST)]
    assert other.check_in().verdict == "attested"
    taken = BURST - before
    assert [each.status for each in answers] == [refused] * taken + [429] * (2 * BURST - taken)
    assert parse_problem(answers[-1].body).code == "device.try-later"
    assert 3500 < int(answers[-1].headers["retry-after"]) <= 3600
    assert len(read) == BURST + 1, "nothing of the others was read"
    monkeypatch.setattr(DeviceRates, "charge_check_in", lambda *_: None)
    answers = [device.exchange("POST", "/v1/check-in", body) for _ in range(2 * BURST)]
    assert {each.status for each in answers} == {refused}, "the control: each is read"


def test_what_is_sent_beside_check_ins_and_refused_is_charged(
    own: RunningService, claimed: Callable[[], WireDevice], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash dump and a log that was asked for: malformed ones are read in threads, and hold up the loop all the same."""
    device = claimed()
    device.check_in()
    own.service.device_logs.ask(device.device_id, actor="test")
    assert device.check_in().log_request is not None
    for path in ("/v1/crash-dump", "/v1/device-log"):

        def flood(count: int, path: str = path) -> list[int]:
            return [device.exchange("POST", path, MANY_ITEMS[:60_000]).status for _ in range(count)]

        begun = time.monotonic()
        statuses = flood(device_rates.CHECK_INS.burst + 20)
        regained = math.ceil((time.monotonic() - begun) / device_rates.CHECK_INS.period_s)
        assert set(statuses) == {400, 429}
        assert statuses.count(400) <= device_rates.CHECK_INS.burst + regained
        with monkeypatch.context() as control:
            control.setattr(Meter, "charge", lambda *_: None)
            assert set(flood(20)) == {400}, "the control"
    device.challenge = b""
    assert device.check_in().verdict == "attested", "check-ins have an allowance of their own"


def test_the_limits_that_operators_read_are_those_that_hold() -> None:
    page = (
        Path("docs/guides/operate.md")
        .read_text("utf-8")
        .partition("## What one caller may take")[2]
        .partition("## ")[0]
    )
    told = [
        tuple(re.findall(r"\d[\d,]*", cells))
        for cells in re.findall(r"^\| (?!what|---)[^|]*\|([^|]*\|[^|]*)\|", page, re.MULTILINE)
    ]
    hold = (
        (callers.MAX_REQUESTS_OF_CALLER, Budgets().requests.of_catalog, callers.MAX_REQUESTS),
        (callers.THREADS_OF_CALLER, callers.THREADS_OF_CATALOG, callers.OPERATOR_THREADS),
        (callers.MAX_STREAMS_OF_CALLER, Budgets().streams.of_catalog, callers.MAX_STREAMS),
        (sessions.MAX_SESSIONS_OF_CATALOG, sessions.MAX_SESSIONS),
        (callers.MAX_EXPORTS_OF_CALLER, Budgets().exports.of_catalog, callers.MAX_EXPORTS),
        (export_limits.MAX_EXPORTS_OF_CATALOG, export_limits.MAX_EXPORTS, export_limits.MAX_EXPORTS_OF_CATALOGS),
        (
            export_replays.MAX_REPLAYS_OF_CALLER,
            export_replays.MAX_REPLAYS // CATALOG_SHARE,
            1,
            export_replays.MAX_REPLAYS,
        ),
        (callers.MAX_LARGE_BODIES_OF_CALLER, Budgets().large_bodies.of_catalog, callers.MAX_LARGE_BODIES),
        (upload_room.MAX_DEVICE_REQUESTS, upload_room.MAX_REQUESTS),
        (unauthenticated.MAX_UNAUTHENTICATED_OF_ADDRESS, unauthenticated.MAX_UNAUTHENTICATED),
        (unauthenticated.MAX_WITH_TOKEN_OF_OWNER, unauthenticated.MAX_WITH_TOKEN),
        (
            shares.MAX_WAITING_OF_OWNER,
            shares.MAX_WAITING_OF_RULE,
            shares.MAX_WAITING,
            shares.MIN_WAITING_OF_OWNER,
        ),
        (MAX_ALERTS_OF_RULE,),
        (connection.MAX_CONNECTIONS,),
        (acceptor.MAX_OF_ADDRESS, listener.MAX_ENTERING),
        (open_connections.MAX_CONNECTIONS_OF_DEVICE, open_connections.MAX_CONNECTIONS),
    )
    assert told == [tuple(f"{each:,}" for each in row) for row in hold]
    assert gate.MAX_UNAUTHENTICATED == listener.MAX_ENTERING
    for each, *rest in (row for row in hold if len(row) > 1):
        assert 2 * each <= max(rest), "one leaves half to the others"
