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
from armillary.service.updates import check_now
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
    asking = host.service.updates.check_now
    with host.claimed(b"w" * 32) as device, host.claimed(b"v" * 32) as other:
        device.check_in()
        other.check_in()
        clock.now += 60
        waiting = Waiting(host, device)
        asking.ask(other.device_id, actor="ann")
        assert held_of(host) == 1
        asking.ask(device.device_id.upper(), actor="ann")
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


def test_all_of_a_group_that_are_let_in_are_asked_with_one_call_and_one_line(
    host: ServiceHost, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = host.service
    with host.claimed(b"7" * 32) as one, host.claimed(b"8" * 32) as two, host.claimed(b"9" * 32) as revoked:
        for device in (one, two, revoked):
            device.check_in()
        owner = service.registry.devices.get(one.device_id)
        group = (owner.catalog or "", owner.product or "", owner.group or "")
        service.registry.lifecycle.revoke(revoked.device_id, reason="stolen", actor="ann")
        clock.now += 60
        waiting = [Waiting(host, device) for device in (one, two)]
        monkeypatch.setattr(check_now, "MAX_ASKED", 1)
        with pytest.raises(ConflictError, match="more than 1 devices"):
            service.updates.check_now.ask_group(*group, actor="ann")
        assert service.registry.devices.get(one.device_id).check_now_at is None, "some are not asked"
        monkeypatch.setattr(check_now, "MAX_ASKED", 2)
        before, changed = len(service.audit.list().items), list[str]()
        service.notices.on_device.append(changed.append)
        assert service.updates.check_now.ask_group(*group, actor="ann") == 2
        assert all(is_told(each.done()) for each in waiting)
        assert not changed, "rules and simulations do not look at all of them again"
        assert service.registry.devices.get(revoked.device_id).check_now_at is None
        lines = service.audit.list().items
        assert len(lines) == before + 1
        assert (lines[0].operation, lines[0].target) == ("device-group.check-now", "/".join(group))
        assert lines[0].detail == {"devices": 2}
    service.registry.groups.create(*group[:2], "Empty", actor="ann")
    with pytest.raises(ConflictError, match="no device that is allowed"):
        service.updates.check_now.ask_group(*group[:2], "Empty", actor="ann")
    with pytest.raises(NotFoundError):
        service.updates.check_now.ask_group(*group[:2], "Nowhere", actor="ann")
