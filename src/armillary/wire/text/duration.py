# SPDX-License-Identifier: Apache-2.0
"""Lengths of time as people type them: ``90 s``, ``30 min`` (or ``30m``), ``1 h``, ``2 d``."""

from __future__ import annotations

import re
from typing import Final

# Of each unit its seconds; of those with the same, the one that is written is last.
UNITS: Final = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_TYPED: Final = re.compile(r"([0-9]{1,9})\s*(s|min|m|h|d)", re.ASCII)


def duration_of(text: str) -> int | None:
    """Seconds; None for another text, a number without a unit as well: nobody can tell which."""
    found = _TYPED.fullmatch(text.strip())
    return None if found is None else int(found[1]) * UNITS[found[2]]


def duration_text(seconds: int) -> str:
    """The same length of time in the largest unit that gives a whole number: ``1 h``, ``90 min``, ``0 s``."""
    whole = {size: unit for unit, size in UNITS.items() if seconds >= size and seconds % size == 0} or {1: "s"}
    size = max(whole)
    return f"{seconds // size} {whole[size]}"
