# SPDX-License-Identifier: Apache-2.0
"""The correction of a clock: what root says about times that its service gave while its clock ran ahead.

A member of a version of root metadata, beside those of TUF (TUF 1.0.34 §4.1 lets clients ignore what they do not
know)::

    "x-armillary-clock-correction": { "at": TIME, "first": TIME, "last": TIME }

    TIME is in Unix seconds UTC, from 0 to 253402300799 (the year 9999), and at < first <= last

It says: "at ``at``, devices had been told times from ``first`` to ``last``, which are false". As it is part of root, a
threshold of root's keys signs it, and as versions of root are followed one by one, a device meets it once. Whether a
device goes by it is decided in ``armillary.update.repository.clock``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from armillary.errors import WireError
from armillary.wire.encoding.cbor_fields import take_time

MEMBER: Final = "x-armillary-clock-correction"
_FIELDS: Final = ("at", "first", "last")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockCorrection:
    """Times from ``first`` to ``last`` were false at ``at``; Unix seconds UTC."""

    at: int
    first: int
    last: int


def clock_correction(members: Mapping[str, Any]) -> ClockCorrection | None:
    """The correction among the members of root metadata; None where there is none.

    Raises:
        WireError: it is no correction.
    """
    value = members.get(MEMBER)
    if value is None:
        return None
    if not isinstance(value, dict) or value.keys() != set(_FIELDS):
        raise WireError(MEMBER, expected=f"an object of {', '.join(_FIELDS)}", got=f"{value!r:.60}")
    at, first, last = (take_time(value[name], f"{MEMBER} {name}") for name in _FIELDS)
    if not at < first <= last:
        raise WireError(MEMBER, expected="times with at < first <= last", got=f"{at}, {first}, {last}")
    return ClockCorrection(at=at, first=first, last=last)


def correction_member(correction: ClockCorrection) -> dict[str, int]:
    """The member's value; WireError for what is no correction."""
    value = {"at": correction.at, "first": correction.first, "last": correction.last}
    clock_correction({MEMBER: value})  # better refused here than by a device
    return value
