# SPDX-License-Identifier: Apache-2.0
"""Tokens of query languages, and the cursor with which their parsers read them.

Each language brings its own pattern of tokens and its own error.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeVar

_Read = TypeVar("_Read")

# (name of the pattern's group, text)
Token = tuple[str, str]
# What follows the last token; no pattern has a group of this name.
END: Final[Token] = ("end", "the end")


class TokenCursor:
    """A place in the tokens of a query: a parser looks at the next token, takes it, or expects a certain one.

    ``pattern`` matches one token and the space before it; the group that matched is the kind of token. Groups named
    ``name`` hold words, whose case does not matter, and groups named ``mark`` signs. ``fault`` makes the error of the
    language from what was expected and what was found; it is raised, with the offset, where no token begins.
    """

    def __init__(self, text: str, pattern: re.Pattern[str], fault: Callable[[str, str], Exception]) -> None:
        self._tokens: list[Token] = []
        self._at = 0
        self._fault = fault
        position, end = 0, len(text.rstrip())
        while position < end:
            match = pattern.match(text, position)
            if match is None or match.lastgroup is None:
                raise fault("the query language", f"{text[position : position + 20]!a} at {position}")
            self._tokens.append((match.lastgroup, match[match.lastgroup]))
            position = match.end()

    def peek(self, ahead: int = 0) -> Token:
        """The token ``ahead`` tokens after the next one, or :data:`END`."""
        place = self._at + ahead
        return self._tokens[place] if place < len(self._tokens) else END

    def is_end(self) -> bool:
        """Whether every token was taken."""
        return self.peek() is END

    def shown(self) -> str:
        """The next token as errors quote it."""
        return self.peek()[1]

    def is_word(self, word: str) -> bool:
        """Whether the next token is this word, given in lower case, or this sign."""
        kind, text = self.peek()
        return kind in ("name", "mark") and text.lower() == word

    def take(self, word: str) -> bool:
        """Take the next token where it is this word or sign; whether it was."""
        if not self.is_word(word):
            return False
        self._at += 1
        return True

    def take_kind(self, kind: str, expected: str) -> str:
        """Take a token of this kind, and return its text; raises the language's error where another stands."""
        found, text = self.peek()
        if found != kind:
            raise self._fault(expected, self.shown())
        self._at += 1
        return text

    def listed(self, read: Callable[[], _Read], sign: str = ",") -> list[_Read]:
        """What ``read`` reads once, and again behind each ``sign``."""
        found = [read()]
        while self.take(sign):
            found.append(read())
        return found

    def expect(self, *words: str) -> None:
        """Take these words and signs; raises the language's error where another token stands."""
        for word in words:
            if not self.take(word):
                raise self._fault(word.upper(), self.shown())
