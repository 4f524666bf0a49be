# SPDX-License-Identifier: Apache-2.0
"""Lengths of time in words: ``90 min``, ``12 h``, ``7 days``. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from armillary.console.language.say import say_count
from armillary.errors import InvalidArgumentError

# What is offered; others can be typed.
RANGES: Final = (900, 3600, 6 * 3600, 12 * 3600, 86_400, 7 * 86_400, 30 * 86_400, 90 * 86_400, 365 * 86_400)
COLUMNS: Final = (60, 300, 900, 3600, 6 * 3600, 86_400)
# Largest first; what a length is a whole number of, it is said in.
_UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_WORDS: Final[Mapping[str, int]] = MappingProxyType(
    {
        **dict.fromkeys(("", "s", "sec", "second", "seconds"), 1),
        **dict.fromkeys(("m", "min", "minute", "minutes"), 60),
        **dict.fromkeys(("h", "hour", "hours"), 3600),
        **dict.fromkeys(("d", "day", "days"), 86_400),
        **dict.fromkeys(("w", "week", "weeks"), 7 * 86_400),
    }
)
_LENGTH: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*([a-z]*)\Z")


def words(seconds: int) -> str:
    """A length in the largest unit that it is a whole number of: ``1 day``, ``90 min``."""
    size, unit = next(each for each in _UNITS if seconds % each[0] == 0)
    count = seconds // size
    return say_count(count, "{count} day", "{count} days", count=count) if unit == "d" else f"{count} {unit}"


def seconds_of(text: str, name: str) -> int:
    """The seconds of a length in words; a bare number is seconds.

    Raises:
        InvalidArgumentError: it is none; names the field.
    """
    found = _LENGTH.match(text.strip().lower())
    size = None if found is None else _WORDS.get(found[2])
    if found is None or size is None:
        raise InvalidArgumentError(
            f"{name}: expected a length of time as 90 min, 12 h or 7 days, got {text[:40]!r}", remedy="Correct it."
        )
    return round(float(found[1]) * size)
