# SPDX-License-Identifier: Apache-2.0
"""Parses dates and times as people type them."""

from __future__ import annotations

from datetime import UTC, datetime

from armillary.errors import InvalidArgumentError


def moment(option: str, text: str) -> int:
    """Unix seconds of a date (its first second), a date and time, or ``now``; UTC unless it says otherwise.

    Raises:
        InvalidArgumentError: none of these.
    """
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
