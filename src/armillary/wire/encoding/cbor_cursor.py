# SPDX-License-Identifier: Apache-2.0
"""Reading CBOR with tags item by item, so that each refusal says at which byte.

``wire/encoding/cbor.py`` decodes whole messages of our own, which have no tags. Formats of others have them; here a
format asks for the item it expects next. Heads are the shortest, lengths definite and each key of a map stands once
(RFC 8949 §4.2.1); the order of keys is free, for encoders of others keep that of their sources.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from armillary.errors import WireError

UINT, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE = range(8)
_NAMES: Final = (
    "an unsigned integer", "a negative integer", "a byte string", "a text string", "an array", "a map", "a tag",
    "a simple value or float",
)  # fmt: skip
# Bytes of the argument that follows a head with this additional information.
_ARGUMENT_BYTES: Final = {24: 1, 25: 2, 26: 4, 27: 8}
_REMEDY: Final = "Send CBOR with shortest heads and definite lengths (RFC 8949 section 4.2.1)."
# What is passed over may be nested this deep: no format that is read here nests half as deep.
MAX_DEPTH: Final = 24

# How a field's value is read; None for a field that is known and does not fit.
Reader = Callable[["Cursor"], Any]
Fields = Mapping[int, tuple[str, Reader | None]]


class Cursor:
    """A place in encoded bytes.

    Args:
        data: The encoded items.
        what: Name of the format, for errors.
        base: Offset of ``data`` in the input that errors count from.
        passed: Where readers name what they pass over; a list of its own by default.
        waived: Names of fields without a reader that are passed over nevertheless, because somebody has said so.
    """

    __slots__ = ("at", "base", "data", "passed", "waived", "what")

    def __init__(
        self,
        data: bytes,
        what: str,
        *,
        base: int = 0,
        passed: list[str] | None = None,
        waived: frozenset[str] = frozenset(),
    ) -> None:
        self.data, self.what, self.base, self.at = data, what, base, 0
        self.passed: list[str] = [] if passed is None else passed
        self.waived = waived

    def inside(self, name: str, *, limit: int) -> Cursor:
        """A cursor over the content of a byte string, which names what it passes over in the same list."""
        content = self.byte_string(name, limit=limit)
        base = self.base + self.at - len(content)
        return Cursor(content, self.what, base=base, passed=self.passed, waived=self.waived)

    def fault(self, expected: str, got: str, *, at: int | None = None) -> WireError:
        """The error for what stands at ``at``, or at the cursor."""
        place = self.base + (self.at if at is None else at)
        return WireError(self.what, offset=place, expected=expected, got=got, remedy=_REMEDY)

    def uint(self, name: str, limit: int) -> int:
        """An integer from 0 to ``limit``."""
        start, value = self.at, self._head(UINT, name)
        if value > limit:
            raise self.fault(f"{name} of at most {limit}", f"{value}", at=start)
        return value

    def integer(self, name: str) -> int:
        """An integer of either sign."""
        if self._major() == NEGATIVE:
            return -1 - self._head(NEGATIVE, name)
        return self._head(UINT, name)

    def byte_string(self, name: str, *, limit: int, size: int | None = None) -> bytes:
        """A byte string of at most ``limit`` or exactly ``size`` bytes."""
        start, length = self.at, self._head(BYTES, name)
        if size is not None and length != size:
            raise self.fault(f"{name} of {size} bytes", f"{length}", at=start)
        return self._take(length, limit, name, start)

    def text(self, name: str, *, limit: int) -> str:
        """A text string of 1 to ``limit`` bytes that prints on one line."""
        start, length = self.at, self._head(TEXT, name)
        raw = self._take(length, limit, name, start)
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            raise self.fault(f"{name} in UTF-8", "other bytes", at=start) from error
        if not text or not text.isprintable():
            raise self.fault(f"{name} that prints", repr(text[:40]), at=start)
        return text

    def array(self, name: str, *, limit: int, least: int = 1) -> int:
        """The number of items of an array, ``least`` to ``limit``; they follow."""
        start, count = self.at, self._head(ARRAY, name)
        if not least <= count <= limit:
            raise self.fault(f"{name} of {least} to {limit} items", f"{count}", at=start)
        return count

    def pairs(self, name: str, *, limit: int) -> int:
        """The number of pairs of a map, 0 to ``limit``; they follow."""
        start, count = self.at, self._head(MAP, name)
        if count > limit:
            raise self.fault(f"{name} of at most {limit} fields", f"{count}", at=start)
        return count

    def tag(self, number: int, name: str) -> None:
        """The tag ``number``; its content follows."""
        start, found = self.at, self._head(TAG, name)
        if found != number:
            raise self.fault(f"{name} (tag {number})", f"tag {found}", at=start)

    def next_tag(self) -> int | None:
        """The number of the tag that stands here, None if none does; the cursor stays."""
        if self._major() != TAG:
            return None
        start = self.at
        number = self._head(TAG, "a tag")
        self.at = start
        return number

    def next_is(self, major: int) -> bool:
        """Whether an item of this major type stands here."""
        return self._major() == major

    def skip(self, depth: int = 0) -> None:
        """Pass over one item, whatever it is.

        Raises:
            WireError: not one whole item, or nested deeper than :data:`MAX_DEPTH`.
        """
        if depth > MAX_DEPTH:
            raise self.fault(f"items nested at most {MAX_DEPTH} deep", "a deeper one")
        start, major = self.at, self._major()
        if major == SIMPLE:
            self._skip_simple()
            return
        argument = self._head(major, "an item")
        if major in (BYTES, TEXT):
            self._take(argument, len(self.data), "a string", start)
        for _ in range({ARRAY: argument, MAP: 2 * argument, TAG: 1}.get(major, 0)):
            self.skip(depth + 1)

    def map(self, name: str, fields: Fields, *, required: frozenset[int], extensible: bool = False) -> dict[int, Any]:
        """A map with integer keys, in any order and each once.

        Args:
            name: Of the map.
            fields: Key to the field's name and how to read it.
            required: Keys that must be there.
            extensible: Whether a field that ``fields`` does not know is passed over and named.

        Raises:
            WireError: also for a field that ``fields`` does not know, or knows and cannot read: by name.
        """
        start, count = self.at, self._head(MAP, name)
        found: dict[int, Any] = {}
        for _ in range(count):
            at = self.at
            key = self.integer(f"a key of {name}")
            if key in found:
                raise self.fault(f"keys of {name} each once", f"key {key} again", at=at)
            field, reader = fields.get(key, (f"key {key}", None))
            if reader is None and (field in self.waived or (extensible and key not in fields)):
                self.skip()
                self.passed.append(f"{name} {field}")
                found[key] = None
                continue
            if reader is None:
                fitting = ", ".join(known for known, how in fields.values() if how is not None)
                raise self.fault(f"{name} with {fitting} and no other field", f"{field}, which does not fit", at=at)
            found[key] = reader(self)
        missing = sorted(required - found.keys())
        if missing:
            raise self.fault(f"{name} with {fields[missing[0]][0]}", f"none in {len(found)} fields", at=start)
        return found

    def end(self) -> None:
        """Nothing follows."""
        if self.at != len(self.data):
            raise self.fault("the end", f"{len(self.data) - self.at} more bytes")

    def _skip_simple(self) -> None:
        start, additional = self.at, self.data[self.at] & 0x1F
        size = 0 if additional < 24 else _ARGUMENT_BYTES.get(additional)
        if size is None or self.at + 1 + size > len(self.data):
            raise self.fault("a whole simple value or float", f"additional information {additional}", at=start)
        self.at += 1 + size

    def _major(self) -> int:
        if self.at >= len(self.data):
            raise self.fault("an item", "the end")
        return self.data[self.at] >> 5

    def _head(self, major: int, name: str) -> int:
        """The argument of a head of this major type."""
        start, found = self.at, self._major()
        if found != major:
            raise self.fault(f"{name}: {_NAMES[major]}", _NAMES[found])
        additional = self.data[start] & 0x1F
        self.at = start + 1
        if additional < 24:
            return additional
        size = _ARGUMENT_BYTES.get(additional)
        if size is None:
            raise self.fault(f"{name} of definite length", f"additional information {additional}", at=start)
        raw = self.data[self.at : self.at + size]
        value = int.from_bytes(raw, "big")
        if len(raw) != size or value < (24 if size == 1 else 1 << (4 * size)):
            raise self.fault(f"{name} with the shortest head", "a longer one or the end", at=start)
        self.at += size
        return value

    def _take(self, length: int, limit: int, name: str, start: int) -> bytes:
        if length > limit or length > len(self.data) - self.at:
            left = min(limit, len(self.data) - self.at)
            raise self.fault(f"{name} of at most {left} bytes", f"{length}", at=start)
        taken = self.data[self.at : self.at + length]
        self.at += length
        return taken


def head(major: int, argument: int) -> bytes:
    """The shortest head of a major type and argument (RFC 8949 §3)."""
    if argument < 24:
        return bytes((major << 5 | argument,))
    for additional, size in _ARGUMENT_BYTES.items():
        if argument < 1 << (8 * size):
            return bytes((major << 5 | additional,)) + argument.to_bytes(size, "big")
    raise ValueError(f"CBOR argument of at most 64 bits expected, got {argument.bit_length()} bits")
