# SPDX-License-Identifier: Apache-2.0
"""The correction of a clock in root metadata: what was signed comes back, and nothing else is one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from armillary.errors import WireError
from armillary.wire.encoding.cbor_fields import MAX_TIME
from armillary.wire.update.clock_correction import MEMBER, ClockCorrection, clock_correction, correction_member

GOOD: dict[str, Any] = {"at": 100, "first": 200, "last": 300}


@given(times=st.lists(st.integers(0, MAX_TIME), min_size=3, max_size=3))
def test_a_correction_comes_back_as_it_was_made_or_is_refused(times: list[int]) -> None:
    made = ClockCorrection(at=times[0], first=times[1], last=times[2])
    if times[0] < times[1] <= times[2]:
        assert clock_correction({"_type": "root", MEMBER: correction_member(made)}) == made
    else:
        with pytest.raises(WireError, match="at < first <= last"):
            correction_member(made)


def test_a_root_without_one_says_nothing_of_times() -> None:
    assert clock_correction({"_type": "root", "version": 2}) is None


@pytest.mark.parametrize(
    "value",
    [
        [],
        "now",
        {},
        {"at": 100, "first": 200},
        {**GOOD, "more": 1},
        *({**GOOD, name: odd} for name in GOOD for odd in (True, 1.0, "1", None, -1, MAX_TIME + 1)),
    ],
)
def test_what_is_no_correction_is_refused(value: Any) -> None:
    with pytest.raises(WireError, match=MEMBER):
        clock_correction({MEMBER: value})
