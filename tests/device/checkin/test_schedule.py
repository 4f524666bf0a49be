# SPDX-License-Identifier: Apache-2.0
"""When a device checks in next."""

from __future__ import annotations

import pytest

from armillary.device.checkin.schedule import AGAIN_S, AT_ONCE, GATHER_S, REPORT_S, CheckInSchedule
from armillary.errors import RateLimitedError, ServiceUnreachableError


def test_the_first_is_due_and_the_service_says_when_the_next_is():
    schedule = CheckInSchedule(lambda: 100.0, retry_first_s=2.0, retry_limit_s=300.0)
    assert (schedule.wait_s <= 0, schedule.contact) == (True, None)
    schedule.begin()
    schedule.succeeded(3600)
    assert (schedule.wait_s, schedule.contact, schedule.attempts) == (3600, 100.0, 1)


def test_what_is_asked_while_one_is_under_way_is_due_after_it():
    schedule = CheckInSchedule(lambda: 100.0, retry_first_s=2.0, retry_limit_s=300.0)
    schedule.begin()
    schedule.ask()
    schedule.succeeded(3600)
    assert schedule.wait_s <= 0
    schedule.begin()
    schedule.succeeded(3600)
    assert schedule.wait_s == 3600


def test_failures_wait_longer_and_at_least_as_long_as_the_service_says():
    schedule = CheckInSchedule(lambda: 100.0, retry_first_s=2.0, retry_limit_s=300.0)
    waits = [schedule.failed(ServiceUnreachableError("gone")) for _ in range(12)]
    assert all(1.0 <= wait <= 300.0 for wait in waits)
    assert (schedule.contact, schedule.attempts) == (None, 12)
    assert schedule.wait_s == pytest.approx(waits[-1])
    assert schedule.failed(RateLimitedError("later", retry_after_s=900)) == 900.0
    schedule.succeeded(3600)
    schedule.retry_offer()
    assert 1.0 <= schedule.wait_s <= 2.0


def test_an_offer_that_keeps_failing_is_asked_for_less_and_less_often():
    schedule = CheckInSchedule(lambda: 100.0, retry_first_s=2.0, retry_limit_s=300.0)

    def retried(times: int) -> list[float]:
        waits = []
        for _ in range(times):
            schedule.begin()
            schedule.succeeded(72_000)  # the service is there: it is the device that has no room
            schedule.retry_offer()
            waits.append(schedule.wait_s)
        return waits

    waits = retried(200)
    assert all(1.0 <= wait <= 300.0 for wait in waits)
    assert waits[0] <= 2.0, "soon at first"
    assert sum(waits[20:]) / 180 > 100, "an accepted check-in does not start over"
    schedule.offer_settled()
    assert retried(1)[0] <= 2.0


def test_what_is_to_be_reported_waits_an_hour_and_hurries_no_failing_service():
    now = [100.0]
    schedule = CheckInSchedule(lambda: now[0], retry_first_s=2.0, retry_limit_s=300.0)
    schedule.soon()
    assert schedule.wait_s <= 0, "the first is due anyway"
    schedule.succeeded(72_000)
    now[0] += 60
    schedule.soon()
    assert schedule.wait_s == REPORT_S - 60
    now[0] += REPORT_S
    assert schedule.wait_s < 0
    wait = schedule.failed(ServiceUnreachableError("gone"))
    schedule.soon()
    assert schedule.wait_s == pytest.approx(wait)
    schedule.succeeded(60)
    schedule.soon()
    assert schedule.wait_s == 60


def test_errors_go_at_once_some_times_and_then_once_in_ten_minutes():
    now = [100.0]
    schedule = CheckInSchedule(lambda: now[0], retry_first_s=2.0, retry_limit_s=300.0)
    schedule.begin()
    schedule.succeeded(72_000)

    def reported() -> float:
        """Something happens; how long it waits."""
        schedule.soon(is_error=True)
        waited = schedule.wait_s
        now[0] += waited
        schedule.begin()
        schedule.succeeded(72_000)
        return waited

    assert [reported() for _ in range(AT_ONCE)] == [pytest.approx(GATHER_S)] * AT_ONCE
    assert [reported(), reported()] == [pytest.approx(AGAIN_S, abs=2)] * 2
    now[0] += AT_ONCE * AGAIN_S
    assert [reported() for _ in range(AT_ONCE)] == [pytest.approx(GATHER_S)] * AT_ONCE, "all of them are there again"
    schedule.failed(ServiceUnreachableError("gone"))
    wait = schedule.wait_s
    schedule.soon(is_error=True)
    assert schedule.wait_s == pytest.approx(wait), "a failing service is hurried by nothing"


def test_a_check_in_that_was_due_anyway_takes_no_turn_of_errors():
    now = [100.0]
    schedule = CheckInSchedule(lambda: now[0], retry_first_s=2.0, retry_limit_s=300.0)
    schedule.begin()
    schedule.succeeded(72_000)
    for _ in range(3 * AT_ONCE):
        schedule.soon(is_error=True)
        schedule.ask()
        schedule.begin()
        schedule.succeeded(72_000)
    schedule.soon(is_error=True)
    assert schedule.wait_s == pytest.approx(GATHER_S)
