# SPDX-License-Identifier: Apache-2.0
"""Reads fields of foreign JSON documents one by one: each is bounded and checked when it is taken, others are ignored.

Unlike ``wire/encoding/json_fields.py``, unknown fields are no mistake: the formats of others grow. A document that
names a key twice is refused, because two readers could take different values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from armillary.errors import AdvisoryError

# Of an identifier, a version, a package's name: the longest in OSV's feeds have fewer than 200 characters.
MAX_TEXT: Final = 512
# Of a title or a reason, which people read; longer ones are cut.
MAX_PROSE: Final = 2048
MAX_DEPTH: Final = 64
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def decode_json(data: bytes, *, what: str, limit: int) -> dict[str, Any]:
    """One JSON object (RFC 8259, UTF-8, with or without a byte order mark), each key once, without NaN.

    Raises:
        AdvisoryError: more than ``limit`` bytes, nested deeper than Python's parser goes, or none.
    """
    if len(data) > limit:
        raise AdvisoryError(what, expected=f"at most {limit} bytes", got=f"{len(data)} bytes")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise AdvisoryError(what, expected="each key once", got=f"a key twice among {shown(', '.join(found))}")
        return found

    def refuse(name: str) -> Any:
        raise AdvisoryError(what, expected="JSON values", got=name)

    try:
        document = json.loads(data.decode("utf-8-sig"), object_pairs_hook=unique, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise AdvisoryError(what, expected="a JSON object in UTF-8", got=f"not JSON: {error!s:.200}") from error
    if not isinstance(document, dict):
        raise AdvisoryError(what, expected="a JSON object", got=kind(document))
    return document


class Fields:
    """The fields of one object; ``path`` is its place in the document, ``what`` the format's name.

    Each method raises AdvisoryError for a field that is not as it says. A field that is null counts as missing.
    """

    def __init__(self, value: object, what: str, path: str = "") -> None:
        self.what = what
        self.path = path
        if not isinstance(value, Mapping):
            raise self.refused("", "an object", value)
        self._value: Mapping[str, Any] = value

    def text(self, name: str, *, most: int = MAX_TEXT, pattern: re.Pattern[str] | None = None) -> str:
        """A required text of 1 to ``most`` characters without control characters."""
        value = self._value.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= most or _CONTROL.search(value):
            raise self.refused(name, f"text of 1 to {most} characters without control characters", value)
        if pattern is not None and pattern.fullmatch(value) is None:
            raise self.refused(name, f"text like {pattern.pattern}", value)
        return value

    def optional(self, name: str, *, most: int = MAX_TEXT) -> str:
        """As :meth:`text`, "" where it is missing or empty."""
        return "" if self._value.get(name) in (None, "") else self.text(name, most=most)

    def prose(self, name: str) -> str:
        """Text for people: cut at :data:`MAX_PROSE`, control characters become spaces; "" where it is missing."""
        value = self._value.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.refused(name, "text", value)
        return " ".join(_CONTROL.sub(" ", value[:MAX_PROSE]).split())

    def choice(self, name: str, words: tuple[str, ...] | frozenset[str]) -> str:
        """One of ``words``."""
        value = self._value.get(name)
        if not isinstance(value, str) or value not in words:
            raise self.refused(name, f"one of {', '.join(sorted(words))}", value)
        return value

    def time(self, name: str) -> int | None:
        """An RFC 3339 time in seconds since 1970; None where it is missing."""
        value = self._value.get(name)
        if value is None:
            return None
        found = read_time(value)
        if found is None:
            raise self.refused(name, "a time like 2026-01-31T12:00:00Z", value)
        return found

    def needed_time(self, name: str) -> int:
        """As :meth:`time`, required."""
        found = self.time(name)
        if found is None:
            raise self.refused(name, "a time like 2026-01-31T12:00:00Z", None)
        return found

    def texts(self, name: str, *, most: int, characters: int = MAX_TEXT) -> tuple[str, ...]:
        """A list of at most ``most`` texts, each as :meth:`text` takes it; empty where it is missing."""
        values = self._list(name, most)
        for number, value in enumerate(values):
            if not isinstance(value, str) or not 0 < len(value) <= characters or _CONTROL.search(value):
                wanted = f"text of 1 to {characters} characters without control characters"
                raise self.refused(f"{name}[{number}]", wanted, value)
        return tuple(values)

    def each(self, name: str, *, most: int) -> Iterator[Fields]:
        """The objects of a list of at most ``most``; none where it is missing."""
        for number, value in enumerate(self._list(name, most)):
            yield Fields(value, self.what, self._place(f"{name}[{number}]"))

    def within(self, name: str) -> Fields | None:
        """An object; None where it is missing."""
        value = self._value.get(name)
        return None if value is None else Fields(value, self.what, self._place(name))

    def take(self, name: str) -> Any:
        """A field unchecked; None where it is missing."""
        return self._value.get(name)

    def refused(self, name: str, expected: str, got: object) -> AdvisoryError:
        """The error for a field of this object."""
        return AdvisoryError(self.what, expected=f"{self._place(name) or 'document'}: {expected}", got=shown(got))

    def _list(self, name: str, most: int) -> list[Any]:
        value = self._value.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.refused(name, "a list", value)
        if len(value) > most:
            raise self.refused(name, f"a list of at most {most}", f"{len(value)} entries")
        return value

    def _place(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path and name else self.path or name


def read_time(value: object) -> int | None:
    """Seconds since 1970 of an RFC 3339 time; None for anything else, or where it says no offset."""
    if not isinstance(value, str) or not 20 <= len(value) <= 40 or not value.isascii() or value[10] not in "Tt ":
        return None
    try:
        found = datetime.fromisoformat(value)
        return None if found.tzinfo is None else int(found.timestamp())
    except (ValueError, OverflowError):
        return None


def kind(value: object) -> str:
    """What a decoded value is, in JSON's words."""
    if value is None:
        return "nothing"
    words = {bool: "a boolean", str: "text", list: "a list", dict: "an object", int: "a number", float: "a number"}
    return words.get(type(value), type(value).__name__)


def shown(value: object) -> str:
    """A value for an error's message: texts and numbers cut at 60 characters, of others what they are."""
    return f"{value!a:.60}" if isinstance(value, (str, int, float)) and not isinstance(value, bool) else kind(value)
