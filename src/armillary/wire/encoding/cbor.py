# SPDX-License-Identifier: Apache-2.0
"""Strict deterministic CBOR (RFC 8949 §4.2.1): one value has one spelling, every other spelling is refused.

cbor2 does the work (``plain_cbor.py`` where there is none); alone it accepts duplicate keys (the last wins), bytes
after the value, numbers longer than needed and chunked strings. Two programs that read such input differently are a
way around a check, so here the decoded value is encoded again and must give the input, byte for byte.

The profile of Armillary's messages, narrower than CBOR:

=============  =============================================================================
allowed        integers of 64 bits, byte and text strings, arrays, maps, false, true, null
map keys       integers and text strings, in bytewise order of their encodings (RFC 8949 §4.2.1;
               cbor2's ``canonical`` sorts by length first, the older RFC 7049 §3.9 rule)
not allowed    tags (COSE's tag 18 is taken off by ``wire/encoding/cose.py``), undefined and other simple
               values, and every float: no device message needs one, and deterministic encoding of
               floats and NaN payloads is left open by RFC 8949 §4.2.2
=============  =============================================================================
"""

from __future__ import annotations

from typing import Any, Final

from armillary.errors import WireError

try:
    from armillary.wire.encoding import fast_cbor as codec
except ModuleNotFoundError:  # nobody has built cbor2 for 32-bit Arm
    from armillary.wire.encoding import plain_cbor as codec  # type: ignore[no-redef]

# Deepest nesting of arrays and maps. The deepest message (check-in reply) has 4 levels; foreign EAT and COSE
# examples have 8. More serves only to exhaust a stack.
MAX_DEPTH: Final = 16

# Integers of CBOR's major types 0 and 1 (RFC 8949 §3.1); larger ones would be bignum tags.
MAX_INTEGER: Final = 2**64 - 1
MIN_INTEGER: Final = -(2**64)

_REMEDY: Final = "Send deterministically encoded CBOR (RFC 8949 section 4.2.1) without tags and floats."


def encode(value: Any) -> bytes:
    """Encode an int, bytes, str, bool, None, or list, tuple or dict (of int or str keys) of these (RFC 8949 §4.2.1).

    Raises:
        TypeError: a value of another type.
        ValueError: an integer of more than 64 bits, or nesting deeper than :data:`MAX_DEPTH`.
    """
    return codec.dumps(_in_order(value, 0))


def encode_ordered(value: Any) -> bytes:
    """Encode a value whose maps are already in deterministic order, without checking it.

    For this package's own message builders, whose keys are literals in order; everyone else calls
    :func:`encode`. The tests compare both for every message.
    """
    return codec.dumps(value)


