# SPDX-License-Identifier: Apache-2.0
"""Readings: what a point of a piece of equipment was, when, and how far that can be relied on."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

Value = int | float | bool | str


class Quality(StrEnum):
    """How far a reading can be relied on. A reading that is not good has no value that could be taken for one."""

    GOOD = "good"  # Read now, within its plausible range
    RANGE = "range"  # Read now, outside of its plausible range: ``value`` is what came
    STALE = "stale"  # The last good value; the equipment has not answered since
    BAD = "bad"  # Never read, or what came cannot be such a value: ``value`` is None


class Reading(NamedTuple):
    """One value of one point. A tuple: thousands are made in a second, and this is the cheapest that cannot change."""

    point: str  # Name in the profile; of an array's member ``zone7_temperature``
    value: Value | None  # In engineering units; an enumeration's name; None where quality is BAD
    quality: Quality
    at: float  # Unix seconds of the acquisition
