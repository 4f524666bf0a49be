# SPDX-License-Identifier: Apache-2.0
"""Whether an installation begins now: each rule, their order, and what urgent passes over."""

from __future__ import annotations

import pytest
from hypothesis import example, given, strategies as st

from armillary.update.schedule.begin import DEFERRED, LEASE_OVER, NOT_BEFORE, OUT_OF_WINDOW, NotYet, not_yet
from armillary.wire.device.offer_timing import OfferTiming, Window

NIGHTS = (Window(100, 200), Window(300, 400))


def ask(timing: OfferTiming | None, now: int, *, deferred_until: int | None = None) -> NotYet | None:
    return not_yet(timing, now=now, heard_at=0, deferred_until=deferred_until)


def test_an_offer_without_a_timing_begins_at_once() -> None:
    assert ask(None, 0, deferred_until=1_000) is None
    assert ask(OfferTiming(), 0) is None


@pytest.mark.parametrize(
    ("now", "found"),
    [
        (99, NotYet(OUT_OF_WINDOW, 100)),
        (100, None),
        (199, None),
        (200, NotYet(OUT_OF_WINDOW, 300)),
        (399, None),
        (400, NotYet(OUT_OF_WINDOW, None)),
    ],
)
def test_a_window_is_open_from_its_start_to_before_its_end(now: int, found: NotYet | None) -> None:
    assert ask(OfferTiming(windows=NIGHTS), now) == found


def test_no_window_at_all_waits_for_the_next_check_in() -> None:
    assert ask(OfferTiming(windows=()), 0) == NotYet(OUT_OF_WINDOW, None)


def test_not_before_is_waited_for() -> None:
    assert ask(OfferTiming(not_before=50), 49) == NotYet(NOT_BEFORE, 50)
    assert ask(OfferTiming(not_before=50), 50) is None


def test_applications_put_it_off_to_the_cap_and_no_further() -> None:
    timing = OfferTiming(max_deferral_s=60)
    assert ask(timing, 10, deferred_until=30) == NotYet(DEFERRED, 30)
    assert ask(timing, 59, deferred_until=10_000) == NotYet(DEFERRED, 60)
    assert ask(timing, 60, deferred_until=10_000) is None
    assert ask(OfferTiming(), 10, deferred_until=30) is None, "no deferral was allowed"


def test_urgent_passes_over_windows_and_deferrals_only() -> None:
    timing = OfferTiming(windows=NIGHTS, max_deferral_s=60, urgent=True)
    assert ask(timing, 10, deferred_until=50) is None
    assert ask(OfferTiming(urgent=True, not_before=50), 49) == NotYet(NOT_BEFORE, 50)
    assert ask(OfferTiming(urgent=True, lease_until=10), 10) == NotYet(LEASE_OVER, None)


def test_a_lease_that_is_over_comes_before_everything() -> None:
    timing = OfferTiming(lease_until=150, windows=NIGHTS, max_deferral_s=1_000)
    assert ask(timing, 149) is None
    assert ask(timing, 150) == NotYet(LEASE_OVER, None)
    assert ask(OfferTiming(lease_until=150, windows=(Window(300, 400),)), 100) == NotYet(OUT_OF_WINDOW, 150)


TIMES = st.integers(0, 500)


@given(
    st.builds(
        OfferTiming,
        not_before=TIMES,
        lease_until=st.none() | TIMES,
        windows=st.none() | st.just(NIGHTS),
        max_deferral_s=TIMES,
        urgent=st.booleans(),
    ),
    TIMES,
    TIMES,
    st.none() | TIMES,
)
@example(
    timing=OfferTiming(not_before=1, lease_until=None, windows=NIGHTS, max_deferral_s=0, urgent=False),
    now=0,
    heard_at=200,
    deferred_until=200,
)
def test_when_one_asks_again_as_told_it_either_begins_or_waits_for_something_else(
    timing: OfferTiming, now: int, heard_at: int, deferred_until: int | None
) -> None:
    """So a device that asks again at ``until`` and after each check-in never turns, and never misses its time."""
    for _ in range(5):  # its first time, a window, a deferral that ends where the window does, the next window
        found = not_yet(timing, now=now, heard_at=heard_at, deferred_until=deferred_until)
        if found is None:
            assert timing.lease_until is None or now < timing.lease_until
            return
        if found.until is None:
            return
        assert found.until > now
        for moment in range(now, found.until):
            assert not_yet(timing, now=moment, heard_at=heard_at, deferred_until=deferred_until) is not None
        now = found.until
    raise AssertionError("asked five times, and still not begun")
