# SPDX-License-Identifier: Apache-2.0
"""Times as people type them into forms, UTC. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from armillary.errors import InvalidArgumentError

# What a field of a time says below it.
HINT: Final = "UTC, such as 2026-11-28 04:00"
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
