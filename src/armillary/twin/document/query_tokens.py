# SPDX-License-Identifier: Apache-2.0
"""Texts of query languages cut into tokens; each language brings its own pattern and its own error."""

from __future__ import annotations

import re
from collections.abc import Callable

# (name of the pattern's group, text)
Token = tuple[str, str]


def tokens_of(text: str, pattern: re.Pattern[str], fault: Callable[[str, str], Exception]) -> list[Token]:
    """The tokens of a query.

    Args:
        text: The query.
        pattern: Matches one token and the space before it; the group that matched is the kind of token.
        fault: Makes the language's error of what was expected and what is there.

    Raises:
        Exception: what ``fault`` makes, where nothing of the language begins; names the place.
    """
    found: list[Token] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = pattern.match(text, position)
        if match is None or match.lastgroup is None:
            raise fault("the query language", f"{text[position : position + 20]!a} at {position}")
        found.append((match.lastgroup, match[match.lastgroup]))
        position = match.end()
    return found
