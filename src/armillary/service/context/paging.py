# SPDX-License-Identifier: Apache-2.0
"""Limits and cursors of lists."""

from __future__ import annotations

import re

from armillary.errors import InvalidArgumentError

MAX_LIMIT = 1000  # rows of one page: about a megabyte of JSON
# A cursor of a list that is newest first, for descriptions (JSON Schema) and below.
NUMBER_PATTERN = "^[0-9]{1,18}$"
_NUMBER = re.compile(NUMBER_PATTERN, re.ASCII)


def bounded(limit: int) -> int:
    """``limit``, at most :data:`MAX_LIMIT`; InvalidArgumentError if it is less than 1."""
    if limit < 1:
        raise InvalidArgumentError(f"limit: expected 1 to {MAX_LIMIT}, got {limit}", remedy="Ask for at least one row.")
    return min(limit, MAX_LIMIT)


def number_after(cursor: str | None) -> int | None:
    """The row number in a cursor of a list, newest first; InvalidArgumentError if no list gave it."""
    if cursor is None:
        return None
    if _NUMBER.fullmatch(cursor) is None:
        raise InvalidArgumentError(
            f"cursor: expected one that this list gave, got {cursor!r:.40}", remedy="Start again without a cursor."
        )
    return int(cursor)
