# SPDX-License-Identifier: Apache-2.0
"""The listener of the device endpoint: a few handshakes at a time; further connections wait."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from pathlib import Path

import pytest
from tests.fixtures.waiting import DEADLINE_S, wait_until

from armillary.engines import acceptor
from armillary.service.endpoint import listener
from armillary.sim.device.service_host import ServiceHost


def silent(host: ServiceHost) -> socket.socket:
    return socket.create_connection(("127.0.0.1", host.service.device_address.port), timeout=10)


def slow(host: ServiceHost) -> socket.socket:
    """Says the first byte of a handshake, and no more."""
    said = silent(host)
    said.sendall(b"\x16")
    return said


def serving(host: ServiceHost) -> listener.Listener:
    found = host.service.serving.server.endpoint._listener
    assert found is not None
    return found


def test_a_device_that_comes_at_the_limit_waits_and_is_served(
    host: ServiceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "MAX_ENTERING", 2)
    with contextlib.ExitStack() as stack, host.claimed(b"w" * 32) as device:
        strangers = [stack.enter_context(slow(host)) for _ in range(3)]
        wait_until(lambda: len(serving(host)._entering) == 2 and bool(serving(host)._acceptor._paused), "one waits")
        verdicts: list[str] = []
        thread = threading.Thread(target=lambda: verdicts.append(device.check_in().verdict))
        thread.start()
        thread.join(0.3)
        assert thread.is_alive(), "it was accepted beyond the limit"
        for stranger in strangers:
            stranger.close()
        thread.join(DEADLINE_S)
        assert verdicts == ["attested"]
    wait_until(lambda: not serving(host)._entering, "no handshakes")


def test_slow_connections_below_the_limit_keep_nobody_out(host: ServiceHost) -> None:
    with contextlib.ExitStack() as stack, host.claimed(b"s" * 32) as device:
        for _ in range(50):
            stack.enter_context(slow(host))
        assert device.check_in().verdict == "attested"


@pytest.mark.parametrize("speaks_within_s", [acceptor.SPEAKS_WITHIN_S, 0])
def test_silent_connections_are_not_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speaks_within_s: int
) -> None:
    monkeypatch.setattr(listener, "MAX_ENTERING", 2)
    monkeypatch.setattr(acceptor, "SPEAKS_WITHIN_S", speaks_within_s)
    with contextlib.ExitStack() as stack, ServiceHost(tmp_path / "data") as host:
        host.catalog()
        device = stack.enter_context(host.claimed(b"d" * 32))
        strangers = [stack.enter_context(silent(host)) for _ in range(20)]
        verdicts: list[str] = []
        thread = threading.Thread(target=lambda: verdicts.append(device.check_in().verdict))
        thread.start()
        if speaks_within_s:
            thread.join(5)
            assert verdicts == ["attested"]
        else:  # they are what keeps it out, and the deferred hand-over is what stops them
            wait_until(lambda: len(serving(host)._entering) == 2, "the limit")
            thread.join(0.3)
            assert verdicts == []
        for stranger in strangers:
            stranger.close()
        thread.join(DEADLINE_S)
        assert verdicts == ["attested"]


def test_a_system_without_descriptors_keeps_those_who_wait(host: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor, "EXHAUSTED_PAUSE_S", 0.05)
    refused: list[int] = []

    def accept(listening: socket.socket) -> tuple[socket.socket, object]:
        if len(refused) < 3:
            refused.append(errno.EMFILE)
            raise OSError(errno.EMFILE, "too many open files")
        return real(listening)

    real = acceptor._PlainSocket.accept
    monkeypatch.setattr(acceptor._PlainSocket, "accept", accept)
    with host.claimed(b"e" * 32) as device:
        assert device.check_in().verdict == "attested"
    assert len(refused) == 3


def test_every_address_of_a_name_has_the_same_port(tmp_path: Path) -> None:
    with ServiceHost(tmp_path / "data", host="localhost") as host:
        ports = {one.getsockname()[1] for one in serving(host)._acceptor._sockets}
        assert ports == {host.service.device_address.port}
