# SPDX-License-Identifier: Apache-2.0
"""Device ids of a file: one a line, or the first column of a table. Pure."""

from __future__ import annotations

import re
from typing import Final

from armillary.errors import InvalidArgumentError

_FIRST: Final = re.compile(r'[\s"]*([^\s",;]*)')
_HEADS: Final = frozenset({"deviceid", "device_id", "device", "id", "device id"})


def ids_of(data: bytes) -> list[str]:
    """The first word of each line of a text in UTF-8, in order; no comments (``#``), empty lines or heads of a table.

    Raises:
        InvalidArgumentError: not text in UTF-8.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(
            f"file: expected text in UTF-8, got another byte at {error.start:,}",
            remedy="Save the list as text or CSV, one device id a line.",
        ) from error
    found = []
    for number, line in enumerate(text.splitlines()):
        first = _FIRST.match(line)
        word = first[1] if first is not None else ""
        is_head = number == 0 and word.lower() in _HEADS
        if word and not word.startswith("#") and not is_head:
            found.append(word)
    return found
