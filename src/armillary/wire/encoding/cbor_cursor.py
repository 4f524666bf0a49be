# SPDX-License-Identifier: Apache-2.0
"""Reads CBOR (RFC 8949) with tags item by item, so that each error names the byte.

``wire/encoding/cbor.py`` decodes whole messages of Armillary, which have no tags. Here a reader asks for the item that
the format expects next. Heads are the shortest, lengths definite and each key of a map stands once (§4.2.1); keys may
be in any order, because encoders of other makers keep that of their sources.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from armillary.errors import WireError

UINT, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE = range(8)
_NAMES: Final = (
    "an unsigned integer", "a negative integer", "a byte string", "a text string", "an array", "a map", "a tag",
    "a simple value or float",
)  # fmt: skip
# Bytes of the argument that follows a head with this additional information.
_ARGUMENT_BYTES: Final = {24: 1, 25: 2, 26: 4, 27: 8}
_MAX_ARGUMENT: Final = 2**64 - 1
_REMEDY: Final = "Send CBOR with shortest heads and definite lengths (RFC 8949 section 4.2.1)."
# Levels of a skipped item: no format that is read here has half as many.
MAX_DEPTH: Final = 24


class Cursor:
    """A place in encoded bytes; each method reads the item that stands there and moves behind it.

    ``base`` is the offset of ``data`` in the input, from which errors count. Readers add the names of what they skip to
    ``passed``. Fields in ``waived`` are skipped although :class:`MapForm` would refuse them: an operator wants it.

    Each method raises WireError where another item stands, or one that is not well formed or beyond its limit.
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

    def fault(self, expected: str, got: str, *, at: int | None = None) -> WireError:
        """The error for what stands at offset ``at`` of the data, or at the cursor; the caller raises it."""
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
        """Read the tag ``number``; its content follows."""
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
        """Skip one item of any kind; raises WireError if it is not whole or nested deeper than :data:`MAX_DEPTH`."""
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

    def end(self) -> None:
        """Check that nothing follows."""
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


def content_of(cursor: Cursor, name: str, *, limit: int) -> Cursor:
    """A cursor over the content of the byte string at ``cursor``, with the same list of what is skipped."""
    content = cursor.byte_string(name, limit=limit)
    base = cursor.base + cursor.at - len(content)
    return Cursor(content, cursor.what, base=base, passed=cursor.passed, waived=cursor.waived)


Reader = Callable[[Cursor], Any]


@dataclass(frozen=True, slots=True)
class MapForm:
    """What a map with integer keys holds. Called with a cursor it reads the map: it is a :data:`Reader` itself."""

    name: str  # of the map, for errors
    fields: Mapping[int, tuple[str, Reader | None]]  # key -> name and reader; None for a known field that is refused
    required: frozenset[int] = frozenset()  # keys that must be there
    extensible: bool = False  # other fields are skipped and named in ``Cursor.passed``

    def __call__(self, cursor: Cursor) -> dict[int, Any]:
        """Key -> value of each field, in the order of the map; None for a skipped one.

        Raises WireError for a key that stands twice or is missing, and for a field that cannot be read, which it names.
        """
        name, start = self.name, cursor.at
        found: dict[int, Any] = {}
        for _ in range(cursor.pairs(name, limit=_MAX_ARGUMENT)):
            at = cursor.at
            key = cursor.integer(f"a key of {name}")
            if key in found:
                raise cursor.fault(f"keys of {name} each once", f"key {key} again", at=at)
            field, reader = self.fields.get(key, (f"key {key}", None))
            if reader is None and (field in cursor.waived or (self.extensible and key not in self.fields)):
                cursor.skip()
                cursor.passed.append(f"{name} {field}")
                found[key] = None
                continue
            if reader is None:
                fitting = ", ".join(known for known, how in self.fields.values() if how is not None)
                raise cursor.fault(f"{name} with {fitting} and no other field", f"{field}, which does not fit", at=at)
            found[key] = reader(cursor)
        missing = sorted(self.required - found.keys())
        if missing:
            raise cursor.fault(f"{name} with {self.fields[missing[0]][0]}", f"none in {len(found)} fields", at=start)
        return found


def head(major: int, argument: int) -> bytes:
    """The shortest head of a major type and argument (RFC 8949 §3)."""
    if argument < 24:
        return bytes((major << 5 | argument,))
    for additional, size in _ARGUMENT_BYTES.items():
        if argument < 1 << (8 * size):
            return bytes((major << 5 | additional,)) + argument.to_bytes(size, "big")
    raise ValueError(f"CBOR argument of at most 64 bits expected, got {argument.bit_length()} bits")