def decode(data: bytes, *, what: str, limit: int, items: int | None = None) -> Any:
    """Decode exactly one value of at most ``limit`` bytes; ``what`` names the format in errors.

    ``items`` bounds its numbers, strings, arrays and maps, all counted, also keys: an item may be of one byte and costs
    some hundred times as much as a byte of a string. It is for what others send; without it, bytes alone count.

    Raises WireError if it is not CBOR, not deterministic, not in the profile, or larger than ``limit`` or ``items``.
    """
    if len(data) > limit:
        raise WireError(what, expected=f"at most {limit} bytes", got=f"{len(data)} bytes", remedy=_REMEDY)
    if items is not None and len(data) > items and _has_more(data, items):
        raise WireError(what, expected=f"at most {items} items", got="more", remedy=_REMEDY)
    try:
        value = codec.loads(data, max_depth=MAX_DEPTH)
    # Deep or odd input may end in any of these. All say the same thing: these bytes are not a value of the profile.
    except (codec.CBORError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise WireError(what, expected="one CBOR value", got=str(error) or "a tag", remedy=_REMEDY) from error
    _check(value, what)
    again = codec.dumps(value)
    if again != data:
        offset = next((i for i, (a, b) in enumerate(zip(again, data, strict=False)) if a != b), len(again))
        raise WireError(
            what,
            offset=offset,
            expected="the deterministic encoding and nothing after it",
            got="another encoding of the value" if offset < len(again) else f"{len(data) - offset} more bytes",
            remedy=_REMEDY,
        )
    return value


def cut_strings(data: bytes, start: int, count: int) -> list[bytes] | None:
    """The ``count`` byte strings that ``data`` consists of from ``start`` on, cut without a decoder.

    Only their shortest heads pass, for up to 65,535 bytes each, and nothing may follow: what comes back is what
    :func:`decode` would give for them. None for everything else; the caller then asks the decoder, which can say why.
    """
    found = []
    try:
        for _ in range(count):
            head = data[start]
            if head == 0x59:
                size = data[start + 1] << 8 | data[start + 2]
                shortest, start = size > 0xFF, start + 3
            elif head == 0x58:
                size = data[start + 1]
                shortest, start = size > 23, start + 2
            else:
                size = head - 0x40
                shortest, start = 0 <= size <= 23, start + 1
            if not shortest:
                return None
            found.append(data[start : start + size])
            start += size
    except IndexError:
        return None
    return found if start == len(data) else None


def _has_more(data: bytes, items: int) -> bool:
    """Whether more than so many heads follow one another; what is no head ends them, and the decoder says why."""
    at, end = 0, len(data)
    for _ in range(items):
        if at >= end:
            return False
        head = data[at]
        at += 1
        argument = head & 0x1F
        if argument > 23:
            if argument > 27:
                return False
            size = 1 << argument - 24
            argument = int.from_bytes(data[at : at + size])
            at += size
        if 0x40 <= head < 0x80:  # a string; the items of arrays and maps follow by themselves
            at += argument
    return at < end


def _check(value: Any, what: str) -> None:
    """Refuse types outside the profile and keys out of order. Depth was limited by the decoder."""
    kind = type(value)
    if kind is bytes or kind is str or kind is bool or value is None:
        return
    if kind is int:
        if not MIN_INTEGER <= value <= MAX_INTEGER:
            raise WireError(what, expected="an integer of at most 64 bits", got="a larger one", remedy=_REMEDY)
    elif kind is list:
        for item in value:
            item_kind = type(item)  # the common leaves without a call each
            if item_kind is not bytes and item_kind is not str:
                _check(item, what)
    elif kind is dict:
        _check_order(value, what)
        for item in value.values():
            item_kind = type(item)
            if item_kind is not bytes and item_kind is not str:
                _check(item, what)
    else:
        raise WireError(
            what,
            expected="integers, strings, arrays, maps, booleans and null only",
            got=f"a value of kind {kind.__name__}",
            remedy=_REMEDY,
        )


def _check_order(value: dict[Any, Any], what: str) -> None:
    last: tuple[int, int, bytes] = (-1, 0, b"")
    for key in value:
        if type(key) is not int and type(key) is not str:
            raise WireError(
                what, expected="integer or text map keys", got=f"a key of kind {type(key).__name__}", remedy=_REMEDY
            )
        place = _place(key)
        if place <= last:
            raise WireError(
                what, expected="map keys in bytewise order", got=f"key {key!r:.40} out of order", remedy=_REMEDY
            )
        last = place


def _place(key: int | str) -> tuple[int, int, bytes]:
    """Sort key that equals the bytewise order of the key's encoding: major type, argument, content."""
    if isinstance(key, int):
        return (0, key, b"") if key >= 0 else (1, -1 - key, b"")
    content = key.encode()
    return (3, len(content), content)


def _in_order(value: Any, depth: int) -> Any:
    """A copy of ``value`` with sorted maps, checked to be in the profile."""
    if value is None or isinstance(value, bool | bytes | str):
        return value
    if isinstance(value, int):
        if not MIN_INTEGER <= value <= MAX_INTEGER:
            raise ValueError(f"CBOR integer of at most 64 bits expected, got {value.bit_length()} bits")
        return value
    if depth >= MAX_DEPTH:
        raise ValueError(f"CBOR value nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, list | tuple):
        return [_in_order(item, depth + 1) for item in value]
    if isinstance(value, dict):
        for key in value:
            if isinstance(key, bool) or not isinstance(key, int | str):
                raise TypeError(f"CBOR map keys are int or str here, got {type(key).__name__}")
        return {key: _in_order(value[key], depth + 1) for key in sorted(value, key=_place)}
    raise TypeError(f"no CBOR encoding of {type(value).__name__} in Armillary's profile")
