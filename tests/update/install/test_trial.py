# SPDX-License-Identifier: Apache-2.0
"""When a set is kept and when it is taken back."""

from __future__ import annotations

from typing import Any

import pytest

from armillary.update.install.refusal import Refusal
from armillary.update.install.trial import (
    ApplicationHealth,
    Keep,
    TakeBack,
    TrialRules,
    Wait,
    judge,
)

RULES = TrialRules(healthy_s=10, exits_allowed=3, deadline_s=60, contact_s=3600)
UP = ApplicationHealth("app", running_since=100.0, exits=0)


def verdict(*applications: ApplicationHealth, now: float, contact: float | None = 105.0, **os: Any) -> object:
    return judge(applications, started=100.0, contact=contact, now=now, rules=RULES, **os)


def test_healthy_and_in_contact_is_kept() -> None:
    assert verdict(UP, now=110.0) == Keep()


def test_one_second_early_is_not() -> None:
    assert verdict(UP, now=109.0) == Wait(1.0)


def test_healthy_without_contact_waits_for_contact() -> None:
    assert verdict(UP, now=110.0, contact=None) == Wait(10, needs_contact=True)


def test_contact_before_the_start_does_not_count() -> None:
    assert verdict(UP, now=110.0, contact=99.9) == Wait(10, needs_contact=True)


def test_no_contact_is_never_a_reason_to_take_back() -> None:
    assert isinstance(verdict(UP, now=1e6, contact=None), Wait)


@pytest.mark.parametrize(("exits", "kept"), [(2, True), (3, False)])
def test_exits_are_counted_over_the_set(exits: int, kept: bool) -> None:
    other = ApplicationHealth("other", running_since=100.0, exits=1)
    found = verdict(ApplicationHealth("app", 100.0, exits - 1), other, now=111.0)
    assert isinstance(found, Keep) is kept
    assert isinstance(found, TakeBack) is not kept


def test_a_restart_starts_the_health_time_again() -> None:
    assert verdict(ApplicationHealth("app", 108.0, 1), now=111.0) == Wait(7.0)


def test_what_cannot_be_started_is_taken_back_at_once() -> None:
    found = verdict(UP, ApplicationHealth("other", None, 0, "no entry point"), now=100.0)
    assert found == TakeBack("other could not be started: no entry point")


def test_never_healthy_is_taken_back_at_the_deadline() -> None:
    down = ApplicationHealth("app", None, 1)
    assert verdict(down, now=159.0) == Wait(1.0)
    assert isinstance(verdict(down, now=160.0), TakeBack)


def test_a_set_without_applications_needs_only_contact() -> None:
    assert verdict(now=100.0, contact=100.0) == Keep()


def test_a_new_os_without_an_attested_check_in_goes_after_its_time_and_is_not_barred() -> None:
    assert isinstance(verdict(UP, now=3699.0, contact=None, with_os=True), Wait)
    found = verdict(UP, now=3700.0, contact=None, with_os=True)
    assert found == TakeBack("no attested check-in within 3600 s of the new OS", bars=False)
    assert verdict(UP, now=3700.0, contact=101.0, with_os=True) == Keep()


@pytest.mark.parametrize("bars", [True, False])
def test_a_new_os_that_the_service_does_not_attest_goes_at_once(bars: bool) -> None:
    found = verdict(UP, now=101.0, contact=None, with_os=True, refusal=Refusal("(13) components: unknown", bars=bars))
    assert found == TakeBack("the service does not attest the new OS: (13) components: unknown", bars=bars)
