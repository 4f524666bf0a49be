# SPDX-License-Identifier: Apache-2.0
"""CBOR (RFC 8949) of the profile in ``cbor.py``, in Python alone: for processors that nobody has built cbor2 for.

It reads and writes integers of 64 bits, strings, arrays, maps and false, true, null; whatever else there is in CBOR is
an error. Longer spellings and bytes after the value are read, as cbor2 does: ``cbor.py`` refuses them.
"""

from __future__ import annotations

import struct
from typing import Any, Final

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_SIMPLES: Final[dict[int, bool | None]] = {20: False, 21: True, 22: None}
# Additional information 24 to 27: how many bytes the argument has.
_ARGUMENTS: Final = {24: struct.Struct(">B"), 25: struct.Struct(">H"), 26: struct.Struct(">I"), 27: struct.Struct(">Q")}


class CBORError(Exception):
    """These bytes are no CBOR value of the profile."""


def loads(data: bytes, *, max_depth: int) -> Any:
    """The value at the beginning of ``data``; CBORError if it is none, or nested deeper than ``max_depth``."""
    return _read(data, 0, max_depth)[0]


def dumps(value: Any) -> bytes:
    """The shortest encoding of a value, maps in their own order; TypeError for what the profile does not have."""
    parts: list[bytes] = []
    _write(value, parts)
    return b"".join(parts)


def _read(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    """A value and where it ends."""
    kind, argument, at = _head(data, at)
    if kind == _UNSIGNED:
        return argument, at
    if kind == _NEGATIVE:
        return -1 - argument, at
    if kind == _SIMPLE:
        return _SIMPLES[argument], at
    if kind in (_BYTES, _TEXT):
        return _string(data, at, argument, is_text=kind == _TEXT)
    if depth < 1:
        raise CBORError("nested too deep")
    return (_array if kind == _ARRAY else _map)(data, at, argument, depth - 1)


def _string(data: bytes, at: int, size: int, *, is_text: bool) -> tuple[bytes | str, int]:
    content = data[at : at + size]
    if len(content) != size:
        raise CBORError(f"a string of {size} bytes has {len(content)}")
    return (_text(content) if is_text else content), at + size


def _array(data: bytes, at: int, count: int, depth: int) -> tuple[list[Any], int]:
    items = []
    for _ in range(count):
        item, at = _read(data, at, depth)
        items.append(item)
    return items, at


def _map(data: bytes, at: int, count: int, depth: int) -> tuple[dict[int | str, Any], int]:
    found: dict[int | str, Any] = {}
    for _ in range(count):
        key, at = _read(data, at, depth)
        if type(key) is not int and type(key) is not str:
            raise CBORError(f"a key of kind {type(key).__name__}")
        if key in found:
            raise CBORError(f"the key {key!r:.40} twice")
        found[key], at = _read(data, at, depth)
    return found, at


def _head(data: bytes, at: int) -> tuple[int, int, int]:
    """Major type, argument, and where the content begins."""
    if at >= len(data):
        raise CBORError("the value is cut off")
    kind, argument = data[at] >> 5, data[at] & 0x1F
    if kind == _TAG:
        raise CBORError("a tag")
    if kind == _SIMPLE:
        if argument not in _SIMPLES:
            raise CBORError(f"the simple value or float {data[at]:#04x}")
        return kind, argument, at + 1
    if argument < 24:
        return kind, argument, at + 1
    form = _ARGUMENTS.get(argument)
    if form is None:
        raise CBORError("a value of indefinite length, or a reserved head")
    if len(data) < at + 1 + form.size:
        raise CBORError("the value is cut off")
    return kind, form.unpack_from(data, at + 1)[0], at + 1 + form.size


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CBORError(f"a text that is no UTF-8: {error.reason}") from error


def _write(value: Any, parts: list[bytes]) -> None:
    kind = type(value)
    if kind is str:
        content = value.encode()
        parts += (_encoded_head(_TEXT, len(content)), content)
    elif kind is bytes:
        parts += (_encoded_head(_BYTES, len(value)), value)
    elif value is None or kind is bool:
        parts.append(b"\xf6" if value is None else b"\xf5" if value else b"\xf4")
    elif kind is int:
        parts.append(_encoded_head(_UNSIGNED, value) if value >= 0 else _encoded_head(_NEGATIVE, -1 - value))
    elif isinstance(value, dict):
        parts.append(_encoded_head(_MAP, len(value)))
        for key, item in value.items():
            _write(key, parts)
            _write(item, parts)
    elif isinstance(value, list | tuple):
        parts.append(_encoded_head(_ARRAY, len(value)))
        for item in value:
            _write(item, parts)
    elif isinstance(value, bytes | bytearray | str | int):
        _write(_plain(value), parts)
    else:
        raise TypeError(f"no CBOR encoding of {kind.__name__}")


def _plain(value: Any) -> bytes | str | int:
    """The same of a built-in type: bytes that can be changed, and members of enumerations."""
    if isinstance(value, str):
        return str.__str__(value)
    return int(value) if isinstance(value, int) else bytes(value)


def _encoded_head(kind: int, argument: int) -> bytes:
    """The shortest head."""
    if argument < 24:
        return bytes((kind << 5 | argument,))
    for information, form in _ARGUMENTS.items():
        if argument < 1 << 8 * form.size:
            return bytes((kind << 5 | information,)) + form.pack(argument)
    raise TypeError(f"an integer of {argument.bit_length()} bits")
