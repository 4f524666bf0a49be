# SPDX-License-Identifier: Apache-2.0
"""Check now: a device that waits for a hint is told at once; who may wait, for how long, and how many."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fixtures.clocks import Clock
from tests.fixtures.waiting import wait_until

from armillary.errors import ConflictError, NotFoundError
from armillary.service.endpoint import hints
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import Answer, WireDevice, read_answer
from armillary.wire.device.hint import parse_hint


@pytest.fixture
def small(tmp_path: Path, clock: Clock) -> Iterator[ServiceHost]:
    """A service that holds two requests."""
    with ServiceHost(tmp_path / "data", clock=clock, check_now_connections=2, planner_interval_s=3600.0) as running:
        running.catalog()
        yield running


class Waiting:
    """A device that has asked for a hint; the service holds the request."""

    def __init__(self, host: ServiceHost, device: WireDevice) -> None:
        held = held_of(host)
        self._connection = device.connect()
        self._connection.sendall(b"GET /v1/hint HTTP/1.1\r\nhost: x\r\n\r\n")
        wait_until(lambda: held_of(host) > held, "the request is held")

    def done(self) -> Answer:
        return read_answer(self._connection)


def held_of(host: ServiceHost) -> int:
    server = host.service.serving.server
    assert server is not None
    return len(server.endpoint._hints)


def is_told(answer: Answer) -> bool:
    assert answer.status == 200
    return parse_hint(answer.body)


def test_a_device_that_waits_is_told_at_once_and_once(host: ServiceHost, clock: Clock) -> None:
    check_now = host.service.updates.check_now
    with host.claimed(b"w" * 32) as device, host.claimed(b"v" * 32) as other:
        device.check_in()
        other.check_in()
        clock.now += 60
        waiting = Waiting(host, device)
        check_now.ask(other.device_id, actor="ann")
        assert held_of(host) == 1
        check_now.ask(device.device_id.upper(), actor="ann")
        assert is_told(waiting.done())
        line = host.service.audit.list().items[0]
        assert (line.actor, line.operation, line.target) == ("ann", "device.check-now", device.device_id)
        clock.now += 1
        device.check_in()
        Waiting(host, device)
        assert held_of(host) == 1, "it did as it was told: nothing is due"


def test_what_was_asked_while_nobody_waited_is_told_when_the_device_comes(host: ServiceHost, clock: Clock) -> None:
    with host.claimed(b"u" * 32) as device:
        device.check_in()
        clock.now += 60
        host.service.updates.check_now.ask(device.device_id, actor="ann")
        assert is_told(device.exchange("GET", "/v1/hint"))
        assert is_told(device.exchange("GET", "/v1/hint")), "the answer may have been lost: it is said again"
        clock.now += 1
        assert device.check_in().verdict == "attested"
        Waiting(host, device)
        assert held_of(host) == 1


def test_after_a_while_a_device_is_told_that_there_is_nothing(
    host: ServiceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints, "HOLD_S", 0.0)
    with host.claimed(b"t" * 32) as device:
        assert not is_told(device.exchange("GET", "/v1/hint"))
        assert device.check_in().verdict == "attested", "the connection is good for more"


def test_one_request_of_a_device_is_held_and_so_many_in_all(small: ServiceHost) -> None:
    with small.claimed(b"1" * 32) as first, small.claimed(b"2" * 32) as second, small.claimed(b"3" * 32) as third:
        waiting = Waiting(small, first)
        Waiting(small, second)
        refused = third.exchange("GET", "/v1/hint")
        assert refused.status == 429
        assert int(refused.headers["retry-after"]) == hints.LATER_S
        with WireDevice(prover=first.prover, factory=first.factory, port=first.port) as again:
            connection = again.connect()
            connection.sendall(b"GET /v1/hint HTTP/1.1\r\nhost: x\r\n\r\n")
            assert not is_told(waiting.done()), "the newer request takes the place of the older"
            assert held_of(small) == 2


def test_a_connection_that_ends_makes_room(small: ServiceHost) -> None:
    with small.claimed(b"4" * 32) as device:
        Waiting(small, device)
    wait_until(lambda: held_of(small) == 0, "the request is forgotten")


def test_who_is_let_in_for_nothing_waits_for_nothing(host: ServiceHost) -> None:
    service = host.service
    with host.device(b"5" * 32) as unclaimed, host.claimed(b"6" * 32) as revoked:
        assert unclaimed.exchange("GET", "/v1/hint").status == 403
        assert unclaimed.exchange("POST", "/v1/hint").status in (403, 405)
        with pytest.raises(ConflictError, match="no catalog"):
            service.updates.check_now.ask(unclaimed.device_id, actor="ann")
        service.registry.lifecycle.revoke(revoked.device_id, reason="stolen", actor="ann")
        with pytest.raises(ConflictError, match="revoked"):
            service.updates.check_now.ask(revoked.device_id, actor="ann")
        with pytest.raises(NotFoundError):
            service.updates.check_now.ask("00" * 64, actor="ann")
