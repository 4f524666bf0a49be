# SPDX-License-Identifier: Apache-2.0
"""Reads the fields of a decoded JSON object one by one: each is checked when it is taken, unknown ones are refused.

::

    fields = JsonFields(body, "job", remedy)
    name = fields.text("name", most=128)
    retries = fields.integer("retries", 0, 10, default=0)
    fields.finish()
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from armillary.errors import InvalidArgumentError

# Characters of the names and of the descriptions that people give to their documents.
MAX_NAME_CHARACTERS: Final = 128
MAX_DESCRIPTION_CHARACTERS: Final = 1024

_NEEDED: Final = object()
_HTTP_ADDRESS = re.compile(r"https?://[^\s/@#]+(?:/[^\s#]*)?")


class JsonFields:
    """Reads the fields of one JSON object (RFC 8259 §4) one by one; ``path`` is its place in the document.

    Each method raises InvalidArgumentError, with ``remedy``, for a field that is missing or not as the method says. The
    message has path, field, what was expected and what was found.
    """

    def __init__(self, document: object, path: str, remedy: str) -> None:
        self._path = path
        self._remedy = remedy
        if not isinstance(document, Mapping):
            raise self.refused("", "a JSON object", document)
        self._document: Mapping[str, Any] = document
        self._left = dict.fromkeys(document)

    def take(self, name: str, default: object = _NEEDED) -> Any:
        """The value of a field, unchecked; ``default`` where the object has no such field."""
        self._left.pop(name, None)
        if name in self._document:
            return self._document[name]
        if default is _NEEDED:
            raise self.refused(name, "a value", None)
        return default

    def text(self, name: str, *, most: int, least: int = 1, default: str | None = None, lines: bool = False) -> str:
        """Text of ``least`` to ``most`` characters without control characters and lone surrogates.

        ``lines`` allows line feeds, carriage returns and tabs. A missing field is ``default``, which may be shorter;
        None makes the field required.
        """
        value = self.take(name, _NEEDED if default is None else default)
        if default is not None and value == default:
            return default
        if not isinstance(value, str) or not least <= len(value) <= most or not _is_plain(value, lines=lines):
            raise self.refused(name, f"text of {least} to {most} characters", value)
        return value

    def optional_text(self, name: str, *, most: int) -> str | None:
        """As :meth:`text`; None where the field is null or missing."""
        return None if self.take(name, None) is None else self.text(name, most=most)

    def http_address(self, name: str, *, most: int) -> str:
        """An http or https address (RFC 3986) of at most ``most`` characters, in ASCII, without user and fragment."""
        value = self.text(name, most=most)
        if not _HTTP_ADDRESS.fullmatch(value) or not value.isascii():
            raise self.refused(name, "an http or https address without user and fragment", value)
        return value

    def choice(self, name: str, words: Sequence[str], default: str | None = None) -> str:
        """One of ``words``."""
        value = self.take(name, _NEEDED if default is None else default)
        if not isinstance(value, str) or value not in words:
            raise self.refused(name, f"one of {', '.join(words)}", value)
        return value

    def boolean(self, name: str, *, default: bool) -> bool:
        """True or false."""
        value = self.take(name, default)
        if not isinstance(value, bool):
            raise self.refused(name, "true or false", value)
        return value

    def integer(self, name: str, least: int, most: int, *, default: int | None = None) -> int:
        """A whole number of ``least`` to ``most``."""
        value = self.take(name, _NEEDED if default is None else default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self.refused(name, f"an integer of {least} to {most}", value)
        return value

    def optional_integer(self, name: str, least: int, most: int) -> int | None:
        """As :meth:`integer`; None where the field is null or missing."""
        return None if self.take(name, None) is None else self.integer(name, least, most)

    def items(self, name: str, *, most: int, default: bool = False) -> Sequence[Any]:
        """A list of at most ``most`` items, unchecked; with ``default`` a missing one is empty."""
        value = self.take(name, () if default else _NEEDED)
        if not isinstance(value, (list, tuple)) or len(value) > most:
            raise self.refused(name, f"a list of at most {most}", value)
        return value

    def mapping(self, name: str) -> Mapping[str, Any]:
        """An object, its fields unchecked."""
        value = self.take(name)
        if not isinstance(value, Mapping):
            raise self.refused(name, "a JSON object", value)
        return value

    def inner(self, name: str) -> JsonFields | None:
        """A reader of the object in a field; None where the field is null or missing."""
        value = self.take(name, None)
        return None if value is None else JsonFields(value, f"{self._path}.{name}", self._remedy)

    def finish(self) -> None:
        """Refuse fields that no other method has taken."""
        if self._left:
            raise self.refused("", "no other fields", ", ".join(map(str, self._left)))

    def refused(self, name: str, expected: str, got: object) -> InvalidArgumentError:
        """The error for a field that is not as expected; the caller raises it."""
        place = f"{self._path}.{name}" if name else self._path
        return InvalidArgumentError(f"{place[:200]}: expected {expected}, got {got!a:.60}", remedy=self._remedy)


def is_value(value: object) -> bool:
    """Whether a JSON value can be compared: a finite number, a truth value or text."""
    return isinstance(value, (str, bool, int)) or (isinstance(value, float) and math.isfinite(value))


def kind_of(value: object) -> str:
    """The kind of a JSON value by which values are compared: ``number``, ``boolean``, ``text``, else ``nothing``."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    return "text" if isinstance(value, str) else "nothing"


def _is_plain(text: str, *, lines: bool) -> bool:
    return not any(
        (ord(each) < 0x20 and not (lines and each in "\n\r\t"))
        or "\x7f" <= each <= "\x9f"  # DEL and C1, by which terminals are told things as well
        or "\ud800" <= each <= "\udfff"
        for each in text
    )
