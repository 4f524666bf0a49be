# SPDX-License-Identifier: Apache-2.0
"""Checks decoded CBOR: each function returns the value, or raises a WireError with the field's name.

Message formats use them after :func:`armillary.wire.encoding.cbor.decode`.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from armillary.errors import WireError
from armillary.wire.encoding.cbor import MAX_INTEGER

# Latest time on the wire, 9999-12-31T23:59:59Z: what every date type we convert to can hold.
MAX_TIME = 253_402_300_799


def take_map(value: Any, keys: tuple[int, ...], what: str, *, optional: frozenset[int] = frozenset()) -> dict[int, Any]:
    """A map with exactly ``keys`` (those in ``optional`` may be missing). Unknown keys are refused."""
    if type(value) is not dict:
        raise WireError(what, expected="a map", got=_name(value))
    if tuple(value) == keys:  # decode() has checked the order
        return value
    unknown = value.keys() - set(keys)
    missing = set(keys) - value.keys() - optional
    if unknown or missing:
        raise WireError(
            what,
            expected=f"keys {list(keys)}",
            got=f"unknown keys {sorted(map(str, unknown))}" if unknown else f"no key {sorted(missing)}",
        )
    return value


def take_array(value: Any, what: str, *, limit: int, size: int | None = None) -> list[Any]:
    """An array of at most ``limit`` items, or of exactly ``size``."""
    if type(value) is not list:
        raise WireError(what, expected="an array", got=_name(value))
    if size is not None and len(value) != size:
        raise WireError(what, expected=f"{size} items", got=f"{len(value)}")
    if len(value) > limit:
        raise WireError(what, expected=f"at most {limit} items", got=f"{len(value)}")
    return value


def take_uint(value: Any, what: str, *, limit: int = MAX_INTEGER) -> int:
    """An integer from 0 to ``limit``."""
    if type(value) is not int or not 0 <= value <= limit:
        raise WireError(what, expected=f"an integer from 0 to {limit}", got=_name(value))
    return value


def take_time(value: Any, what: str) -> int:
    """Unix seconds UTC, 1970 to 9999."""
    return take_uint(value, what, limit=MAX_TIME)


def take_bytes(value: Any, what: str, *, size: int | None = None, limit: int = MAX_INTEGER) -> bytes:
    """A byte string of exactly ``size`` or at most ``limit`` bytes."""
    if type(value) is not bytes:
        raise WireError(what, expected="a byte string", got=_name(value))
    if size is not None and len(value) != size:
        raise WireError(what, expected=f"{size} bytes", got=f"{len(value)} bytes")
    if len(value) > limit:
        raise WireError(what, expected=f"at most {limit} bytes", got=f"{len(value)} bytes")
    return value


def take_text(value: Any, what: str, *, limit: int) -> str:
    """A text string of at most ``limit`` bytes of UTF-8 without NUL."""
    if type(value) is not str:
        raise WireError(what, expected="a text string", got=_name(value))
    if (not value.isascii() and len(value.encode()) > limit) or len(value) > limit:
        raise WireError(what, expected=f"at most {limit} bytes of text", got=f"{len(value)} characters or more")
    if "\0" in value:
        raise WireError(what, expected="text without NUL", got="a NUL character")
    return value


def take_choice(value: Any, choices: frozenset[str], what: str) -> str:
    """One of the words in ``choices``."""
    if type(value) is not str or value not in choices:
        raise WireError(what, expected=f"one of {sorted(choices)}", got=f"{value!r:.60}")
    return value


def take_uuid(value: Any, what: str) -> UUID:
    """A UUID as its 16 bytes in network order (RFC 9562 §4)."""
    return UUID(bytes=take_bytes(value, what, size=16))


def take_optional_uuid(value: Any, what: str) -> UUID | None:
    """A UUID or null."""
    return None if value is None else take_uuid(value, what)


def _name(value: Any) -> str:
    return f"{value}" if type(value) is int else "null" if value is None else f"a {type(value).__name__}"
