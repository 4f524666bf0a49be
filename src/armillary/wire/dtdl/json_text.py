# SPDX-License-Identifier: Apache-2.0
"""Reads the JSON text of a model, with the place of every value.

RFC 8259 in UTF-8, with or without a byte order mark: published models have one. What is read is bounded in size,
depth and length of numbers; a name may stand once in an object (DTDL §Terminology).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

# A file may hold many interfaces; DTDL v3 allows 1 MiB for each.
MAX_DOCUMENT_BYTES = 8 << 20

# Interfaces in interfaces, ten levels of extends and six of schemas, two levels of JSON each; rounded up.
MAX_DEPTH = 100

# A double has 17 digits that mean anything.
MAX_NUMBER_CHARACTERS = 64

# Byte order mark: published models begin with one.
BOM = b"\xef\xbb\xbf"

_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_STRING = re.compile(r'"([^"\\\x00-\x1f]*(?:\\.[^"\\\x00-\x1f]*)*)"')
_WORDS: Mapping[str, bool | None] = {"true": True, "false": False, "null": None}


@dataclass(frozen=True, slots=True)
class Node:
    """A JSON value and where it stands."""

    value: NodeValue
    start: int = 0  # offset of its first character in the text
    end: int = 0  # offset after its last character


NodeValue: TypeAlias = "dict[str, Node] | list[Node] | str | int | float | bool | None"


class UnreadableJsonError(ValueError):
    """Text that is not JSON: ``at`` is the offset of the fault."""

    def __init__(self, at: int, expected: str, got: str) -> None:
        super().__init__(f"expected {expected}, got {got}")
        self.at = at
        self.expected = expected
        self.got = got


def decode_text(data: bytes) -> str:
    """The text of a document; raises UnreadableJsonError if it is too large or not UTF-8."""
    if len(data) > MAX_DOCUMENT_BYTES:
        raise UnreadableJsonError(0, f"at most {MAX_DOCUMENT_BYTES} bytes", f"{len(data)} bytes")
    text = data.removeprefix(BOM)
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        start = len(text[: error.start].decode("utf-8"))
        raise UnreadableJsonError(start, "UTF-8", f"the byte {text[error.start]:#04x}") from None


def read_json(text: str) -> Node:
    """Read a document; raises UnreadableJsonError with the place if it is not JSON."""
    reader = _Reader(text)
    node = reader.value(reader.skip(0), 1)
    end = reader.skip(node.end)
    if end != len(text):
        raise UnreadableJsonError(end, "the end of the document", _seen(text, end))
    return node


def from_value(value: object) -> Node:
    """A decoded JSON value as a node without a place."""
    if isinstance(value, Mapping):
        return Node({str(key): from_value(inner) for key, inner in value.items()})
    if isinstance(value, (list, tuple)):
        return Node([from_value(inner) for inner in value])
    return Node(value)  # type: ignore[arg-type]  # what JSON has left


def to_value(node: Node) -> Any:
    """The plain JSON value of a node."""
    if isinstance(node.value, dict):
        return {key: to_value(inner) for key, inner in node.value.items()}
    if isinstance(node.value, list):
        return [to_value(inner) for inner in node.value]
    return node.value


def line_of(text: str, offset: int) -> int:
    """Line of an offset; the first line is 1."""
    return text.count("\n", 0, offset) + 1


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text

    def skip(self, at: int) -> int:
        """Offset of the next character that is no white space."""
        found = _SPACE.match(self._text, at)
        return at if found is None else found.end()

    def value(self, at: int, depth: int) -> Node:
        """The value that begins at ``at``."""
        if depth > MAX_DEPTH:
            raise UnreadableJsonError(at, f"at most {MAX_DEPTH} levels", "more")
        first = self._text[at : at + 1]
        if first == "{":
            return self._object(at, depth)
        if first == "[":
            return self._array(at, depth)
        if first == '"':
            text, end = self._string(at)
            return Node(text, at, end)
        if first == "-" or first.isdigit():
            return self._number(at)
        for word, meaning in _WORDS.items():
            if self._text.startswith(word, at):
                return Node(meaning, at, at + len(word))
        raise UnreadableJsonError(at, "a JSON value", _seen(self._text, at))

    def _object(self, start: int, depth: int) -> Node:
        members: dict[str, Node] = {}
        at = self.skip(start + 1)
        if self._text[at : at + 1] == "}":
            return Node(members, start, at + 1)
        while True:
            name, end = self._string(at)
            if name in members:
                raise UnreadableJsonError(at, "each name once in an object", f"{name[:40]!a} again")
            at = self._mark(self.skip(end), ":")
            inner = self.value(self.skip(at), depth + 1)
            members[name] = inner
            at = self.skip(inner.end)
            if self._text[at : at + 1] == "}":
                return Node(members, start, at + 1)
            at = self.skip(self._mark(at, ","))

    def _array(self, start: int, depth: int) -> Node:
        items: list[Node] = []
        at = self.skip(start + 1)
        if self._text[at : at + 1] == "]":
            return Node(items, start, at + 1)
        while True:
            inner = self.value(at, depth + 1)
            items.append(inner)
            at = self.skip(inner.end)
            if self._text[at : at + 1] == "]":
                return Node(items, start, at + 1)
            at = self.skip(self._mark(at, ","))

    def _mark(self, at: int, mark: str) -> int:
        if self._text[at : at + 1] != mark:
            raise UnreadableJsonError(at, f"{mark!r}", _seen(self._text, at))
        return at + 1

    def _string(self, at: int) -> tuple[str, int]:
        found = _STRING.match(self._text, at)
        if found is None:
            raise UnreadableJsonError(at, "text in double quotes", _seen(self._text, at))
        text = found[1]
        if "\\" in text:
            try:
                text = json.loads(found[0])
                text.encode("utf-8")
            except UnicodeEncodeError:
                raise UnreadableJsonError(at, "text without lone surrogates", "one") from None
            except ValueError as error:
                raise UnreadableJsonError(at, "escapes as in RFC 8259", str(error)[:60]) from None
        return text, found.end()

    def _number(self, at: int) -> Node:
        found = _NUMBER.match(self._text, at)
        if found is None or found.end() - at > MAX_NUMBER_CHARACTERS:
            raise UnreadableJsonError(
                at, f"a number of at most {MAX_NUMBER_CHARACTERS} characters", _seen(self._text, at)
            )
        if found[1] is None and found[2] is None:
            return Node(int(found[0]), at, found.end())
        number = float(found[0])
        if not math.isfinite(number):
            raise UnreadableJsonError(at, "a number within a double", found[0])
        return Node(number, at, found.end())


def _seen(text: str, at: int) -> str:
    return ascii(text[at : at + 20]) if at < len(text) else "the end of the text"
