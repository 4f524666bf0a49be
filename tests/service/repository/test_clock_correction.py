# SPDX-License-Identifier: Apache-2.0
"""Operators have root say which times were false: at once, or where root's keys are; never more than once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fixtures.clocks import Clock
from tests.fixtures.services import copy_of
from tests.service.repository.ceremonies import signatures
from tests.service.repository.conftest import OpenService
from tests.service.repository.test_ceremony import take_offline

from armillary.engines.records.queries import check_ins as check_in_rows
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.service.repository.ceremony import TOLD_BEFORE_S, Ceremony, KeyChange
from armillary.service.repository.roles import DAY_S
from armillary.sim.device.service_host import ServiceHost
from armillary.wire.update.clock_correction import ClockCorrection, clock_correction


@pytest.fixture
def ceremony(host: OpenService) -> Ceremony:
    return host.service.ceremony


@pytest.fixture
def running(made_folder: Path, tmp_path: Path, clock: Clock) -> Iterator[ServiceHost]:
    """One with a device endpoint."""
    with ServiceHost(copy_of(made_folder, tmp_path / "data"), clock=clock, planner_interval_s=3600.0) as found:
        yield found


def said(host: OpenService) -> tuple[int, ClockCorrection | None]:
    """Version of the root in force, and what it says of times."""
    root = host.service.repository.edition().root.signed
    return root.version, clock_correction(root.unrecognized_fields)


def test_root_says_which_times_were_false_and_the_next_root_does_not(
    host: OpenService, ceremony: Ceremony, clock: Clock
) -> None:
    now = int(clock())
    assert ceremony.correct_clock(now + DAY_S, now + 2 * DAY_S, actor="olga")
    assert said(host) == (2, ClockCorrection(at=now, first=now + DAY_S, last=now + 2 * DAY_S))
    line = host.service.audit.list().items[0]
    assert (line.operation, line.actor, line.target) == ("repository.correct-clock", "olga", "repository")
    assert line.detail == {"at": now, "first": now + DAY_S, "last": now + 2 * DAY_S, "published": True}
    ceremony.propose([KeyChange(role="timestamp", online=1)], actor="t")
    assert said(host) == (3, None)


def test_with_offline_keys_it_waits_for_as_many_people_as_root_needs(
    host: OpenService, ceremony: Ceremony, clock: Clock
) -> None:
    root, targets = take_offline(ceremony)
    now = int(clock())
    assert not ceremony.correct_clock(now + DAY_S, now + DAY_S, actor="t")
    [waiting] = ceremony.waiting()
    assert (waiting.role, waiting.version, waiting.missing, said(host)) == ("root", 3, 2, (2, None))
    with pytest.raises(ConflictError, match="still waits"):
        ceremony.correct_clock(now + DAY_S, now + DAY_S, actor="t")
    host.service.repository.publish()
    assert not ceremony.submit(signatures(ceremony, root[:1]), actor="t"), "one of two"
    assert ceremony.submit(signatures(ceremony, [*root[1:2], *targets]), actor="t")
    assert said(host) == (3, ClockCorrection(at=now, first=now + DAY_S, last=now + DAY_S))


def test_it_can_be_taken_back_while_it_waits(host: OpenService, ceremony: Ceremony, clock: Clock) -> None:
    take_offline(ceremony)
    ceremony.correct_clock(int(clock()) + DAY_S, int(clock()) + DAY_S, actor="t")
    ceremony.cancel(actor="t")
    assert not ceremony.waiting()
    assert said(host) == (2, None)


@pytest.mark.parametrize(
    ("first_s", "last_s"), [(0, DAY_S), (-DAY_S, DAY_S), (2 * DAY_S, DAY_S), (None, DAY_S), (DAY_S, None)]
)
def test_times_that_make_no_sense_are_refused_and_nothing_is_published(
    host: OpenService, ceremony: Ceremony, clock: Clock, first_s: int | None, last_s: int | None
) -> None:
    host.service.repository.publish()
    times = [None if one is None else int(clock()) + one for one in (first_s, last_s)]
    with pytest.raises(InvalidArgumentError, match="expected a first and a last one after now"):
        ceremony.correct_clock(*times, actor="t")
    assert (said(host), ceremony.waiting()) == ((1, None), ())


def test_without_times_the_records_say_which_were_told_that_are_not_yet(running: ServiceHost, clock: Clock) -> None:
    ceremony = running.service.ceremony
    with pytest.raises(NotFoundError, match="no device has checked in at a time that is later than now"):
        ceremony.correct_clock(actor="t")
    now = int(clock())
    with running.claimed(b"f" * 32) as one, running.claimed(b"g" * 32) as other:
        clock.now = now + 10 * DAY_S
        one.check_in()
        clock.now += DAY_S
        other.check_in()
        clock.now = now
        one.challenge = b""
        one.check_in()  # it came again since
        assert running.service.context.records.read(lambda c: check_in_rows.recorded_after(c, now)) == (
            now + 10 * DAY_S,
            now + 11 * DAY_S,
        )
    assert ceremony.correct_clock(actor="t")
    expected = ClockCorrection(at=now, first=now + 10 * DAY_S - TOLD_BEFORE_S, last=now + 11 * DAY_S + TOLD_BEFORE_S)
    root = running.service.repository.edition().root.signed
    assert clock_correction(root.unrecognized_fields) == expected
