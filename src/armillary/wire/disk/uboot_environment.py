# SPDX-License-Identifier: Apache-2.0
"""The environment of U-Boot as it is stored twice: which slot is next.

::

    CRC-32 u32 of what follows the flag, little-endian; flag u8; NAME=VALUE and a zero byte, each; one more zero byte

The copy with the later flag counts, 0 follows 255; where one is damaged, the other. Where both are, there is none, and
U-Boot goes by what is built into it. Specification: U-Boot 2025.01, ``include/env_internal.h`` and ``env/common.c``.
"""

from __future__ import annotations

import re
import struct
from binascii import crc32
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from armillary.errors import WireError

# Bytes of a copy on our disks (image/uboot/imx8mp.config). Two variables need fifty; U-Boot's own saving writes those
# that are built in as well.
COPY_BYTES: Final = 0x2000
LAST_FLAG: Final = 255
FIRST_FLAG: Final = 1  # of the copy that U-Boot writes where it has found none

_WHAT: Final = "uboot-environment"
_HEAD: Final = struct.Struct("<IB")
# What scripts of U-Boot can name; a value has no zero byte and is printable.
_NAME: Final = re.compile(r"[A-Za-z_.][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy: its flag, and the variables in it."""

    flag: int
    variables: Mapping[str, str]


def decode_copy(data: bytes) -> Copy:
    """A copy, from exactly :data:`COPY_BYTES` bytes; WireError if it is damaged or another size."""
    if len(data) != COPY_BYTES:
        raise WireError(_WHAT, expected=f"{COPY_BYTES} bytes", got=f"{len(data)}")
    checksum, flag = _HEAD.unpack_from(data)
    content = data[_HEAD.size :]
    if crc32(content) != checksum:
        raise WireError(_WHAT, expected=f"the checksum {checksum:08x}", got=f"{crc32(content):08x}")
    variables = {}
    for entry in content.split(b"\0\0", 1)[0].split(b"\0"):
        name, sign, value = entry.decode("latin-1").partition("=")
        if sign:
            variables[name] = value
    return Copy(flag, variables)


def encode_copy(copy: Copy) -> bytes:
    """The bytes of a copy; ValueError for a variable that cannot be stored, or for too many."""
    for name, value in copy.variables.items():
        if not (_NAME.fullmatch(name) and value and value.isascii() and value.isprintable()):
            raise ValueError(f"environment: {name!r:.70}={value!r:.70} cannot be stored")
    entries = b"".join(f"{name}={value}\0".encode("ascii") for name, value in sorted(copy.variables.items()))
    room = COPY_BYTES - _HEAD.size
    if len(entries) + 2 > room:
        raise ValueError(f"environment: expected at most {room} bytes, got {len(entries) + 2}")
    content = entries.ljust(room, b"\0")
    return _HEAD.pack(crc32(content), copy.flag) + content


def newest(first: bytes, second: bytes) -> tuple[int, Copy] | None:
    """Which copy counts, 0 or 1, and what is in it; None where both are damaged."""
    found: dict[int, Copy] = {}
    problem: WireError | None = None
    for number, data in enumerate((first, second)):
        try:
            found[number] = decode_copy(data)
        except WireError as error:
            problem = error
    if problem is not None:
        return next(iter(found.items()), None)
    number = 1 if _follows(found[1].flag, found[0].flag) else 0
    return number, found[number]


def was_begun_anew(first: bytes, second: bytes) -> bool:
    """Whether U-Boot found no copy and wrote one since: that one has the first flag, and the other is damaged.

    A new disk is none of these: its other copy has never been written. Nor is what U-Boot has written twice since.
    """
    found = newest(first, second)
    if found is None or found[1].flag != FIRST_FLAG:
        return False
    other = (second, first)[found[0]]
    try:
        decode_copy(other)
    except WireError:
        return any(other)
    return False


def next_flag(flag: int) -> int:
    """The flag of the copy that is written after one with this flag."""
    return 0 if flag == LAST_FLAG else flag + 1


def _follows(flag: int, other: int) -> bool:
    """Whether a copy with ``flag`` is later than one with ``other``; equal ones are not."""
    if {flag, other} == {0, LAST_FLAG}:
        return flag == 0
    return flag > other
