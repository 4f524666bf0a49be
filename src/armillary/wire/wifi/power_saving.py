# SPDX-License-Identifier: Apache-2.0
"""Whether a radio sleeps between beacons: messages of Linux's generic netlink to its family nl80211.

All numbers are in the byte order of the machine. ``netlink(7)``; ``linux/netlink.h``, ``genetlink.h``, ``nl80211.h``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from armillary.errors import WireError

FAMILY: Final = "nl80211"
_HEADER: Final = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_GENERIC: Final = struct.Struct("=BBxx")  # command, version
_ATTRIBUTE: Final = struct.Struct("=HH")  # length, type
_REQUEST, _ACKNOWLEDGE = 0x1, 0x4
_ERROR: Final = 2
_CONTROL, _GET_FAMILY, _FAMILY_ID, _FAMILY_NAME = 0x10, 3, 1, 2
_GET_POWER_SAVE, _SET_POWER_SAVE, _INTERFACE, _POWER_STATE = 62, 61, 3, 93
_DISABLED, _ENABLED = 0, 1


def ask_family(sequence: int) -> bytes:
    """Which number has nl80211?"""
    return _message(_CONTROL, _GET_FAMILY, sequence, _attribute(_FAMILY_NAME, FAMILY.encode() + b"\0"))


def parse_family(data: bytes, sequence: int) -> int:
    """The number; WireError for another reply, OSError with the kernel's number of an error."""
    return _number(data, sequence, _FAMILY_ID, "=H")


def set_power_saving(family: int, interface: int, *, saves: bool, sequence: int) -> bytes:
    """Let the radio of an interface (by its index) sleep, or not."""
    state = struct.pack("=I", _ENABLED if saves else _DISABLED)
    attributes = _attribute(_INTERFACE, struct.pack("=I", interface)) + _attribute(_POWER_STATE, state)
    return _message(family, _SET_POWER_SAVE, sequence, attributes, _ACKNOWLEDGE)


def parse_done(data: bytes, sequence: int) -> None:
    """Nothing if it was done; WireError for another reply, OSError with the kernel's number of an error."""
    for kind, _ in _messages(data, sequence):
        if kind == _ERROR:
            return
    raise WireError("netlink", expected="an acknowledgement", got=f"{len(data)} bytes without one")


def ask_power_saving(family: int, interface: int, *, sequence: int) -> bytes:
    """Does the radio of an interface sleep?"""
    return _message(family, _GET_POWER_SAVE, sequence, _attribute(_INTERFACE, struct.pack("=I", interface)))


def parse_power_saving(data: bytes, sequence: int) -> bool:
    """Whether it does; WireError for another reply, OSError with the kernel's number of an error."""
    return _number(data, sequence, _POWER_STATE, "=I") == _ENABLED


def _message(kind: int, command: int, sequence: int, attributes: bytes, flags: int = 0) -> bytes:
    body = _GENERIC.pack(command, 1) + attributes
    return _HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | flags, sequence, 0) + body


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def _number(data: bytes, sequence: int, wanted: int, form: str) -> int:
    for kind, body in _messages(data, sequence):
        if kind == _ERROR:
            continue
        for name, value in _attributes(body[_GENERIC.size :]):
            if name == wanted and len(value) == struct.calcsize(form):
                return int(struct.unpack(form, value)[0])
    raise WireError("netlink", expected=f"attribute {wanted}", got=f"{len(data)} bytes without it")


def _messages(data: bytes, sequence: int) -> Iterator[tuple[int, bytes]]:
    """Type and content of each message that answers ours; OSError for one that says an error."""
    at = 0
    while at < len(data):
        if len(data) - at < _HEADER.size:
            raise WireError("netlink", expected="a header", got=f"{len(data) - at} bytes", offset=at)
        length, kind, _, number, _ = _HEADER.unpack_from(data, at)
        if not _HEADER.size <= length <= len(data) - at:
            raise WireError("netlink", expected=f"at most {len(data) - at} bytes", got=str(length), offset=at)
        body = data[at + _HEADER.size : at + length]
        at += length + -length % 4
        if number != sequence:
            continue
        if kind == _ERROR:
            if len(body) < 4:
                raise WireError("netlink", expected="an error's number", got=f"{len(body)} bytes", offset=at)
            (code,) = struct.unpack_from("=i", body)
            if code:
                raise OSError(-code, f"the kernel refuses with error {-code}")
        yield kind, body


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while len(data) - at >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if not _ATTRIBUTE.size <= length <= len(data) - at:
            raise WireError("netlink", expected=f"an attribute of at most {len(data) - at} bytes", got=str(length))
        yield kind, data[at + _ATTRIBUTE.size : at + length]
        at += length + -length % 4
