# SPDX-License-Identifier: Apache-2.0
"""What a network or a hostile server does to the machine's address never ends process 1, and never holds it up."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from tests.wire.device_image.test_address_lease import options, reply

from armillary.device.machine import addresses, network
from armillary.wire.device_image.address_lease import ACKNOWLEDGE, OFFER, Lease

HARDWARE = "02:00:00:00:00:01"


class Request:
    """An address request of which nothing comes, or an error, or a lease."""

    def __init__(self, outcome: Lease | OSError | None) -> None:
        self.outcome = outcome
        self.is_closed = False
        self.ask_again_at = 2.0

    def look(self, _now: float) -> Lease | None:
        if isinstance(self.outcome, OSError):
            raise self.outcome
        return self.outcome

    def close(self) -> None:
        self.is_closed = True


def asking(monkeypatch: pytest.MonkeyPatch, request: Request) -> addresses.Addresses:
    """A machine that has an interface and asks for an address."""
    monkeypatch.setattr(network, "AddressRequest", lambda _interface, *, metric: request)  # noqa: ARG005
    machine = addresses.Addresses()
    machine._interface, machine._renew_at = "eth0", 0.0
    return machine


def test_an_address_that_the_kernel_refuses_is_said_and_asked_for_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    request = Request(OSError(errno.ENETUNREACH, "Network is unreachable"))
    machine = asking(monkeypatch, request)
    machine.look(10.0)
    assert "eth0 gets no address: Network is unreachable; asking again" in capsys.readouterr().out
    assert request.is_closed
    assert machine._renew_at == 10.0 + addresses.AGAIN_S


def test_a_network_that_gives_no_address_is_said_once_and_asked_again_later(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    request = Request(None)
    machine = asking(monkeypatch, request)
    for now in (0.0, 5.0, 19.9):
        machine.look(now)
        assert not capsys.readouterr().out
    machine.look(20.0)
    assert "nobody gave eth0 an address within 20 s; asking again" in capsys.readouterr().out
    assert request.is_closed
    machine.look(49.0)  # it is left alone for a while
    assert machine.asking is None
    machine.look(50.0)
    assert machine.asking is not None


@pytest.mark.parametrize(("seconds", "again_at"), [(3600, 1800.0), (7200, 3600.0), (0xFFFFFFFF, 3600.0)])
def test_a_lease_is_asked_for_again_at_half_its_time_and_within_an_hour(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], seconds: int, again_at: float
) -> None:
    """One who is no server of this network gives an address for ever: the machine is not offline for good."""
    address = IPv4Address("10.0.2.15")
    lease = Lease(ACKNOWLEDGE, address, IPv4Address("255.255.255.0"), address.packed, None, (), seconds)
    machine = asking(monkeypatch, Request(lease))
    machine.look(0.0)
    assert "eth0 has the address 10.0.2.15" in capsys.readouterr().out
    assert machine._renew_at == again_at
    machine.look(again_at)
    assert "eth0" not in capsys.readouterr().out  # the same again is no news


def test_an_interface_that_is_gone_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def gone(interface: str) -> None:
        if interface != "lo":
            raise OSError(errno.ENODEV, "No such device")

    monkeypatch.setattr(addresses, "bring_up", gone)
    monkeypatch.setattr(addresses, "leave_lost_links", lambda: None)  # this host's routes stay as they are
    monkeypatch.setattr(network, "first_ethernet", lambda: "eth0")
    asking(monkeypatch, Request(None)).begin()
    assert "eth0 is not switched on: No such device" in capsys.readouterr().out


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tuple[network.AddressRequest, socket.socket]]:
    """A request whose packets go to, and come from, a server in this test."""
    ours, server = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setblocking(False)

    class Packets(socket.socket):
        def __init__(self, *_: object) -> None:
            super().__init__(fileno=ours.detach())

        def bind(self, _place: object) -> None:
            pass

        def sendto(self, data: bytes, _place: object) -> int:  # type: ignore[override]
            return self.send(data)

    (tmp_path / "eth0").mkdir()
    (tmp_path / "eth0/address").write_text(f"{HARDWARE}\n")
    monkeypatch.setattr(network, "INTERFACES", tmp_path)
    monkeypatch.setattr(network.socket, "socket", Packets)
    monkeypatch.setattr(network, "use", lambda _interface, _lease, *, metric: None)  # noqa: ARG005
    request = network.AddressRequest("eth0", metric=1)
    yield request, server
    request.close()
    server.close()


def test_an_address_is_asked_for_without_waiting_and_used(
    asked: tuple[network.AddressRequest, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[object] = []
    monkeypatch.setattr(network, "use", lambda *given, metric: used.append((*given, metric)))
    request, server = asked
    assert request.look(0.0) is None  # it has asked, and came back at once
    server.recv(2048)
    transaction = request._transaction
    hardware = bytes.fromhex(HARDWARE.replace(":", ""))
    server.send(b"somebody else's packet")
    server.send(reply(options(kind=OFFER), transaction=transaction, hardware=hardware))
    assert request.look(0.1) is None
    server.recv(2048)
    server.send(reply(options(kind=ACKNOWLEDGE), transaction=transaction, hardware=hardware))
    found = request.look(0.2)
    assert found is not None
    assert found.kind == ACKNOWLEDGE
    assert used == [("eth0", found, 1)]


def test_a_reply_that_breaks_the_format_is_passed_over(asked: tuple[network.AddressRequest, socket.socket]) -> None:
    request, server = asked
    request.look(0.0)
    server.recv(2048)
    hardware = bytes.fromhex(HARDWARE.replace(":", ""))
    server.send(reply(b"\x35\x09\x02\xff", transaction=request._transaction, hardware=hardware))
    assert request.look(0.1) is None
    server.send(reply(options(kind=OFFER), transaction=request._transaction, hardware=hardware))
    assert request.look(0.2) is None
    server.recv(2048)  # it has asked for what was offered


@pytest.mark.parametrize(
    ("seconds", "is_taken"),
    [
        pytest.param(bytes((0xFF,)) * 4, True, id="the longest that there is"),
        pytest.param(bytes(4), True, id="none"),
        pytest.param(bytes((0xFF,)) * 252, False, id="a number that is no time"),
    ],
)
def test_no_time_of_a_lease_ends_process_1(
    asked: tuple[network.AddressRequest, socket.socket],
    monkeypatch: pytest.MonkeyPatch,
    seconds: bytes,
    is_taken: bool,
) -> None:
    """Process 1 restarts the machine where it fails: one packet of a neighbour's would do that at each start."""
    request, server = asked
    monkeypatch.setattr(network, "AddressRequest", lambda _interface, *, metric: request)  # noqa: ARG005
    machine = addresses.Addresses()
    machine._interface, machine._renew_at = "eth0", 0.0
    machine.look(0.0)
    for kind in (OFFER, ACKNOWLEDGE):
        server.recv(2048)
        answer = reply(
            options(kind=kind, seconds=seconds if kind == ACKNOWLEDGE else bytes(4)),
            transaction=request._transaction,
            hardware=bytes.fromhex(HARDWARE.replace(":", "")),
        )
        server.send(answer)
        machine.look(0.1)
    assert (machine.asking is None) == is_taken


def test_it_is_asked_again_after_silence_and_a_flood_is_taken_in_parts(
    asked: tuple[network.AddressRequest, socket.socket],
) -> None:
    request, server = asked
    request.look(0.0)
    first_transaction = request._transaction
    server.recv(2048)
    assert request.look(1.9) is None
    assert request._transaction == first_transaction
    request.look(2.0)
    assert request._transaction != first_transaction
    server.recv(2048)
    server.setblocking(False)
    sent = 0
    try:
        while sent < 2 * network._PACKETS_AT_A_TIME:
            server.send(b"flood")
            sent += 1
    except BlockingIOError:
        pass
    assert request.look(2.1) is None
