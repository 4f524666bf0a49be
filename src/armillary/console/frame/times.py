# SPDX-License-Identifier: Apache-2.0
"""Times as people type them into forms, UTC; ranges, relative and absolute, as addresses have them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from armillary.console.frame.form import Field, limits
from armillary.errors import InvalidArgumentError

# What a field of a time says below it.
HINT: Final = "UTC, such as 2026-11-28 04:00"
# Relative range -> seconds before now, and its words; "" is any time.
RANGES: Final[Mapping[str, int]] = MappingProxyType({"1h": 3600, "24h": 86_400, "7d": 604_800, "30d": 2_592_000})
RANGE_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {"1h": "Last hour", "24h": "Last 24 hours", "7d": "Last 7 days", "30d": "Last 30 days"}
)
_TYPED: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[ T](\d{2}):(\d{2})(?::(\d{2}))?)?\s*(?:UTC|Z)?", re.ASCII)


def typed_time(name: str, typed: str) -> int | None:
    """Unix seconds of a time that was typed into the field ``name``; None of an empty one.

    Raises:
        InvalidArgumentError: it is none.
    """
    text = typed.strip()
    if not text:
        return None
    found = _TYPED.fullmatch(text)
    try:
        parts = [int(each or 0) for each in found.groups()] if found else []
        return int(datetime(*parts[:6], tzinfo=UTC).timestamp())  # type: ignore[misc, arg-type] # of none: TypeError
    except (TypeError, ValueError):
        raise InvalidArgumentError(
            f"{name}: expected a time such as 2026-11-28 04:00, in UTC, got {text!a:.40}",
            remedy="Write the date, and the time if it matters.",
        ) from None


def time_field(at: int | None) -> str:
    """A time as a form has it."""
    return "" if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}"


def ranged(asked: str, start: str, end: str, now: int) -> tuple[int | None, int | None]:
    """Since when and until when (Unix seconds) a range of an address is: a time that was typed counts before a word.

    Raises:
        InvalidArgumentError: a time that was typed is none.
    """
    since, until = typed_time("From", start), typed_time("To", end)
    if since is None and asked in RANGES:
        since = now - RANGES[asked]
    return since, until


def range_fields(label: str, asked: str, start: str, end: str) -> tuple[Field, ...]:
    """The fields of a range: a word, or times in UTC; posted as ``range``, ``start`` and ``end``."""
    words = (("", "Any time"), *RANGE_WORDS.items())
    return (
        Field(name="range", label=label, kind="select", value=asked, choices=words),
        Field(
            name="start", label="From (UTC)", value=start, limits=limits(maxlength=24, placeholder="2026-11-28 04:00")
        ),
        Field(name="end", label="To (UTC)", value=end, limits=limits(maxlength=24, placeholder="2026-11-28 05:00")),
    )
