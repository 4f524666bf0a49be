# SPDX-License-Identifier: Apache-2.0
"""Parses dates, times and durations as people type them: ``2027-06-30``, ``now``; ``90s``, ``15m``, ``1h``, ``7d``."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

import typer

from armillary.errors import InvalidArgumentError
from armillary.wire.text.duration import duration_of

ExpiresOption = Annotated[
    str, typer.Option("--expires", metavar="TIME", help="How long it is good: such as 90s, 15m, 1h or 7d.")
]


def seconds_of(text: str, option: str = "--expires") -> int:
    """Seconds of a duration such as ``90s`` or ``7d``. Raises typer.BadParameter if it is none."""
    found = duration_of(text)
    if found is None:
        raise typer.BadParameter(f"{option}: expected a time such as 90s, 15m, 1h or 7d, got {text!r:.40}")
    if found == 0:
        raise typer.BadParameter(f"{option}: expected a time of more than 0, got {text!r:.40}")
    return found


def seconds_or_time(text: str, option: str) -> int:
    """Seconds of a duration such as ``90s`` or ``7d``, or of a plain number of seconds. Raises typer.BadParameter."""
    plain = re.fullmatch(r"[0-9]{1,9}", text.strip(), re.ASCII)
    return seconds_of(text, option) if plain is None else int(plain[0])


def moment(option: str, text: str) -> int:
    """Unix seconds of a date, a time or ``now``, in UTC unless it says otherwise. Raises InvalidArgumentError."""
    if text == "now":
        return int(datetime.now(UTC).timestamp())
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidArgumentError(
            f"{option}: expected a date or time such as 2027-06-30 or 2027-06-30T18:00:00Z, got {text!r:.60}",
            remedy="Write it as ISO 8601; times without a zone are UTC.",
        ) from error
    return int((found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp())


def utc_text(at_ms: int) -> str:
    """Unix milliseconds as a table shows them: ``2027-06-30 18:00:00``, in UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
